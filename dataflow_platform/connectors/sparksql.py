"""Apache Spark SQL."""

from typing import TYPE_CHECKING, ClassVar

from dataflow_platform.connectors._sql import SqlFacts, hiveserver2

if TYPE_CHECKING:
    import sqlalchemy as sa


class SparkSql(hiveserver2.HiveServer2):
    """The Thrift server of Apache Spark 3.4 and newer (also Apache Kyuubi).

    The server holds the whole result in its memory unless it runs with `spark.sql.thriftServer.incrementalCollect`.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Apache Spark SQL",
        family="warehouse",
        evidence="real_server",
        evidence_note="Spark's own Thrift server, from PyPI's pyspark, without Kerberos or LDAP; the tests skip where "
        "pyspark (460 MB) and Java are not installed, as in the locked environment",
        packages=("pyhive[hive_pure_sasl]>=0.7,<0.8",),
        grants="SELECT on the tables in the catalogue's access rules",
        drivername="hive",
        kinds={
            "float": "FLOAT",
            "binary": "BLOB",
            "timestamp": "TIMESTAMPTZ",
            "timestamp_ltz": "TIMESTAMPTZ",
            "timestamp_ntz": "TIMESTAMP",
            "array": "JSON",
            "map": "JSON",
            "struct": "JSON",
            "variant": "JSON",
        },
        # A timestamp is a moment, written in the session's zone.
        session="SET TIME ZONE 'UTC'",
        wire={
            "TIMESTAMPTZ": "concat(CAST({0} AS STRING), 'Z')",
            "TIMESTAMP": hiveserver2.AS_TEXT,
            "JSON": hiveserver2.SPARK_JSON,
        },
        as_text=hiveserver2.AS_TEXT,
        text_order="CAST({0} AS STRING)",
        filtered=hiveserver2.FILTERED | {"TIMESTAMPTZ"},
        system_schemas=frozenset({"information_schema"}),
    )

    def described_query(self, connection: "sa.Connection", query: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of a query's columns; Spark plans the query for that and reads nothing."""
        import sqlalchemy as sa

        escaped = query.replace(":", "\\:")
        return self.typed(connection.execute(sa.text(f"DESCRIBE QUERY SELECT * FROM ({escaped}) AS stream")))
