"""Azure Synapse Analytics and the SQL endpoint of Microsoft Fabric."""

from typing import ClassVar

from dataflow_platform.connectors._sql import SqlFacts, sqlserver_protocol


class Synapse(sqlserver_protocol.SqlServerProtocol):
    """A SQL pool of Azure Synapse Analytics, with a SQL login; Entra logins need another driver."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Azure Synapse Analytics",
        family="warehouse",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's own dialect; no server was reached",
        packages=("pymssql>=2.3,<3",),
        grants="CREATE USER reader FROM LOGIN reader; GRANT SELECT ON SCHEMA::sales TO reader;",
        drivername="mssql+pymssql",
        kinds=sqlserver_protocol.KINDS,
        wire=sqlserver_protocol.WIRE,
        as_text=sqlserver_protocol.AS_TEXT,
        clock_slack=0.01,
        system_schemas=sqlserver_protocol.SYSTEM_SCHEMAS,
    )
