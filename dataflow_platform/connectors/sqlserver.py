"""Microsoft SQL Server."""

from typing import ClassVar

from dataflow_platform.connectors._sql import SqlFacts, sqlserver_protocol


class SqlServer(sqlserver_protocol.SqlServerProtocol):
    """SQL Server 2016 and newer, and Azure SQL Database, over TDS with encryption."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Microsoft SQL Server",
        family="database",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's own dialect; no server was reached",
        packages=("pymssql>=2.3,<3",),
        grants="CREATE USER reader FOR LOGIN reader; GRANT SELECT ON SCHEMA::sales TO reader; "
        "GRANT VIEW DEFINITION ON SCHEMA::sales TO reader;",
        drivername="mssql+pymssql",
        kinds=sqlserver_protocol.KINDS,
        wire=sqlserver_protocol.WIRE,
        as_text=sqlserver_protocol.AS_TEXT,
        # DATETIME counts in 1/300 s: what reads .007 is .006667 on the server.
        clock_slack=0.01,
        describe_query=sqlserver_protocol.DESCRIBE_QUERY,
        system_schemas=sqlserver_protocol.SYSTEM_SCHEMAS,
    )
