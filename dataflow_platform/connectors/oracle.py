"""Oracle Database."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts

_STAMP = '\'FMSYYYYFM-MM-DD"T"HH24:MI:SS'

_SYSTEM = (
    "sys system xdb ctxsys mdsys olapsys ordsys outln dbsnmp audsys wmsys gsmadmin_internal lbacsys "
    "dvsys appqossys dbsfwuser ojvmsys ordplugins orddata"
)


class Oracle(ServerFields):
    """Oracle Database 12.1 and newer, by the driver's own protocol (no client library)."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Oracle Database",
        family="database",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's own dialect; no server was reached",
        packages=("oracledb>=2.4",),
        grants="GRANT CREATE SESSION TO reader; GRANT SELECT ON sales.orders TO reader;",
        drivername="oracle+oracledb",
        kinds={
            # Oracle's DATE has a time of day, its FLOAT is a decimal number.
            "date": "TIMESTAMP",
            "float": "NUMBER",
            "binary_float": "FLOAT",
            "binary_double": "DOUBLE",
            "raw": "BLOB",
            "long": "VARCHAR",
            "timestamp with local time zone": "TIMESTAMPTZ",
        },
        # As text nothing is cut off: Python's times end at microseconds, a NUMBER may have 40 digits.
        wire={
            "NUMBER": "TO_CHAR({0}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')",
            "timestamp": f"TO_CHAR({{0}}, {_STAMP}.FF9')",
            "TIMESTAMPTZ": f"TO_CHAR(SYS_EXTRACT_UTC({{0}}), {_STAMP}.FF9') || 'Z'",
        },
        as_text="TO_CHAR({0})",
        system_schemas=frozenset(_SYSTEM.split()),
    )

    port: int = Field(default=1521, description="TCP port of the listener.")
    database: str = Field(default="", description="Service name, such as `FREEPDB1`.")
    protocol: Literal["tcp", "tcps"] = Field(
        default="tcp", description="`tcps` for TLS; the server's certificate and name are then verified."
    )

    def address(self) -> Any:
        """The URL; the service name is a setting of its own there."""
        url = super().address()
        return url.set(database=None, query={"service_name": self.database} if self.database else {})

    def connect_args(self) -> dict[str, Any]:
        """What oracledb is given besides the URL."""
        return {"protocol": self.protocol, "tcp_connect_timeout": 10}
