"""Vertica."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts


class Vertica(ServerFields):
    """Vertica 11 and newer."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Vertica",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of vertica-python 1.4; its SQLAlchemy dialect compiled its SELECTs "
        "once by hand",
        packages=("sqlalchemy-vertica-python>=0.6,<1", "vertica-python>=1.3,<2"),
        grants="GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
        drivername="vertica+vertica_python",
        # All its whole numbers have 64 bits, all its floating-point numbers 8 bytes.
        kinds={
            "integer": "BIGINT",
            "int": "BIGINT",
            "smallint": "BIGINT",
            "tinyint": "BIGINT",
            "real": "DOUBLE",
            "geometry": None,
            "geography": None,
        },
        as_text="CAST({0} AS VARCHAR(65000))",
        system_schemas=frozenset({"v_catalog", "v_monitor", "v_internal", "v_func", "v_txtindex"}),
    )

    port: int = Field(default=5433, description="TCP port of the server.")
    tls: bool = Field(default=True, description="Encrypt, and verify the server's certificate and name.")

    def connect_args(self) -> dict[str, Any]:
        """What vertica_python is given besides the URL."""
        mode = "verify-full" if self.tls else "disable"
        return {"connection_timeout": 10, "tlsmode": mode, "session_label": "dataflow"}
