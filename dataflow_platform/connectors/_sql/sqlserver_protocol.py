"""What SQL Server and Synapse share: TDS by pymssql, and how values keep their last digit."""

from typing import Any

from pydantic import Field

from dataflow_platform.connectors._sql.server import ServerFields

KINDS = {
    "bit": "BOOLEAN",
    "tinyint": "UTINYINT",
    "money": "DECIMAL(19,4)",
    "smallmoney": "DECIMAL(10,4)",
    "float": "DOUBLE",
    "datetime2": "TIMESTAMP",
    "smalldatetime": "TIMESTAMP",
    "datetimeoffset": "TIMESTAMPTZ",
    "uniqueidentifier": "UUID",
    # Not a time: eight bytes that change with the row.
    "timestamp": "BLOB",
    "rowversion": "BLOB",
    "xml": "VARCHAR",
    "sysname": "VARCHAR",
}
# Python's times end at microseconds, these have 100 ns: as text the last digit is seen, and refused if it is not 0.
WIRE = {
    "datetime2": "CONVERT(VARCHAR(33), {0}, 121)",
    "datetimeoffset": "CONVERT(VARCHAR(33), CAST(SWITCHOFFSET({0}, '+00:00') AS DATETIME2(7)), 121) + 'Z'",
    "time": "CONVERT(VARCHAR(16), {0}, 121)",
}
AS_TEXT = "CONVERT(NVARCHAR(MAX), {0}, 121)"
DESCRIBE_QUERY = "SELECT name, system_type_name FROM sys.dm_exec_describe_first_result_set(:query, NULL, 0)"
_SYSTEM = (
    "sys information_schema guest db_owner db_accessadmin db_securityadmin db_ddladmin "
    "db_backupoperator db_datareader db_datawriter db_denydatareader db_denydatawriter"
)
SYSTEM_SCHEMAS = frozenset(_SYSTEM.split())


class SqlServerProtocol(ServerFields):
    """The fields pymssql needs."""

    port: int = Field(default=1433, description="TCP port of the server.")

    def connect_args(self) -> dict[str, Any]:
        """What pymssql is given besides the URL."""
        return {"login_timeout": 10, "appname": "dataflow", "encryption": "require"}
