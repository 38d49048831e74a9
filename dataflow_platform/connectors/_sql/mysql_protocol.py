"""Systems that speak MySQL's protocol but are not MySQL: pymysql with an unbuffered cursor."""

import ssl
from typing import Any

from pydantic import Field

from dataflow_platform.connectors._sql.facts import SqlFacts
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
# What MySQL's own words mean; tinyint(1) is a number: true would not be what is there.
MYSQL_KINDS = {
    "tinyint(1)": "TINYINT",
    "tinyint unsigned": "UTINYINT",
    "smallint unsigned": "USMALLINT",
    "mediumint unsigned": "UINTEGER",
    "int unsigned": "UINTEGER",
    "bigint unsigned": "UBIGINT",
    "decimal unsigned": "DECIMAL",
    "float": "FLOAT",
    "float unsigned": "FLOAT",
    "double unsigned": "DOUBLE",
    "year": "INTEGER",
    "enum": "VARCHAR",
    "set": "VARCHAR",
    "bit": None,
}
# The driver makes a span of TIME, in which a time beyond 24 hours would be lost: as text it is seen, and refused.
# TIMESTAMPTZ is only said of columns whose session's zone is UTC.
MYSQL_WIRE = {"TIME": "CAST({0} AS CHAR)", "TIMESTAMPTZ": "CONCAT(CAST({0} AS CHAR), 'Z')"}
DESCRIBE_TABLE = (
    "SELECT column_name, column_type FROM information_schema.columns WHERE table_name = :table "
    "AND table_schema = CASE WHEN :schema = '' THEN database() ELSE :schema END ORDER BY ordinal_position"
)
LIST_TABLES = "SELECT table_schema, table_name FROM information_schema.tables"
AS_TEXT = "CAST({0} AS CHAR)"
SYSTEM_SCHEMAS = frozenset({"information_schema", "_statistics_", "sys", "mysql", "__internal_schema"})
RELATIVE = SqlFacts(
    title="",
    family="database",
    evidence="contract",
    evidence_note="",
    extra="mysql",
    drivername="mysql+pymysql",
    kinds=MYSQL_KINDS,
    wire=MYSQL_WIRE,
    as_text=AS_TEXT,
    describe_table=DESCRIBE_TABLE,
    list_tables=LIST_TABLES,
    system_schemas=SYSTEM_SCHEMAS,
)
"""What systems with MySQL's own types have in common; each says the rest."""
IN_UTC = "SET time_zone = '+00:00'"
"""The session's zone, in which TIMESTAMP columns come."""


class MySqlProtocol(ServerFields):
    """The fields pymysql needs."""

    port: int = Field(default=9030, description="Query port of a frontend.")
    ca_file: str | None = Field(
        default=None, description="File with the authority of the server's certificate: encrypts and verifies it."
    )

    def connect_args(self) -> dict[str, Any]:
        """What pymysql is given besides the URL."""
        # The driver would encode a password's text as latin1.
        given: dict[str, Any] = {"connect_timeout": 10, "charset": "utf8mb4", "password": self.password.encode()}
        if self.ca_file:
            given |= {"ssl_ca": self.ca_file, "ssl_verify_cert": True, "ssl_verify_identity": True}
        return given


class MySqlOverTls(MySqlProtocol):
    """The same where TLS is the rule: verified unless it is switched off."""

    tls: bool = Field(
        default=True,
        description="Encrypt, and verify the server's certificate and name; `false` sends everything in the clear.",
    )
    ca_file: str | None = Field(default=None, description="File with the authorities to trust; the system's if absent.")

    def connect_args(self) -> dict[str, Any]:
        """What pymysql is given besides the URL."""
        given = {name: value for name, value in super().connect_args().items() if not name.startswith("ssl_")}
        if not self.tls:
            return {**given, "ssl_disabled": True}
        context = ssl.create_default_context(cafile=self.ca_file)
        # Certificates that servers make for themselves lack what Python 3.13 asks for by default.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return {**given, "ssl": context}
