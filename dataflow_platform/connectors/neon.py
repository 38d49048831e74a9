"""Neon."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors.postgres import Postgres, SslMode
from dataflow_platform.core.base import ConnectorFacts


class Neon(Postgres):
    """Neon's serverless PostgreSQL. Name the direct endpoint: its pooled one takes no settings of a session."""

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Neon",
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
        "Neon's certificates are of a public authority.",
    )
