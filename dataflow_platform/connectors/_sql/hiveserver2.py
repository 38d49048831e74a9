"""What Hive and Spark SQL share: the Thrift protocol of HiveServer2, by pyhive, and the catalogue by its statements."""

import importlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dataflow_platform.connectors._sql import catalogue, facts, kinds
from dataflow_platform.connectors._sql.server import ServerFields
from dataflow_platform.core.catalogue import CatalogueTable

if TYPE_CHECKING:
    import sqlalchemy as sa

FILTERED = facts.FILTERED - {"DECIMAL"}
"""pyhive cannot bind a decimal."""
AS_TEXT = "CAST({0} AS STRING)"
SPARK_JSON = (
    "to_json({0}, map('ignoreNullFields', 'false', 'timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX\", "
    "'timestampNTZFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\"))"
)
"""Spark's JSON of anything nested; by itself it leaves out fields without a value and cuts times to milliseconds."""
_MISSING = re.compile(r"(TABLE_OR_VIEW|SCHEMA|TABLE|DATABASE)_NOT_FOUND|Table not found|Database does not exist")


class HiveServer2(ServerFields):
    """The fields pyhive needs."""

    port: int = Field(default=10000, description="TCP port of the Thrift server.")
    database: str = Field(default="default", description="Database of tables that are named without one.")
    auth: Literal["NONE", "LDAP", "CUSTOM", "KERBEROS", "NOSASL"] = Field(
        default="NONE", description="How the server asks who is there; LDAP and CUSTOM take the password."
    )

    def connect_args(self) -> dict[str, Any]:
        """What pyhive is given besides the URL."""
        return {"auth": self.auth}

    def engine(self) -> "sa.Engine":
        """pyhive's engine, which spells names as the server does."""
        engine = super().engine()
        engine.dialect.statement_compiler = _compiler()
        preparer = engine.dialect.identifier_preparer
        preparer.escape_quote, preparer.escape_to_quote = preparer.final_quote, preparer.final_quote * 2
        return engine

    def relations(self, connection: "sa.Connection") -> Iterator[tuple[str | None, str]]:
        """Schema and name of every table and view; SHOW TABLES lists both."""
        import sqlalchemy as sa

        for (schema,) in list(connection.execute(sa.text("SHOW DATABASES"))):
            if schema.lower() in self.facts.system_schemas:
                continue
            # Hive tells the name alone, Spark also the schema before it and whether the table is temporary.
            for told in connection.execute(sa.text(f"SHOW TABLES IN {_quoted(connection, schema)}")):
                yield schema, told[1] if len(told) > 1 else told[0]

    def catalogue(self) -> list[CatalogueTable]:
        """Tables and views with their columns, described one by one."""
        with self.connected() as connection:
            tables = list(self.relations(connection))
            return catalogue.described(tables, lambda *each: self.described(connection, *each), self.facts.title)

    def described(
        self, connection: "sa.Connection", schema: str | None, table: str
    ) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words by DESCRIBE: the driver's own types make a FLOAT of DOUBLE."""
        import sqlalchemy as sa

        name = ".".join(_quoted(connection, part) for part in (schema, table) if part)
        try:
            rows = connection.execute(sa.text(f"DESCRIBE {name}")).fetchall()
        except sa.exc.DBAPIError as error:
            if _MISSING.search(str(error.orig)):
                return []
            raise
        return self.typed(rows)

    def typed(self, rows: Any) -> list[tuple[str, str | None, str]]:
        """The columns of a DESCRIBE; what it tells of partitions begins with a row without a type."""
        told = []
        for name, words, *_ in rows:
            if not words:
                break
            told.append((name, kinds.kind_of_words(words, self.facts.kinds), words.lower()))
        return told


def _compiler() -> "type[sa.sql.compiler.SQLCompiler]":
    """pyhive's own takes a column apart at every dot, also at those inside of a name or a template."""
    compiler: Any = importlib.import_module("pyhive.sqlalchemy_hive").HiveCompiler
    from sqlalchemy.sql.compiler import SQLCompiler

    class OneTable(compiler):  # type: ignore[misc]
        def visit_column(self, column: Any, *args: Any, **given: Any) -> str:
            # There is one table, and Hive knows no name of three parts.
            return SQLCompiler.visit_column(self, column, *args, **{**given, "include_table": False})

    return OneTable


def _quoted(connection: "sa.Connection", name: str) -> str:
    # A colon would begin a parameter.
    return connection.dialect.identifier_preparer.quote(name).replace(":", "\\:")
