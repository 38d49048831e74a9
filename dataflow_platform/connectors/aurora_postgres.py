"""Amazon Aurora PostgreSQL."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors.postgres import Postgres, SslMode
from dataflow_platform.core.base import ConnectorFacts


class AuroraPostgres(Postgres):
    """Amazon Aurora PostgreSQL and RDS for PostgreSQL; a reader endpoint keeps the load off the writer."""

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Amazon Aurora PostgreSQL",
        family="database",
        evidence="unverified",
        evidence_note="PostgreSQL itself, read by the `postgres` source, whose tests run against a real server; "
        "the service was not reached",
        extra="postgres",
        grants="GRANT CONNECT ON DATABASE shop TO reader; GRANT USAGE ON SCHEMA sales TO reader; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
    )

    sslmode: SslMode = Field(
        default="verify-full",
        description="How much encryption is asked for, in libpq's words. "
        "Name the region's bundle of authorities under `sslrootcert`.",
    )
