"""Google AlloyDB."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors.postgres import Postgres, SslMode
from dataflow_platform.core.base import ConnectorFacts


class AlloyDb(Postgres):
    """Google AlloyDB for PostgreSQL, by its address in the private network or its auth proxy."""

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Google AlloyDB",
        family="database",
        evidence="unverified",
        evidence_note="PostgreSQL itself, read by the `postgres` source, whose tests run against a real server; "
        "the service was not reached",
        extra="postgres",
        grants="GRANT CONNECT ON DATABASE shop TO reader; GRANT USAGE ON SCHEMA sales TO reader; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
    )

    sslmode: SslMode = Field(
        default="require",
        description="How much encryption is asked for, in libpq's words. "
        "The proxy encrypts by itself: `disable` on its local port.",
    )
