"""Apache Hive."""

from typing import ClassVar

from dataflow_platform.connectors._sql import SqlFacts, hiveserver2


class Hive(hiveserver2.HiveServer2):
    """Apache Hive 2 and newer, through HiveServer2; without TLS, which the driver lacks on this protocol."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Apache Hive",
        family="warehouse",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by pyhive's dialect, and its statements run on Spark's "
        "Thrift server, which speaks the same protocol; no Hive was reached",
        packages=("pyhive[hive_pure_sasl]>=0.7,<0.8",),
        grants="GRANT SELECT ON TABLE sales.orders TO USER reader;",
        drivername="hive",
        # What the protocol sends for these is text of no one form.
        kinds={"float": "FLOAT", **dict.fromkeys(("array", "map", "struct", "uniontype", "binary"))},
        # Its timestamps have nanoseconds; as text they are seen, and refused where they are not 0.
        wire={"TIMESTAMP": "CAST({0} AS STRING)"},
        as_text=hiveserver2.AS_TEXT,
        filtered=hiveserver2.FILTERED,
        text_order="CAST({0} AS STRING)",
        system_schemas=frozenset({"information_schema", "sys"}),
    )
