"""PlanetScale for MySQL."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts, mysql_protocol


class PlanetScale(mysql_protocol.MySqlOverTls):
    """PlanetScale's Vitess, and other Vitess clusters; its PostgreSQL is read by `postgres`.

    A query may return 100,000 rows and take 900 seconds at most, but for sessions of the OLAP workload, which this
    source asks for: rows then stream. It has no transactions; of a sharded table each shard is a snapshot of its own.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="PlanetScale for MySQL",
        family="database",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's MySQL dialect; no Vitess was reached",
        extra="mysql",
        grants="a password of the role `reader` of the branch",
        drivername="mysql+pymysql",
        kinds=mysql_protocol.MYSQL_KINDS | {"timestamp": "TIMESTAMPTZ"},
        wire=mysql_protocol.MYSQL_WIRE,
        as_text=mysql_protocol.AS_TEXT,
        describe_table=mysql_protocol.DESCRIBE_TABLE,
        list_tables=mysql_protocol.LIST_TABLES,
        system_schemas=mysql_protocol.SYSTEM_SCHEMAS | {"performance_schema", "_vt"},
    )

    port: int = Field(default=3306, description="TCP port of the branch.")

    def connect_args(self) -> dict[str, Any]:
        """What pymysql is given: TIMESTAMP columns come in the session's zone."""
        return {**super().connect_args(), "init_command": "SET time_zone = '+00:00', workload = 'olap'"}
