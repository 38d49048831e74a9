"""CockroachDB."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts
from dataflow_platform.connectors._sql.facts import ZONED_FILTERED
from dataflow_platform.connectors._sql.postgres_protocol import AS_TEXT, SYSTEM_SCHEMAS, PostgresProtocol


class CockroachDb(PostgresProtocol):
    """CockroachDB 22.2 and newer, which have cursors on the server's side."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="CockroachDB",
        family="database",
        evidence="unverified",
        evidence_note="written from the documents of sqlalchemy-cockroachdb 2.0, whose dialect compiled its SELECTs "
        "once by hand",
        extra="postgres",
        packages=("sqlalchemy-cockroachdb>=2.0.2,<3",),
        grants="GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
        drivername="cockroachdb+psycopg2",
        # Its INT has 64 bits, whatever its catalogue calls it.
        kinds={"integer": "BIGINT", "int": "BIGINT", "smallint": "BIGINT", "interval": None, "geometry": None},
        as_text=AS_TEXT,
        filtered=ZONED_FILTERED,
        system_schemas=SYSTEM_SCHEMAS,
    )

    port: int = Field(default=26257, description="TCP port of the cluster.")
    database: str = Field(default="defaultdb", description="Database to connect to.")
