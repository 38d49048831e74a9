"""Materialize."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts
from dataflow_platform.connectors._sql.facts import ZONED_FILTERED
from dataflow_platform.connectors._sql.postgres_protocol import (
    AS_TEXT,
    DESCRIBE_TABLE,
    LIST_TABLES,
    SYSTEM_SCHEMAS,
    PostgresProtocol,
)


class Materialize(PostgresProtocol):
    """Materialize: sources, tables and materialized views as they stand at the moment of reading."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Materialize",
        family="warehouse",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's own dialect; no server was reached",
        extra="postgres",
        grants="GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
        drivername="postgresql+psycopg2",
        kinds={
            "numeric": "NUMBER",
            "uint2": "USMALLINT",
            "uint4": "UINTEGER",
            "uint8": "NUMBER",
            "map": None,
            "list": None,
        },
        as_text=AS_TEXT,
        filtered=ZONED_FILTERED,
        describe_table=DESCRIBE_TABLE,
        list_tables=LIST_TABLES,
        system_schemas=SYSTEM_SCHEMAS
        | {"mz_catalog", "mz_internal", "mz_introspection", "mz_unsafe", "mz_catalog_unstable"},
    )

    port: int = Field(default=6875, description="TCP port of the environment.")
    database: str = Field(default="materialize", description="Database to connect to.")
