"""Systems that speak PostgreSQL's protocol but are not PostgreSQL: psycopg2 with a cursor on the server's side."""

from typing import Any, Literal

from pydantic import Field

from dataflow_platform.connectors._sql.server import ServerFields

CONNECT_SECONDS = 10
SYSTEM_SCHEMAS = frozenset({"information_schema", "pg_catalog", "pg_toast", "crdb_internal", "pg_extension"})

# For catalogues that lack what SQLAlchemy's inspector asks for.
DESCRIBE_TABLE = """
SELECT column_name, CASE WHEN data_type IN ('numeric', 'decimal') AND numeric_precision IS NOT NULL
    THEN data_type || '(' || CAST(numeric_precision AS VARCHAR) || ',' || CAST(COALESCE(numeric_scale, 0) AS VARCHAR)
    || ')' ELSE data_type END
FROM information_schema.columns
WHERE table_name = :table AND table_schema = CASE WHEN :schema = '' THEN current_schema() ELSE :schema END
ORDER BY ordinal_position
"""
LIST_TABLES = "SELECT table_schema, table_name FROM information_schema.tables"

AS_TEXT = "CAST({0} AS TEXT)"
BYTE_ORDER = 'CAST({0} AS TEXT) COLLATE "C"'


class PostgresProtocol(ServerFields):
    """The fields psycopg2 needs."""

    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="verify-full", description="How much encryption is asked for, in libpq's words."
    )
    sslrootcert: str | None = Field(
        default=None, description="File with the authorities to trust; libpq's own (~/.postgresql/root.crt) if absent."
    )

    def connect_args(self) -> dict[str, Any]:
        """What psycopg2 is given besides the URL."""
        given: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "sslmode": self.sslmode,
            "application_name": "dataflow",
            "keepalives_idle": 30,
        }
        return {**given, "sslrootcert": self.sslrootcert} if self.sslrootcert else given

    def engine_args(self) -> dict[str, Any]:
        """JSON stays the server's text: taken apart, its numbers would pass through a double."""
        return {"json_deserializer": str}
