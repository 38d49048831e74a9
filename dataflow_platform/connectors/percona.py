"""Percona Server for MySQL."""

from typing import ClassVar

from dataflow_platform.connectors.mysql import MySQL
from dataflow_platform.core.base import ConnectorFacts


class Percona(MySQL):
    """Percona Server for MySQL and Percona XtraDB Cluster: MySQL with other defaults and tools round it.

    A cluster's node answers with what it has applied: where reads must see the newest commit, set
    `wsrep_sync_wait` for the account's sessions on the server.
    """

    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="Percona Server for MySQL",
        family="database",
        evidence="unverified",
        evidence_note="MySQL itself, read by the `mysql` source, whose tests run against MariaDB; "
        "the product was not reached",
        extra="mysql",
        grants="GRANT SELECT ON sales.* TO reader;",
    )
