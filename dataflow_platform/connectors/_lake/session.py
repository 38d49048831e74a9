"""One transaction on a lake: rows, quarantine, state and load record become one new version of one table."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import duckdb
from sqlglot import exp

from dataflow_platform.connectors._lake import statements
from dataflow_platform.connectors._lake.lake import Lake
from dataflow_platform.connectors._lake.ledger import Ledger, Member, is_system
from dataflow_platform.connectors._lake.log import DataFile
from dataflow_platform.connectors._lake.naming import folder_of, name_of
from dataflow_platform.connectors._lake.next_version import OpenTable, publish
from dataflow_platform.connectors._lake.partitioning import partition_columns
from dataflow_platform.connectors._lake.working_table import WorkingTable
from dataflow_platform.connectors._lake.writing import Layout, PendingFiles, sweep
from dataflow_platform.core.base import Ahead, Column, Session, Table
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import qualified, quote


class LakeSession(Session):
    """One transaction. Nothing is locked before ``lock`` or the first row is written; one table can be changed."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, lake: Lake) -> None:
        self.connection = engine
        self._lake = lake
        self._store = lake.store
        self._tables: dict[Table, OpenTable] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._locked: dict[Table, Callable[[], None]] = {}
        self._staged: set[Table] = set()
        self._next = count()
        self._open = True

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError) as error:
            known = self._store.explained(error)
            if known is None and isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException):
                known = DataError(
                    "lake.value",
                    str(error).splitlines()[0][:300],
                    where=self._store.described(),
                    fix="a value does not fit the column's type in the lake: cast the column in the pipeline",
                )
            if known is None:
                raise
            raise known from error

    def lock(self, target: Table) -> None:
        """Keep other loads of ``target`` out where the store has locks; else the later commit fails."""
        if target in self._locked:
            return
        with self._told():
            self._locked[target] = self._store.lock(folder_of(target), self._lake.wait_seconds)
            # What was seen before the lock was ours may be old; what was built on it, the commit will refuse.
            seen = self._tables.get(target)
            if seen and seen.working is None and target.schema not in self._ledgers:
                del self._tables[target]
            opened = self._look(target)
            if opened.snapshot is None:
                self._refuse_hidden(target)
            opened.after_commit += sweep(self._store, opened.log, opened.snapshot)

    def _refuse_hidden(self, target: Table) -> None:
        """Of two tables that differ only in case the engine would show one under both names."""
        for schema in self.schemas():
            if schema != target.schema and not target.hidden_by(Table(schema, "")):
                continue
            alike = [Table(schema, name) for name in self._names(schema) if target.hidden_by(Table(schema, name))]
            if any(self._look(table).snapshot is not None for table in alike):
                raise ConfigError(
                    "lake.alike",
                    f"'{alike[0].schema}.{alike[0].name}' is there already and differs only in case",
                    where=f"{target.schema}.{target.name}",
                    fix="write the name as it is there, or give the new one another name",
                )

    def _look(self, table: Table) -> OpenTable:
        if table not in self._tables:
            with self._told():
                log = self._lake.log(table)
                snapshot = log.snapshot()
                version = snapshot.version + 1 if snapshot else 0
                pending = PendingFiles(self.connection, self._store, log.folder, version)
                parts = snapshot.partition_by if snapshot else ()
                self._tables[table] = OpenTable(table, log, snapshot, pending, partition_by=parts)
        return self._tables[table]

    def _working(self, table: Table) -> WorkingTable | None:
        """The table as it can be changed; None where the lake has none of that name."""
        if table.name.endswith(_AHEAD) and table in self._staged:
            return self._ahead(table)
        if table in self._staged or table.schema in ("", "temp"):
            return None
        if is_system(table.name):
            return self._ledger(table.schema).table(table.name)
        opened = self._look(table)
        if opened.working is None and opened.snapshot is not None:
            found = opened.snapshot
            opened.working = WorkingTable(
                self.connection, next(self._next), table, found.columns, found.files,
                self._url(opened), found.partition_by,
            )  # fmt: skip
            opened.old_files = len(found.files)
        return opened.working

    def _url(self, opened: OpenTable) -> Callable[[DataFile], str]:
        return lambda file: self._store.url(f"{opened.log.folder}/{file.path}")

    def _ledger(self, schema: str) -> Ledger:
        if schema not in self._ledgers:
            tables = [table for table in self._locked if table.schema == schema] or self.tables(schema)
            members = []
            for table in tables:
                opened = self._look(table)
                properties = opened.snapshot.properties if opened.snapshot else {}
                members.append(Member(table, opened.log.folder, properties))
            self._ledgers[schema] = Ledger(self.connection, schema, members, self._store.url, lambda: next(self._next))
        return self._ledgers[schema]

    def described(self) -> str:
        """Where the lake is, for people."""
        return self._store.described()

    def schemas(self) -> list[str]:
        """The schemas of the lake."""
        with self._told():
            return [name_of(folder) for folder in self._store.folders("") if not folder.startswith(".")]

    def tables(self, schema: str) -> list[Table]:
        """The tables of a schema that hold a version."""
        found = [Table(schema, name) for name in self._names(schema)]
        return [table for table in found if self._look(table).snapshot is not None]

    def _names(self, schema: str) -> list[str]:
        folder = folder_of(Table(schema, "x")).rpartition("/")[0]
        with self._told():
            return [name_of(name) for name in self._store.folders(folder) if not name.startswith(".")]

    def system_tables(self, schema: str) -> list[Table]:
        """The system tables of a schema."""
        return [Table(schema, name) for name in self._ledger(schema).names()]

    def stored(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """``columns`` with the types they have once they are in the lake; ConfigError where it has none."""
        log = self._lake.log(Table("main", "x"))
        return tuple(replace(column, type=log.stored(column)) for column in columns)

    def stage(self, query: str, target: Table) -> Table:
        """Run ``query`` once in the engine, beside no schema's name."""
        staged = super().stage(query, Table("main", target.name))
        self._staged.add(staged)
        return staged

    def expose(self, table: Table) -> None:
        """Let the engine read ``table`` under its own name, as this session sees it."""
        working = self._working(table)
        if working is not None:
            with self._told():
                working.show()

    def columns(self, table: Table) -> tuple[Column, ...] | None:
        """The columns in order, as this session sees them; None where there is no such table."""
        opened = None if is_system(table.name) else self._look(table)
        if opened and opened.working is None:
            return opened.snapshot.columns if opened.snapshot else None
        working = self._working(table)
        return working.columns() if working else None

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; the number of rows it touched (0 for DDL)."""
        tree = statements.parsed(sql)
        if self._defined(tree):
            return 0
        target = statements.table_of(tree.this) if isinstance(tree, _CHANGING) else None
        working = self._working(target) if target else None
        self._expose_all(statements.named(tree) - ({target} if target else set()))
        with self._told():
            if working is None or target is None:
                answer = self.connection.execute(sql, list(parameters) or None).fetchall()
                return int(answer[0][0]) if answer and isinstance(answer[0][0], int) else 0
            moved = statements.transferred(tree) if isinstance(tree, exp.Insert) else None
            if moved and not is_system(target.name) and not parameters and working.is_clean():
                return self._transfer(self._tables[target], working, *moved)
            return statements.Changes(self.connection, self._stored_type).run(tree, working, parameters)

    def _stored_type(self, name: str, kind: str) -> str:
        return self.stored([Column(name, kind)])[0].type

    def _defined(self, tree: exp.Expr) -> bool:
        """Make, drop or rename a system table, where the statement does; a schema needs no making."""
        if not isinstance(tree, exp.Create | exp.Drop | exp.Alter) or tree.kind not in ("SCHEMA", "TABLE"):
            return False
        if tree.kind == "SCHEMA":
            return True
        named = tree.args["tables"][0] if isinstance(tree, exp.Drop) else tree.this
        table = statements.table_of(named)
        if table is None or table.schema == "temp" or (isinstance(tree, exp.Alter) and not statements.new_name(tree)):
            return False
        if not is_system(table.name):
            raise ConfigError(
                "lake.statement",
                f"a lake's tables are made, replaced and named by their loads: {tree.sql('duckdb')[:200]}",
                fix="load rows into it",
            )
        ledger = self._ledger(table.schema)
        if isinstance(tree, exp.Drop):
            ledger.drop(table.name)
        elif isinstance(tree, exp.Alter):
            ledger.rename(table.name, statements.new_name(tree))
        elif isinstance(tree.this, exp.Schema):
            ledger.create(table.name, [Column(each.name, each.kind.sql("duckdb")) for each in tree.this.expressions])
        else:
            self._expose_all(statements.named(tree.expression))
            query = tree.expression.sql("duckdb")
            ledger.create(table.name, self._described(f"({query})"))
            self.append(table, query)
        return True

    def _expose_all(self, tables: set[Table]) -> None:
        for table in tables - self._staged:
            self.expose(table)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one SELECT and fetch all of its (few) rows. Rows of a whole table are counted by its log."""
        tree = statements.parsed(sql)
        asked = statements.counted(tree)
        working = self._working(asked) if asked else None
        if working is not None:
            with self._told():
                known = working.count()
            if known is not None:
                return [(known,)]
        self._expose_all(statements.named(tree))
        with self._told():
            return self.connection.execute(sql, list(parameters) or None).fetchall()

    def append(self, table: Table, query: str) -> int:
        """Insert the rows of an engine query, columns by position."""
        working = self._working(table)
        assert working is not None
        with self._told():
            found = len(self.connection.execute(f"DESCRIBE {query}").fetchall())
            names = listed([column.name for column in working.columns()[:found]])
            return self.execute(f"INSERT INTO {qualified(table.schema, table.name)} ({names}) {query}")

    def bring(self, staged: Table) -> Table:
        """The staging table itself, with the types its rows will have in the lake."""
        name = qualified(staged.schema, staged.name)
        described = self._described(name)
        with self._told():
            for column, kept in zip(described, self.stored(described), strict=True):
                if kept.type != column.type:
                    self.connection.execute(
                        f"ALTER TABLE {name} ALTER COLUMN {quote(kept.name)} SET DATA TYPE {kept.type}"
                    )
        return staged

    def _described(self, name: str) -> list[Column]:
        rows = self.connection.execute(f"DESCRIBE FROM {name}").fetchall()
        return [Column(str(column), str(kind), nullable=null != "NO") for column, kind, null, *_ in rows]

    def _transfer(self, opened: OpenTable, working: WorkingTable, names: Sequence[str], query: str) -> int:
        """Write the rows of an INSERT as files at once: nothing else of the table is read or kept."""
        self.lock(opened.table)
        columns = working.columns()
        given = {name.lower() for name in names}
        missing = [column for column in columns if column.name.lower() not in given]
        nulls = "".join(f", NULL::{column.type} AS {quote(column.name)}" for column in missing)
        source = f"SELECT *{nulls} FROM ({query}) AS given({listed(names)})"
        files = opened.pending.write(source, columns, self._layout(opened))
        working.take_in(files)
        return sum(file.rows or 0 for file in files)

    def _layout(self, opened: OpenTable) -> Layout:
        return Layout(opened.partition_by, self._lake.file_size, opened.log.empty_is_null)

    def can_write_ahead(self, columns: Sequence[Column], target: Table) -> Ahead:
        """Where the files give every value back as it is now, and the folder of a row says nothing of it."""
        with self._told():
            exact = self.stored(columns) == tuple(columns)
            opened = self._look(target)
            return "readable" if exact and not partition_columns(opened, self._lake.partition_by, columns) else "no"

    def write_ahead(
        self, query: str, target: Table, readers: Sequence[duckdb.DuckDBPyConnection] = ()
    ) -> tuple[Table, int]:
        """Write the rows as files that no version holds yet."""
        self.lock(target)
        name = Table("main", target.name + _AHEAD)
        opened, columns = self._look(target), self._described(f"({query})")
        opened.ahead = self._new(opened, name, columns)
        self._staged.add(name)
        # The last statement of the engine: its profile is looked at.
        opened.ahead.take_in(opened.pending.write(query, columns, self._layout(opened), readers))
        return name, sum(file.rows or 0 for file in opened.ahead.files)

    def placed(self, table: Table) -> str:
        """The rows with file and row number."""
        return f"SELECT * FROM {self._ahead(table).rows}"

    def take_out(self, table: Table, places: Table) -> int:
        """Remember that these rows are gone: their files will be written anew."""
        ahead = self._ahead(table)
        gone = ahead.forget_hits(qualified(places.schema, places.name))
        ahead.show()
        return gone

    def _ahead(self, table: Table) -> WorkingTable:
        return next(each.ahead for each in self._tables.values() if each.ahead and each.ahead.name == table)

    def explain(self, error: duckdb.Error) -> DataflowError | None:
        """What the store says of files that were written ahead; the source's may lie in a store like it."""
        ours = any(each.pending.token in str(error) for each in self._tables.values() if each.ahead)
        return self._store.explained(error) if ours else None

    def publish_as_new(self, staged: Table, target: Table) -> None:
        """Make files the whole table with the commit, once they are written. Old files stay readable."""
        self.lock(target)
        opened, name = self._look(target), qualified(staged.schema, staged.name)
        with self._told():
            ahead = opened.ahead if opened.ahead and opened.ahead.name == staged else None
            columns = ahead.columns() if ahead else self.stored(self._described(name))
            opened.partition_by = partition_columns(opened, self._lake.partition_by, columns)
            if opened.snapshot is not None:
                opened.removed = list(opened.snapshot.files)
            opened.old_files = 0
            opened.working = ahead or self._new(opened, target, columns)
            opened.working.changed = True
            if ahead:
                ahead.rename(target)
            else:
                opened.working.take_in(opened.pending.write(f"SELECT * FROM {name}", columns, self._layout(opened)))

    def _new(self, opened: OpenTable, name: Table, columns: Sequence[Column]) -> WorkingTable:
        return WorkingTable(
            self.connection, next(self._next), name, columns, (), self._url(opened), opened.partition_by
        )  # fmt: skip

    def written(self, table: Table, columns: Sequence[Column], whole: bool) -> str:
        """The rows as the files and the engine hold them that will be the next version's."""
        opened = self._look(table)
        assert opened.working is not None
        kept = {column.name.lower(): column.type for column in opened.working.columns()}
        listed = ", ".join(
            quote(column.name)
            if kept.get(column.name.lower()) == column.type
            else f"TRY_CAST({quote(column.name)} AS {column.type}) AS {quote(column.name)}"
            for column in columns
        )
        first = 0 if whole else opened.old_files
        return f"SELECT {listed} FROM ({opened.working.to_write(set(range(first, len(opened.working.files))))})"

    def commit(self) -> None:
        """Make everything of this session visible at once, as one new version of one table."""
        with self._told():
            written = [opened.table for opened in self._tables.values() if opened.working and opened.working.changed]
            homes = {home for ledger in self._ledgers.values() if (home := ledger.home(written)) is not None}
            homes |= set(written)
            if len(homes) > 1:
                raise ConfigError(
                    "lake.two_tables",
                    f"one transaction would change {len(homes)} tables: a lake commits one table at a time",
                    where=", ".join(sorted(f"{home.schema}.{home.name}" for home in homes)),
                    fix="load them one after the other",
                )
            for home in homes:
                self._publish(self._look(home))
        self._open = False

    def _publish(self, opened: OpenTable) -> None:
        self.lock(opened.table)
        opened = self._tables[opened.table]
        self._working(opened.table)
        publish(self._store, opened, self._ledger(opened.table.schema), self._layout(opened))

    def close(self) -> None:
        """Remove what was written and not committed, and free the engine."""
        if self._open:
            self._open = False
            for opened in self._tables.values():
                opened.pending.discard()
        while self._locked:
            self._locked.popitem()[1]()
        self.connection.close()


_AHEAD = "__dataflow_ahead"
_CHANGING = (exp.Insert, exp.Delete, exp.Update, exp.Alter)
