"""Apache Hive."""

from typing import ClassVar

from dataflow_platform.connectors._sql import SqlFacts, hiveserver2


class Hive(hiveserver2.HiveServer2):
    """Apache Hive 2 and newer, through HiveServer2; without TLS, which the driver lacks on this protocol."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Apache Hive",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of pyhive 0.7, whose dialect compiled its SELECTs once by hand",
        packages=("pyhive[hive_pure_sasl]>=0.7,<0.8",),
        grants="GRANT SELECT ON TABLE sales.orders TO USER reader;",
        drivername="hive",
        kinds=hiveserver2.KINDS,
        # Its timestamps have nanoseconds; as text they are seen, and refused where they are not 0.
        wire={"TIMESTAMP": "CAST({0} AS STRING)"},
        as_text=hiveserver2.AS_TEXT,
        text_order="CAST({0} AS STRING)",
        system_schemas=frozenset({"information_schema", "sys"}),
    )
