"""Apache Doris."""

from typing import ClassVar

from dataflow_platform.connectors._sql import SqlFacts, mysql_protocol


class Doris(mysql_protocol.MySqlProtocol):
    """Apache Doris 2 and newer."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Apache Doris",
        family="warehouse",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's MySQL dialect; no server was reached",
        packages=("pymysql>=1.1,<2",),
        grants="GRANT SELECT_PRIV ON sales.* TO reader;",
        drivername="mysql+pymysql",
        kinds=mysql_protocol.KINDS,
        as_text=mysql_protocol.AS_TEXT,
        describe_table=mysql_protocol.DESCRIBE_TABLE,
        list_tables=mysql_protocol.LIST_TABLES,
        system_schemas=mysql_protocol.SYSTEM_SCHEMAS,
    )
