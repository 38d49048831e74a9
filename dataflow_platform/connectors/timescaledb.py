"""TimescaleDB."""

from typing import ClassVar

from dataflow_platform.connectors.postgres import Postgres
from dataflow_platform.core.base import ConnectorFacts


class TimescaleDb(Postgres):
    """PostgreSQL with the TimescaleDB extension. A hypertable is read by one query, its chunks included."""

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="TimescaleDB",
        family="database",
        evidence="unverified",
        evidence_note="PostgreSQL itself, read by the `postgres` source, whose tests run against a real server; "
        "the service was not reached",
        extra="postgres",
        grants="GRANT CONNECT ON DATABASE shop TO reader; GRANT USAGE ON SCHEMA sales TO reader; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
    )
