"""SingleStore."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts, mysql_protocol


class SingleStore(mysql_protocol.MySqlOverTls):
    """SingleStore 7.5 and newer, and SingleStore Helios, whose `singlestore_bundle.pem` goes under `ca_file`.

    It does not fully support prepared statements, which the `mysql` source needs, so it is read by a plain cursor.
    TIMESTAMP columns come as wall time of the server's zone. Types of its own (VECTOR, BSON, GEOGRAPHY) are read
    by `as_text`.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="SingleStore",
        family="warehouse",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's MySQL dialect; no server was reached",
        extra="mysql",
        grants="GRANT SELECT ON sales.* TO reader;",
        drivername="mysql+pymysql",
        kinds=mysql_protocol.MYSQL_KINDS | {"vector": None, "bson": None, "geography": None, "geographypoint": None},
        wire=mysql_protocol.MYSQL_WIRE,
        as_text=mysql_protocol.AS_TEXT,
        describe_table=mysql_protocol.DESCRIBE_TABLE,
        list_tables=mysql_protocol.LIST_TABLES,
        system_schemas=mysql_protocol.SYSTEM_SCHEMAS | {"cluster", "memsql"},
    )

    port: int = Field(default=3306, description="TCP port of an aggregator or of the workspace's endpoint.")
