"""MonetDB."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts


class MonetDb(ServerFields):
    """MonetDB 11.45 and newer; the driver fetches in pieces of its own."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="MonetDB",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of sqlalchemy-monetdb 2.1, whose dialect compiled its SELECTs once "
        "by hand",
        packages=("sqlalchemy-monetdb>=2,<3",),
        grants="GRANT SELECT ON sales.orders TO reader;",
        drivername="monetdb",
        kinds={"hugeint": "NUMBER", "url": "VARCHAR", "inet": "VARCHAR", "time with time zone": None},
        as_text="CAST({0} AS CLOB)",
        system_schemas=frozenset({"sys", "tmp", "json", "profiler", "logging", "information_schema"}),
    )

    port: int = Field(default=50000, description="TCP port of the server.")
    database: str = Field(description="Database to connect to.")
