"""A table of one version as a session sees and changes it, without copying it.

The rows are those of the version's files, less the rows that were deleted (``gone``), plus the rows
that were inserted or updated (``added``). Files are read by the statements that ask for their rows, column
by column; only files that lost a row are written anew, at the commit. An added row has no FILE, and its rowid as ROW.
"""

from collections.abc import Callable, Sequence

import duckdb

from dataflow_platform.connectors._lake.file_scan import FILE, ROW, file_scan
from dataflow_platform.connectors._lake.log import DataFile
from dataflow_platform.core.base import Column, Table
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import qualified, quote

INTERNAL = "_dataflow_lake"
"""The engine's schema for what a working table is made of."""


class WorkingTable:
    """The rows of ``files``, which may change; ``number`` is its own within the engine."""

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        number: int,
        name: Table,
        columns: Sequence[Column],
        files: Sequence[DataFile] = (),
        url: Callable[[DataFile], str] = lambda file: file.path,
        partition_by: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._number = number
        self.name = name
        self.files = list(files)
        self._url = url
        self.partition_by = tuple(partition_by)
        self._origin = {column.name: column.name for column in columns}
        self.required = {column.name for column in columns if not column.nullable}
        """Columns that may not hold NULL."""
        self.dropped: set[int] = set()
        """Numbers of files whose rows are all gone."""
        self.changed = False
        """A statement changed a row or a column."""
        self.rewritten = False
        """The files no longer say what the columns are: all have to be written anew."""
        self._some_gone = False
        self._shown = False
        declared = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
        engine.execute(f"CREATE SCHEMA IF NOT EXISTS {INTERNAL}; CREATE TABLE {self.added} ({declared})")
        engine.execute(f"CREATE TABLE {self._gone} ({FILE} UBIGINT, {ROW} BIGINT)")

    @property
    def added(self) -> str:
        """The engine's table with the added rows, quoted; it has the table's columns."""
        return f"{INTERNAL}.{quote(f'added_{self._number}')}"

    @property
    def rows(self) -> str:
        """The engine's view of all rows with the place of each, quoted."""
        return f"{INTERNAL}.{quote(f'rows_{self._number}')}"

    @property
    def _gone(self) -> str:
        return f"{INTERNAL}.{quote(f'gone_{self._number}')}"

    def columns(self) -> tuple[Column, ...]:
        """The columns in order, as they are by now."""
        rows = self._engine.execute(f"DESCRIBE {self.added}").fetchall()
        return tuple(Column(str(name), str(kind), nullable=name not in self.required) for name, kind, *_ in rows)

    def show(self) -> None:
        """Let statements of the engine read the table under its own name, as it is by now."""
        if self._shown:
            return
        columns = self.columns()
        own = listed([column.name for column in columns])
        kept = self._live(range(len(self.files)))
        self._engine.execute(
            f"CREATE OR REPLACE VIEW {self.rows} AS {kept} UNION ALL "
            f"SELECT {own}, NULL::UBIGINT AS {FILE}, rowid AS {ROW} FROM {self.added}"
        )
        self._engine.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self.name.schema)}")
        self._engine.execute(
            f"CREATE OR REPLACE VIEW {qualified(self.name.schema, self.name.name)} AS SELECT {own} FROM {self.rows}"
        )
        self._shown = True

    def hide(self) -> None:
        """Forget the views: what they show has changed."""
        self._shown = False

    def unname(self) -> None:
        """Take the name away from the engine: the table goes, or gets another one."""
        self._engine.execute(f"DROP VIEW IF EXISTS {qualified(self.name.schema, self.name.name)}")
        self.hide()

    def rename(self, name: Table) -> None:
        """Be the table ``name`` from now on."""
        self.unname()
        self.name = name

    def count(self) -> int | None:
        """The number of rows, from what the log says of its files; None where it does not say."""
        if any(file.rows is None for file in self.files):
            return None
        whole = sum(file.rows or 0 for number, file in enumerate(self.files) if number not in self.dropped)
        row = self._engine.execute(
            f"SELECT (SELECT count(*) FROM {self.added}) - (SELECT count(*) FROM {self._gone})"
        ).fetchone()
        return whole + (int(row[0]) if row else 0)

    def take_in(self, files: Sequence[DataFile]) -> None:
        """Add files this session wrote: their rows are inserted."""
        self.files += files
        self.changed = True
        self.hide()

    def forget_hits(self, hits: str) -> int:
        """Delete the rows whose places the engine's table ``hits`` holds, each once; how many there were."""
        self._engine.execute(f"INSERT INTO {self._gone} SELECT {FILE}, {ROW} FROM {hits} WHERE {FILE} IS NOT NULL")
        self._engine.execute(f"DELETE FROM {self.added} WHERE rowid IN (SELECT {ROW} FROM {hits} WHERE {FILE} IS NULL)")
        row = self._engine.execute(f"SELECT count(*), count({FILE}) FROM {hits}").fetchone()
        assert row is not None
        if row[1] and not self._some_gone:
            self._some_gone = True
            self.hide()
        self.changed = self.changed or bool(row[0])
        return int(row[0])

    def forget_all(self) -> int:
        """Delete every row; how many there were."""
        found = self.count()
        if found is None:
            self.show()
            row = self._engine.execute(f"SELECT count(*) FROM {self.rows}").fetchone()
            found = int(row[0]) if row else 0
        self.dropped = set(range(len(self.files)))
        self._engine.execute(f"TRUNCATE {self._gone}; TRUNCATE {self.added}")
        self._some_gone = False
        self.changed = True
        self.hide()
        return found

    def altered(self, renamed: tuple[str, str] | None = None, rewritten: bool = False) -> None:
        """Take note that the columns of ``added`` were changed: the others follow it."""
        if renamed:
            self._origin[renamed[1]] = self._origin.pop(renamed[0])
            if renamed[0] in self.required:
                self.required = self.required - {renamed[0]} | {renamed[1]}
        known = {column.name for column in self.columns()}
        self._origin = {name: origin for name, origin in self._origin.items() if name in known}
        self.rewritten = self.rewritten or rewritten
        if not self.rewritten:  # files this session writes from now on hold the new column
            self._origin |= {name: name for name in known - self._origin.keys()}
        self.changed = True
        self.hide()

    def is_clean(self) -> bool:
        """True while no row was deleted or added one by one."""
        row = self._engine.execute(f"SELECT count(*) FROM (SELECT 1 FROM {self.added} LIMIT 1)").fetchone()
        return not self._some_gone and not self.rewritten and row == (0,)

    def touched(self) -> set[int]:
        """Numbers of the files that cannot stay as they are."""
        if self.rewritten:
            return set(range(len(self.files)))
        rows = self._engine.execute(f"SELECT DISTINCT {FILE} FROM {self._gone}").fetchall()
        return {int(number) for (number,) in rows} | self.dropped

    def to_write(self, numbers: set[int], with_added: bool = True) -> str:
        """A SELECT of the rows that are left of these files and, where asked for, of the added ones."""
        own = listed([column.name for column in self.columns()])
        kept = sorted(numbers - self.dropped)
        parts = [f"SELECT {own} FROM ({self._live(kept)})"] if kept else []
        if with_added or not parts:
            parts.append(f"SELECT {own} FROM {self.added}" + ("" if with_added else " WHERE FALSE"))
        return " UNION ALL ".join(parts)

    def _live(self, numbers: Sequence[int]) -> str:
        files = {number: self.files[number] for number in numbers if number not in self.dropped}
        base = file_scan(self._engine, self.columns(), files, self._url, self.partition_by, self._origin)
        if not self._some_gone:
            return base
        return (
            f"SELECT live.* FROM ({base}) AS live ANTI JOIN {self._gone} AS gone "
            f"ON live.{FILE} = gone.{FILE} AND live.{ROW} = gone.{ROW}"
        )
