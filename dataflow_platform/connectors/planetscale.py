"""PlanetScale for MySQL."""

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts, mysql_protocol


class PlanetScale(mysql_protocol.MySqlOverTls):
    """PlanetScale's Vitess, and other Vitess clusters; its PostgreSQL is read by `postgres`.

    A query may return 100,000 rows and take 900 seconds at most, but for sessions of the OLAP workload, which this
    source asks for: rows then stream. It has no transactions; of a sharded table each shard is a snapshot of its own.
    """

    facts: ClassVar[SqlFacts] = replace(
        mysql_protocol.RELATIVE,
        title="PlanetScale for MySQL",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's MySQL dialect; no Vitess was reached",
        grants="a password of the role `reader` of the branch",
        kinds=mysql_protocol.MYSQL_KINDS | {"timestamp": "TIMESTAMPTZ"},
        system_schemas=mysql_protocol.SYSTEM_SCHEMAS | {"performance_schema", "_vt"},
    )

    port: int = Field(default=3306, description="TCP port of the branch.")

    def connect_args(self) -> dict[str, Any]:
        """What pymysql is given: TIMESTAMP columns come in the session's zone."""
        return {**super().connect_args(), "init_command": f"{mysql_protocol.IN_UTC}, workload = 'olap'"}
