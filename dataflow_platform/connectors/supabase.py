"""Supabase."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors.postgres import Postgres, SslMode
from dataflow_platform.core.base import ConnectorFacts


class Supabase(Postgres):
    """Supabase's PostgreSQL. Name the direct connection or the session pooler.

    The transaction pooler takes no settings of a session.
    """

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Supabase",
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
        "Name the project's certificate under `sslrootcert`.",
    )
