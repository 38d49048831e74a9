"""Apache Spark SQL."""

from typing import ClassVar

from dataflow_platform.connectors._sql import SqlFacts, hiveserver2


class SparkSql(hiveserver2.HiveServer2):
    """The Thrift server of Apache Spark 3.1 and newer (also Apache Kyuubi)."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Apache Spark SQL",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of Spark and of pyhive 0.7, whose dialect compiled its SELECTs once "
        "by hand",
        packages=("pyhive[hive_pure_sasl]>=0.7,<0.8",),
        grants="SELECT on the tables in the catalogue's access rules",
        drivername="hive",
        kinds={**hiveserver2.KINDS, "timestamp": "TIMESTAMPTZ", "timestamp_ntz": "TIMESTAMP"},
        # A timestamp is a moment, written in the session's zone.
        wire={
            "TIMESTAMPTZ": "concat(date_format(to_utc_timestamp({0}, current_timezone()), "
            "'yyyy-MM-dd HH:mm:ss.SSSSSS'), 'Z')",
            "TIMESTAMP": "CAST({0} AS STRING)",
        },
        as_text=hiveserver2.AS_TEXT,
        text_order="CAST({0} AS STRING)",
        system_schemas=frozenset({"information_schema"}),
    )
