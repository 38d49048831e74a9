"""Microsoft Access: files that this connector reads itself, page by page."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts, SqlSource, any_dialect, kinds
from dataflow_platform.connectors._sql.rows import Reading
from dataflow_platform.connectors._sql.stream import join_name
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.connectors.access.pages import Pages, damaged
from dataflow_platform.connectors.access.records import TableReading, rows
from dataflow_platform.connectors.access.table import Table, table
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.paths import resolve

if TYPE_CHECKING:
    import sqlalchemy as sa

_CATALOGUE = 2
"""The page of the table of all tables."""
_OBJECTS = {"Id": "long", "Name": "text", "Type": "integer", "Flags": "long"}
_A_TABLE = 1
_OF_THE_SYSTEM = 0x80000002
_KINDS = {
    "byte": "UTINYINT", "integer": "SMALLINT", "long": "INTEGER", "large number": "BIGINT", "single": "FLOAT",
    "double": "DOUBLE", "currency": "DECIMAL(19,4)", "boolean": "BOOLEAN", "date/time": "TIMESTAMP",
    "date/time extended": "TIMESTAMP", "text": "VARCHAR", "memo": "VARCHAR", "binary": "BLOB", "ole": "BLOB",
    "guid": "UUID",
}  # fmt: skip


class Access(SqlSource):
    """Tables of a Microsoft Access file (.mdb since Access 2000, .accdb); neither Access nor a driver is needed.

    Linked tables and saved queries are not read. An encrypted file is refused; the password of an .mdb encrypts
    nothing, and is not asked for. A cursor saves no reading: the whole table is read, and the engine filters.
    """

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Microsoft Access",
        family="database",
        evidence="real_server",
        evidence_note="files that Access wrote: an .mdb with dates before 1899, and the system tables of an .accdb "
        "(numbers, texts, memos, dates, Yes/No, bytes); currency, decimal, GUID, large numbers and extended dates only "
        "in files the tests laid out, some of them compared with mdbtools",
        kinds=_KINDS,
        filtered=frozenset(),  # the file has no server that could
        as_text="{0}",
    )

    path: str = Field(description="The .mdb or .accdb file; relative paths start at the project root.")

    def where(self) -> str:
        """The file as errors name it."""
        return self.path

    def engine(self) -> Path:
        """The file."""
        self.run_prepare()
        return resolve(self.path)

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """The open file, for a few questions."""
        with Pages(self.engine(), self.where()) as pages:
            yield Opened(pages)

    def test_connection(self) -> str:
        """Open the file; how many tables it has."""
        with self.connected() as opened:
            count = len(opened.tables())
            return f"{count} tables in Microsoft Access file {self.path} (.{opened.pages.format})"

    def relations(self, connection: Any) -> Iterator[tuple[str | None, str]]:
        """The tables of the file itself; Access's own and linked ones are left out."""
        for name in sorted(connection.tables()):
            yield None, name

    def catalogue(self) -> list[CatalogueTable]:
        """The tables with columns, key and number of rows."""
        found = []
        with self.connected() as opened:
            for name, page in sorted(opened.tables().items()):
                told = table(opened.pages, page)
                columns = tuple(CatalogueColumn(field.name, field.words) for field in told.fields)
                found.append(
                    CatalogueTable(join_name(None, name), None, name, "table", columns, told.key, told.row_count)
                )
        return found

    def described(self, connection: Any, schema: str | None, table: str) -> list[tuple[str, str | None, str]]:
        """Name, kind and type words of every column; [] where there is no such table."""
        if schema or table not in connection.tables():
            return []
        return [
            (field.name, kinds.kind_of_words(field.words, _KINDS), field.words)
            for field in connection.table(table).fields
        ]

    def described_query(self, connection: Any, query: str) -> NoReturn:
        """ConfigError ``access.query``: the file has no server that could run it."""
        raise ConfigError(
            "access.query",
            "a file of Access is read by its tables: nothing here runs its SQL",
            where=self.where(),
            fix="set `table`, and do the rest in the pipeline's steps",
        )

    def reading(self, engine: Any, statement: "sa.Select[Any]", columns: Sequence[Column]) -> Reading:
        """The rows of the statement's one table."""
        (origin,) = statement.get_final_froms()
        pages = Pages(engine, self.where())
        try:
            told = Opened(pages).table(origin.name)  # type: ignore[attr-defined]
            return TableReading(pages, told, columns, self.explained, self.where())
        except BaseException:
            pages.close()
            raise


class Opened:
    """An open file and its list of tables."""

    dialect = any_dialect.dialect('"')

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self._tables: dict[str, int] | None = None

    def tables(self) -> dict[str, int]:
        """The page where the definition of each table begins, by the table's name."""
        if self._tables is None:
            objects = table(self.pages, _CATALOGUE)
            fields = [field for name in _OBJECTS for field in objects.fields if field.name == name]
            if [field.type for field in fields] != list(_OBJECTS.values()):
                raise damaged("its list of tables cannot be read", self.pages.where)
            self._tables = {
                name: number & 0xFFFFFF
                for number, name, kind, flags in rows(self.pages, objects, fields)
                if name and kind == _A_TABLE and not (flags or 0) & _OF_THE_SYSTEM
            }
        return self._tables

    def table(self, name: str) -> Table:
        """The definition of a table that is there."""
        return table(self.pages, self.tables()[name])
