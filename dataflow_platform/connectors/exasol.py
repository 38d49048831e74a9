"""Exasol."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts


class Exasol(ServerFields):
    """Exasol 7.1 and newer, over its encrypted WebSocket."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Exasol",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of sqlalchemy-exasol 7.2, whose dialect compiled its SELECTs once "
        "by hand",
        packages=("sqlalchemy-exasol>=5.1",),
        grants="GRANT CREATE SESSION TO reader; GRANT SELECT ON SCHEMA sales TO reader;",
        drivername="exa+websocket",
        kinds={"hashtype": "VARCHAR", "timestamp with local time zone": None, "geometry": None},
        # Its protocol carries short decimals as JSON numbers.
        wire={"decimal": "TO_CHAR({0})", "numeric": "TO_CHAR({0})"},
        as_text="CAST({0} AS VARCHAR(2000000))",
        system_schemas=frozenset({"sys", "exa_statistics"}),
    )

    port: int = Field(default=8563, description="TCP port of the cluster.")
    fingerprint: str | None = Field(
        default=None, description="Fingerprint of the server's certificate, where no authority known here signed it."
    )

    def url_query(self) -> dict[str, str]:
        """Settings of the dialect."""
        given = {"FINGERPRINT": self.fingerprint} if self.fingerprint else {}
        return {"ENCRYPTION": "Yes", **given}
