"""Supabase."""

from typing import ClassVar, Literal

from pydantic import Field

from dataflow_platform.connectors.postgres import Postgres
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

    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="require",
        description="How much encryption is asked for, in libpq's words. "
        "`verify-full` needs the project's certificate in ~/.postgresql/root.crt.",
    )
