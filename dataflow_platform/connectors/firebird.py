"""Firebird."""

import re
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts, kinds

if TYPE_CHECKING:
    import sqlalchemy as sa


class Firebird(ServerFields):
    """Firebird 3 and newer; Firebird's client library has to be on this machine."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Firebird",
        family="database",
        evidence="real_server",
        evidence_note="Firebird 3.0, without wire encryption by certificates; the types that came with Firebird 4 "
        "(INT128, DECFLOAT, times with a zone) were not seen. The tests skip where Debian's firebird3.0-server or the "
        "driver is not installed, as in the locked environment",
        packages=("sqlalchemy-firebird>=2.2,<3",),
        grants="GRANT SELECT ON orders TO USER reader;",
        drivername="firebird+firebird",
        kinds={
            "float": "FLOAT",
            "int128": "NUMBER",
            "decfloat": "NUMBER",
            "time with time zone": None,
            "blob sub_type binary": "BLOB",
            "blob sub_type text": "VARCHAR",
        },
        as_text="CAST({0} AS VARCHAR(8191))",
    )

    port: int = Field(default=3050, description="TCP port of the server.")
    database: str = Field(description="Path of the database file on the server, or its alias.")

    def url_query(self) -> dict[str, str]:
        """Settings of the driver."""
        return {"charset": "UTF8"}

    def described(
        self, connection: "sa.Connection", schema: str | None, table: str
    ) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column; texts of bytes are bytes."""
        told = []
        for name, _, written in super().described(connection, schema, table):
            words = re.sub(r" segment size \d+", "", written)
            octets = words.endswith("character set octets")
            told.append((name, "BLOB" if octets else kinds.kind_of_words(words, self.facts.kinds), words))
        return told
