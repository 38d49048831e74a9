"""Amazon Redshift."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts
from dataflow_platform.connectors._sql.facts import ZONED_FILTERED
from dataflow_platform.connectors._sql.postgres_protocol import SYSTEM_SCHEMAS, PostgresProtocol


class Redshift(PostgresProtocol):
    """Amazon Redshift, provisioned or serverless, with a database user."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Amazon Redshift",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of sqlalchemy-redshift 1.0, whose dialect compiled its SELECTs once "
        "by hand. The cursor's rows wait on the leader node, whose limits on cursors apply",
        extra="postgres",
        packages=("sqlalchemy-redshift>=0.8.14,<2",),
        grants="GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
        drivername="redshift+psycopg2",
        kinds={"super": "JSON", "varbyte": None, "geometry": None, "hllsketch": None},
        as_text="CAST({0} AS VARCHAR(65535))",
        wire={"super": "JSON_SERIALIZE({0})"},
        filtered=ZONED_FILTERED,
        system_schemas=SYSTEM_SCHEMAS | {"pg_internal", "pg_auto_copy", "pg_automv"},
    )

    port: int = Field(default=5439, description="TCP port of the cluster.")
