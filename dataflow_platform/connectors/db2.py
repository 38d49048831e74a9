"""IBM Db2."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts

_SYSTEM = "sysibm syscat sysstat sysfun sysproc sysibmadm sysibminternal sysibmts systools syspublic nullid sqlj"


class Db2(ServerFields):
    """Db2 for Linux, UNIX and Windows 11 and newer, and Db2 on Cloud."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="IBM Db2",
        family="database",
        evidence="unverified",
        evidence_note="written from the documents of ibm-db-sa 0.4, whose dialect compiled its SELECTs once by hand",
        packages=("ibm-db-sa>=0.4,<0.5",),
        grants="GRANT CONNECT ON DATABASE TO USER reader; GRANT SELECT ON sales.orders TO USER reader;",
        drivername="db2+ibm_db",
        kinds={
            "decfloat": "NUMBER",
            "graphic": "VARCHAR",
            "vargraphic": "VARCHAR",
            "dbclob": "VARCHAR",
            "xml": None,
            "float": "DOUBLE",
        },
        # Its timestamps may have twelve digits; as text those beyond six are seen, and refused where they are not 0.
        wire={
            "TIMESTAMP": "TO_CHAR({0}, 'YYYY-MM-DD HH24:MI:SS.FF12')",
            "NUMBER": "CAST({0} AS VARCHAR(64))",
        },
        as_text="CAST({0} AS VARCHAR(32672))",
        system_schemas=frozenset(_SYSTEM.split()),
    )

    port: int = Field(default=50000, description="TCP port of the database manager.")
    database: str = Field(description="Database to connect to.")
    tls: bool = Field(default=False, description="Encrypt; the port must be the server's TLS port.")

    def url_query(self) -> dict[str, str]:
        """Keywords of the driver's connection string."""
        return {"ConnectTimeout": "10", **({"Security": "SSL"} if self.tls else {})}
