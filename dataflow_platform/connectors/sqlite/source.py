"""SQLite: a file that keeps any value in any column; here a column holds what it declares, or the load says so."""

import sqlite3
import tempfile
import uuid
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote as percent_encoded

import duckdb
from pydantic import Field

from dataflow_platform.connectors.sqlite import filtering
from dataflow_platform.connectors.sqlite.filtering import FileColumn, file_column
from dataflow_platform.core.base import ConnectorFacts, Scan, Source, Spec, State, Stream
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable
from dataflow_platform.core.duckdb_extension import load_extension
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, Location, TransientError, did_you_mean
from dataflow_platform.core.errors import unknown_name as unknown
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.server_filter import wanted
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.table_or_query import TableOrQuery, as_table, not_one_select, not_understood

_REFUSED = "SQLite holds other values"
_DAY = "[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]"
_CLOCK = "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
# What a value must be so that the scanner reads it as it is.
_FITS = {
    "VARCHAR": "typeof({0}) = 'text'",
    "DOUBLE": "(typeof({0}) = 'real' OR (typeof({0}) = 'integer' AND abs({0}) <= 9007199254740992))",
    "BLOB": "typeof({0}) = 'blob'",
    "BIGINT": "typeof({0}) = 'integer'",
    "DATE": f"(typeof({{0}}) = 'text' AND {{0}} GLOB '{_DAY}')",
    "TIMESTAMP": f"(typeof({{0}}) = 'text' AND ({{0}} GLOB '{_DAY} {_CLOCK}' OR ({{0}} GLOB '{_DAY} {_CLOCK}.[0-9]*' "
    "AND length({0}) <= 26 AND substr({0}, 21) NOT GLOB '*[^0-9]*')))",
}
# Twenty digits name one double only; sqlite_query itself would write fifteen.
_DIGITS = "CASE WHEN {0} IS NOT NULL THEN printf('%!.20g', {0}) END"
_HEX = "CASE WHEN {0} IS NOT NULL THEN hex({0}) END"
_TEXT = "CASE typeof({0}) WHEN 'real' THEN printf('%!.20g', {0}) WHEN 'blob' THEN hex({0}) ELSE CAST({0} AS TEXT) END"

_CATALOGUE = (
    "SELECT CAST(m.name AS TEXT), CAST(m.type AS TEXT), CAST(c.name AS TEXT), CAST(c.type AS TEXT), c.pk "
    "FROM sqlite_schema m, pragma_table_xinfo(m.name) c "
    "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' AND c.hidden <> 1 ORDER BY m.name, c.cid"
)


@dataclass(frozen=True)
class _Asked:
    """What is read: ``table`` is what SQLite calls it, ``scanned`` DuckDB (None: SQLite itself has to answer).

    ``where``: the rows SQLite answers with; of columns ``looked_at`` every row has to hold what is declared.
    """

    alias: str
    scanned: str | None
    table: str
    columns: list[FileColumn]
    where: str = ""
    looked_at: frozenset[str] = frozenset()


class SqliteStream(TableOrQuery):
    """What a stream of a SQLite file sets. A column that a query computes has no type and is read as text."""

    as_text: tuple[str, ...] = Field(
        default=(),
        description="Columns to read as text, for values that are not what the column declares: numbers with up to "
        "20 digits, bytes in hexadecimal.",
    )


class Sqlite(Source):
    """A SQLite database file.

    Where an index finds the rows that steps and cursor leave of a table, and they are few, SQLite itself is asked for
    them; else several threads scan the table. Values are judged in the rows and columns that are read; a filtered
    column of texts or times is judged in every row.
    """

    StreamOptions: ClassVar[type[Spec]] = SqliteStream
    facts: ClassVar[ConnectorFacts] = ConnectorFacts(
        title="SQLite",
        family="database",
        evidence="real_server",
        evidence_note="files written by Python's own sqlite3",
        extra="sqlite",
    )

    path: str = Field(description="The database file; relative paths start at the project root.")

    def test_connection(self) -> str:
        """Open the file; how many tables and views it has."""
        return f"{len(self.discover())} tables in SQLite file {self.path}"

    def discover(self) -> list[str]:
        """The tables and views, sorted."""
        with duckdb.connect() as connection:
            self._attach(connection, "source")
            return sorted(self._tables(connection, "source"))

    def catalogue(self) -> list[CatalogueTable]:
        """The same with kind, columns, key and, where ANALYZE left any, numbers of rows."""
        with duckdb.connect() as connection:
            self._attach(connection, "source")
            rows = connection.sql(f"SELECT * FROM sqlite_query('source', {literal(_CATALOGUE)})").fetchall()
            analyzed = dict(self._analyzed(connection, "source"))
        found = []
        for (name, kind), columns in groupby(rows, key=lambda row: (str(row[0]), row[1])):
            told = list(columns)
            key = sorted((int(row[4]), row[2]) for row in told if int(row[4]))
            found.append(
                CatalogueTable(
                    name, None, name, "view" if kind == "view" else "table",
                    tuple(CatalogueColumn(row[2], row[3] or "") for row in told),
                    tuple(column for _, column in key), analyzed.get(name),
                )
            )  # fmt: skip
        return found

    def _analyzed(self, connection: duckdb.DuckDBPyConnection, alias: str) -> list[tuple[str, int]]:
        """Table and number of rows when ANALYZE last looked; the planner's own table exists only after it."""
        asked = "SELECT name FROM sqlite_schema WHERE name = 'sqlite_stat1'"
        if not connection.sql(f"SELECT * FROM sqlite_query({literal(alias)}, {literal(asked)})").fetchall():
            return []
        asked = "SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl"
        rows = connection.sql(f"SELECT * FROM sqlite_query({literal(alias)}, {literal(asked)})").fetchall()
        return [(str(name), int(count)) for name, count in rows]

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """The table; a query is named after its stream."""
        return ((stream.options.table if isinstance(stream.options, SqliteStream) else None) or stream.name,)

    def scan(self, connection: duckdb.DuckDBPyConnection, stream: Stream, state: State) -> Scan:
        """The rows of a table, view or query. A column has the type it declares; another value fails the load."""
        options = stream.options if isinstance(stream.options, SqliteStream) else SqliteStream()
        alias = f"sqlite_{uuid.uuid4().hex[:12]}"
        # A connection of its own: ATTACH and DETACH inside the caller's transaction could abort that.
        side = connection.cursor()
        opened = [side]

        def close() -> None:
            if opened:
                opened.pop().execute(f"DETACH DATABASE IF EXISTS {alias}")
                side.close()

        try:
            self._attach(side, alias)
            return Scan(connection.sql(self._rows(side, alias, stream, state, options)), close=close)
        except BaseException as error:
            close()
            if isinstance(error, duckdb.Error):
                raise self.explain(error) or self._unreadable(error) from None
            raise

    def explain(self, error: BaseException) -> DataflowError | None:
        """What an error raised while the relation was read means; None where it is none of this source."""
        if isinstance(error, DataflowError):
            return error
        text = str(error)
        fix = "correct the values, or name the column under `as_text`: it is then read as text"
        if _REFUSED in text:
            what = text[text.index(_REFUSED) :].strip()
            return DataError("sqlite.value", what, where=self.path, fix=fix)
        if 'Invalid type in column "' in text:
            what = text[text.index("Invalid type in column") :].splitlines()[0]
            return DataError("sqlite.value", what, where=self.path, fix=fix)
        if "database is locked" in text:
            return TransientError(
                "sqlite.locked", "another process writes the file", where=self.path, fix="run it again"
            )
        return None

    def _unreadable(self, error: duckdb.Error) -> ConfigError:
        line = str(error).strip().splitlines()[0][:300]
        return ConfigError("sqlite.open", line, where=self.path, fix="check that it is a SQLite file and may be read")

    def _rows(
        self, connection: duckdb.DuckDBPyConnection, alias: str, stream: Stream, state: State, options: SqliteStream
    ) -> str:
        """A SELECT over the attached file."""
        if options.query:
            declared = self._declared_by(options.query)
            described = self._described(connection, alias, declared)
            columns = self._columns(connection, alias, described, declared, options)
            asked = _Asked(alias, None, as_table(options.query), wanted(columns, stream))
            return self._query(connection, asked, options.as_text)
        table = options.table or stream.name
        known = self._tables(connection, alias)
        if table not in known:
            fix = did_you_mean(table, known, "check `table`")
            raise ConfigError("table.unknown", f"unknown table '{table}'", where=self.path, fix=fix)
        named = f"{alias}.main.{quote(table)}"
        described = [(str(row[0]), str(row[1])) for row in connection.sql(f"DESCRIBE {named}").fetchall()]
        declared = self._declared(connection, alias, table)
        columns = self._columns(connection, alias, described, declared, options)
        asked = _Asked(alias, named, quote(table), wanted(columns, stream))
        if known[table] == "table":  # what a view compares need not be what it declares
            where = Location(path=self.path)
            if filtered := filtering.sent(connection, alias, quote(table), columns, stream, state, where):
                looked_at = filtering.looked_at(asked.columns, stream, state)
                asked = replace(asked, scanned=None, where=filtered, looked_at=frozenset(looked_at))
        return self._query(connection, asked, options.as_text)

    def _columns(
        self, connection: duckdb.DuckDBPyConnection, alias: str, described: list[tuple[str, str]],
        declared: dict[str, str], options: SqliteStream,
    ) -> list[FileColumn]:  # fmt: skip
        for name in options.as_text:
            if name not in dict(described):
                raise unknown("column", name, dict(described), "check `as_text`")
        encoding = connection.sql(f"SELECT * FROM sqlite_query({literal(alias)}, 'PRAGMA encoding')").fetchall()
        in_utf8 = str(encoding[0][0]) == "UTF-8"
        return [
            file_column(name, kind, declared.get(name, "x"), name in options.as_text, in_utf8)
            for name, kind in described
        ]

    def _query(self, connection: duckdb.DuckDBPyConnection, asked: "_Asked", as_text: tuple[str, ...]) -> str:
        # Without a type any value is right: only text holds them all.
        texts = {column.name for column in asked.columns if column.name in as_text or not column.declared}
        checked = [column for column in asked.columns if column.kind in _FITS and column.name not in texts]
        # Now, as the scanner's own complaint about bytes in a text cannot be read: it quotes them.
        spoken = [column for column in checked if column.kind == "VARCHAR"]
        for guard in self._guards(asked, spoken):
            connection.sql(f"SELECT {guard}").fetchall()
        rows = asked.scanned
        made = {column.name: (quote(column.name), f"CAST({quote(column.name)} AS {column.kind})")
                for column in asked.columns}  # fmt: skip
        if texts or rows is None:
            # SQLite answers a query without types: what is no text of itself travels as one.
            blobs = {column.name for column in asked.columns if column.kind == "BLOB"} - texts
            made |= {name: (_HEX.format(quote(name)), f"unhex(CAST({quote(name)} AS VARCHAR))") for name in blobs}
            reals = {column.name for column in asked.columns if column.kind == "DOUBLE"} - texts
            made |= {name: (_DIGITS.format(quote(name)), f"CAST({quote(name)} AS DOUBLE)") for name in reals}
            made |= {name: (_TEXT.format(quote(name)), f"CAST({quote(name)} AS VARCHAR)") for name in texts}
            there = ", ".join(f"{there} AS {quote(name)}" for name, (there, _) in made.items())
            answered = f"SELECT {there} FROM {asked.table}{asked.where}"
            rows = f"sqlite_query({literal(asked.alias)}, {literal(answered)})"
        columns = ", ".join(f"{here} AS {quote(name)}" for name, (_, here) in made.items())
        guards = self._guards(asked, [column for column in checked if column not in spoken])
        where = f" WHERE {' AND '.join(guards)}" if guards else ""
        return f"SELECT {columns} FROM {rows}{where}"

    def _guards(self, asked: "_Asked", checked: list[FileColumn]) -> list[str]:
        """SQL: TRUE once SQLite found no other value in the columns; an error where it did. Run once a query."""
        everywhere = [column for column in checked if column.name in asked.looked_at]
        others = [column for column in checked if column.name not in asked.looked_at]
        parts = [(everywhere, ""), (others, asked.where)]
        return [self._guard(asked, columns, where) for columns, where in parts if columns]

    def _guard(self, asked: "_Asked", checked: list[FileColumn], where: str) -> str:
        fits = [f"{quote(each.name)} IS NULL OR {_FITS[each.kind].format(quote(each.name))}" for each in checked]
        others = [f"count(CASE WHEN {fit} THEN NULL ELSE 1 END) AS n{number}" for number, fit in enumerate(fits)]
        counted = literal(f"SELECT {', '.join(others)} FROM {asked.table}{where}")
        cases = [
            f"WHEN CAST(n{number} AS BIGINT) > 0 THEN error({literal(_REFUSED + ': ')} || n{number} || "
            + literal(f" in column '{each.name}' ({each.declared}), which is read as {each.kind}")
            + ")"
            for number, each in enumerate(checked)
        ]
        return f"(SELECT CASE {' '.join(cases)} ELSE TRUE END FROM sqlite_query({literal(asked.alias)}, {counted}))"

    def _declared(self, connection: duckdb.DuckDBPyConnection, alias: str, table: str) -> dict[str, str]:
        asked = f"SELECT name, type FROM pragma_table_xinfo({literal(table)})"
        rows = connection.sql(
            f"SELECT CAST(name AS VARCHAR), CAST(type AS VARCHAR) FROM sqlite_query({literal(alias)}, {literal(asked)})"
        )
        return {str(name): str(kind or "") for name, kind in rows.fetchall()}

    def _declared_by(self, query: str) -> dict[str, str]:
        """The columns of a query with the types their origins declare ('' of what is computed); reads no row."""
        where = Location(path=self.path)
        alone = False
        try:
            with closing(sqlite3.connect(f"file:{percent_encoded(str(resolve(self.path)))}?mode=ro", uri=True)) as file:
                # A view takes one SELECT and nothing else; it is temporary, and the file is open for reading only.
                file.execute(f"CREATE TEMP VIEW dataflow_asked AS {query}")
                told = file.execute("SELECT name, type FROM pragma_table_xinfo('dataflow_asked')").fetchall()
                alone = True
                file.execute(f"SELECT * FROM {as_table(query)} LIMIT 0")
            return {str(name): str(kind or "") for name, kind in told}
        except sqlite3.Error as error:
            if alone or "one statement at a time" in str(error):
                raise not_one_select(str(error), where) from None
            raise self.explain(error) or not_understood(str(error), where) from None

    def _described(
        self, connection: duckdb.DuckDBPyConnection, alias: str, declared: dict[str, str]
    ) -> list[tuple[str, str]]:
        """The types in which DuckDB reads columns that are declared so: it says so of a table made for the purpose."""
        columns = ", ".join(f"{quote(name)} {quote(kind or 'BLOB')}" for name, kind in declared.items())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "types.sqlite"
            with closing(sqlite3.connect(path)) as file:
                file.execute(f"CREATE TABLE declared ({columns})")
            connection.execute(f"ATTACH {literal(str(path))} AS {alias}_types (TYPE sqlite, READ_ONLY)")
            try:
                described = connection.sql(f"DESCRIBE {alias}_types.main.declared").fetchall()
            finally:
                connection.execute(f"DETACH {alias}_types")
        return [(str(row[0]), str(row[1])) for row in described]

    def _tables(self, connection: duckdb.DuckDBPyConnection, alias: str) -> dict[str, str]:
        """Name and kind of every table and view."""
        asked = "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
        rows = connection.sql(
            f"SELECT CAST(name AS VARCHAR), CAST(type AS VARCHAR) FROM sqlite_query({literal(alias)}, {literal(asked)})"
        )
        return {str(name): str(kind) for name, kind in rows.fetchall()}

    def _attach(self, connection: duckdb.DuckDBPyConnection, alias: str) -> None:
        path = resolve(self.path)
        if not path.is_file():  # SQLite would make an empty one
            raise ConfigError("sqlite.path", f"there is no file {path}", where="path", fix="check `path`")
        load_extension(connection, "sqlite_scanner", "sqlite", "sqlite.scanner")
        try:
            connection.execute(f"ATTACH {literal(str(path))} AS {alias} (TYPE sqlite, READ_ONLY)")
            self._tables(connection, alias)
        except duckdb.Error as error:
            raise self.explain(error) or self._unreadable(error) from error
