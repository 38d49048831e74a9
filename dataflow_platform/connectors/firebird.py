"""Firebird."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts


class Firebird(ServerFields):
    """Firebird 3 and newer; Firebird's client library has to be on this machine."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Firebird",
        family="database",
        evidence="unverified",
        evidence_note="written from the documents of sqlalchemy-firebird 2.2, whose dialect compiled its SELECTs once "
        "by hand",
        packages=("sqlalchemy-firebird>=2.1,<3",),
        grants="GRANT SELECT ON orders TO USER reader;",
        drivername="firebird+firebird",
        kinds={"float": "FLOAT", "int128": "NUMBER", "decfloat": "NUMBER", "time with time zone": None},
        as_text="CAST({0} AS VARCHAR(8191))",
    )

    port: int = Field(default=3050, description="TCP port of the server.")
    database: str = Field(description="Path of the database file on the server, or its alias.")

    def url_query(self) -> dict[str, str]:
        """Settings of the driver."""
        return {"charset": "UTF8"}
