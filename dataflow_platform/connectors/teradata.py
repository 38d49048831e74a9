"""Teradata Vantage."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts

_SYSTEM = (
    "dbc sysadmin syslib syslibx systemfe sys_calendar sysspatial sysudtlib sysbar sysuif tdwm "
    "tdstats td_sysfnlib td_server_db tdqcd tdmaps dbcmngr sqlj lockloghadow td_sysxml"
)


class Teradata(ServerFields):
    """Teradata Vantage; the driver encrypts by itself where the server can."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Teradata Vantage",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of teradatasqlalchemy 20, whose dialect compiled its SELECTs once "
        "by hand",
        packages=("teradatasqlalchemy>=20,<21",),
        grants="GRANT SELECT ON sales TO reader; GRANT SELECT ON DBC.TablesV TO reader;",
        drivername="teradatasql",
        kinds={
            "byteint": "TINYINT",
            "byte": "BLOB",
            "varbyte": "BLOB",
            # All its floating-point types have 8 bytes.
            "real": "DOUBLE",
            "time with time zone": None,
        },
        as_text="CAST({0} AS VARCHAR(16000))",
        system_schemas=frozenset(_SYSTEM.split()),
    )

    port: int = Field(default=1025, description="TCP port of the database.")

    def address(self) -> Any:
        """SQLAlchemy's URL; the port is a setting of the driver there."""
        return super().address().set(port=None, query={"dbs_port": str(self.port)})
