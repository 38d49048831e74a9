"""Systems that speak MySQL's protocol but are not MySQL: pymysql with an unbuffered cursor."""

from typing import Any

from pydantic import Field

from dataflow_platform.connectors._sql.server import ServerFields

KINDS = {
    "largeint": "NUMBER",
    "float": "FLOAT",
    "tinyint(1)": "BOOLEAN",
    "boolean": "BOOLEAN",
    "datetime": "TIMESTAMP",
    "datetimev2": "TIMESTAMP",
    "datev2": "DATE",
    "decimalv3": "DECIMAL",
    "variant": "JSON",
    "bitmap": None,
    "hll": None,
    "array": None,
    "map": None,
    "struct": None,
    "bigint unsigned": "NUMBER",
}
DESCRIBE_TABLE = (
    "SELECT column_name, column_type FROM information_schema.columns WHERE table_name = :table "
    "AND table_schema = CASE WHEN :schema = '' THEN database() ELSE :schema END ORDER BY ordinal_position"
)
LIST_TABLES = "SELECT table_schema, table_name FROM information_schema.tables"
AS_TEXT = "CAST({0} AS CHAR)"
SYSTEM_SCHEMAS = frozenset({"information_schema", "_statistics_", "sys", "mysql", "__internal_schema"})


class MySqlProtocol(ServerFields):
    """The fields pymysql needs."""

    port: int = Field(default=9030, description="Query port of a frontend.")
    ca_file: str | None = Field(
        default=None, description="File with the authority of the server's certificate: encrypts and verifies it."
    )

    def connect_args(self) -> dict[str, Any]:
        """What pymysql is given besides the URL."""
        given: dict[str, Any] = {"connect_timeout": 10, "charset": "utf8mb4"}
        if self.ca_file:
            given |= {"ssl_ca": self.ca_file, "ssl_verify_cert": True, "ssl_verify_identity": True}
        return given
