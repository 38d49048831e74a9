"""TiDB."""

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts, mysql_protocol


class TiDb(mysql_protocol.MySqlOverTls):
    """TiDB 6 and newer, and TiDB Cloud.

    It refuses read-only transactions, which the `mysql` source asks for (`tidb_enable_noop_functions`), so it is
    read by a plain cursor. One SELECT is one snapshot. Texts are ordered by their bytes (`utf8mb4_bin`) by default.
    """

    facts: ClassVar[SqlFacts] = replace(
        mysql_protocol.RELATIVE,
        title="TiDB",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's MySQL dialect, and run on MariaDB; "
        "no TiDB was reached",
        grants="GRANT SELECT ON sales.* TO reader;",
        kinds=mysql_protocol.MYSQL_KINDS | {"timestamp": "TIMESTAMPTZ"},
        system_schemas=mysql_protocol.SYSTEM_SCHEMAS | {"metrics_schema", "performance_schema"},
    )

    port: int = Field(default=4000, description="TCP port of a TiDB server or of the cloud's gateway.")

    def connect_args(self) -> dict[str, Any]:
        """What pymysql is given: TIMESTAMP columns come in the session's zone."""
        return {**super().connect_args(), "init_command": mysql_protocol.IN_UTC}
