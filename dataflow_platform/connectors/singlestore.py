"""SingleStore."""

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts, mysql_protocol


class SingleStore(mysql_protocol.MySqlOverTls):
    """SingleStore 7.5 and newer, and SingleStore Helios, whose `singlestore_bundle.pem` goes under `ca_file`.

    It does not fully support prepared statements, which the `mysql` source needs, so it is read by a plain cursor.
    TIMESTAMP columns come as wall time of the server's zone. Types of its own (VECTOR, BSON, GEOGRAPHY) are read
    by `as_text`.
    """

    facts: ClassVar[SqlFacts] = replace(
        mysql_protocol.RELATIVE,
        title="SingleStore",
        family="warehouse",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's MySQL dialect; no server was reached",
        grants="GRANT SELECT ON sales.* TO reader;",
        kinds=mysql_protocol.MYSQL_KINDS | {"vector": None, "bson": None, "geography": None, "geographypoint": None},
        system_schemas=mysql_protocol.SYSTEM_SCHEMAS | {"cluster", "memsql"},
    )

    port: int = Field(default=3306, description="TCP port of an aggregator or of the workspace's endpoint.")
