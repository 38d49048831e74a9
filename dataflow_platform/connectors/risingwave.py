"""RisingWave."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts
from dataflow_platform.connectors._sql.facts import ZONED_FILTERED
from dataflow_platform.connectors._sql.postgres_protocol import (
    DESCRIBE_TABLE,
    LIST_TABLES,
    SYSTEM_SCHEMAS,
    PostgresProtocol,
)
from dataflow_platform.connectors._sql.reading import DeclaredReading
from dataflow_platform.connectors._sql.rows import Reading
from dataflow_platform.connectors._sql.values import Column

if TYPE_CHECKING:
    import sqlalchemy as sa


class RisingWave(PostgresProtocol):
    """RisingWave 2 and newer: tables, sources and materialized views as they stand at the moment of reading.

    Its DECLARE takes no WITHOUT HOLD, which psycopg2 always writes: the cursor is declared and fetched by plain
    statements. Its NUMERIC has up to 28 digits and no declared scale: it is read as its digits.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="RisingWave",
        family="warehouse",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's own dialect, and its way of fetching runs "
        "on PostgreSQL; no RisingWave was reached",
        extra="postgres",
        grants="GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader; "
        "GRANT SELECT ON ALL MATERIALIZED VIEWS IN SCHEMA sales TO reader;",
        drivername="postgresql+psycopg2",
        kinds={"rw_int256": "NUMBER", "serial": "BIGINT", "interval": None, "struct": None, "map": None},
        wire={"rw_int256": "CAST({0} AS VARCHAR)"},
        filtered=ZONED_FILTERED,
        describe_table=DESCRIBE_TABLE,
        list_tables=LIST_TABLES,
        system_schemas=SYSTEM_SCHEMAS | {"rw_catalog"},
    )

    port: int = Field(default=4566, description="TCP port of a frontend.")
    database: str = Field(default="dev", description="Database to connect to.")

    def reading(self, engine: "sa.Engine", statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """One run of the query, by a cursor of the server's."""
        return DeclaredReading(engine, statement, columns, self.explained, self.where())
