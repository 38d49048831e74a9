"""The column lineage of pipelines as they are declared: sources, steps, tables. Nothing is run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import duckdb

from dataflow_platform.core.base import Column, RowShape
from dataflow_platform.core.errors import ConfigError, DataflowError
from dataflow_platform.core.sql import quote
from dataflow_platform.engine import step_functions, step_typing
from dataflow_platform.engine.lineage import Origin, Relation, of_table, of_unknown_table
from dataflow_platform.governance.column_graph import Asset, placed
from dataflow_platform.governance.guards import guards_of
from dataflow_platform.governance.lineage_cache import LineageCache
from dataflow_platform.governance.source_columns import KnownColumns, SourceColumns
from dataflow_platform.pipeline.build import DeclaredStream
from dataflow_platform.pipeline.resolve import Connection


class PipelineLineage:
    """The assets of pipelines and their sources, one after the other: ``assets`` grows by ``add``."""

    def __init__(self, streams: Sequence[DeclaredStream], columns: KnownColumns, cache: LineageCache) -> None:
        self._streams = {stream.asset.key.to_user_string(): stream for stream in streams}
        self._columns = columns
        self._cache = cache
        self._opened = ExitStack()
        # One for all: opening one takes longer than typing most streams.
        self._engine = self._opened.enter_context(step_typing.locked_engine())
        self._functions = self._opened.enter_context(step_functions.opened(duckdb.connect(":memory:"), only_types=True))
        self.assets: dict[str, Asset] = {}

    def add(self, others: Mapping[str, Asset]) -> None:
        """Find the lineage of all streams whose upstream tables are known by now; ``others`` are of dbt."""
        self.assets |= others
        for key in self._upstream_first():
            stream = self._streams[key]
            if key not in self.assets and all(each in self.assets for each in self._needs(stream)):
                self._add(key, stream)

    def finish(self) -> None:
        """Take the remaining streams, with tables whose columns nobody knows."""
        for key in self._upstream_first():
            if key not in self.assets:
                self._add(key, self._streams[key])
        self._opened.close()

    def _needs(self, stream: DeclaredStream) -> list[str]:
        tables = [name.replace(".", "/") for step in stream.asset.steps for name in step.upstream()]
        own = self._table_behind(stream)
        return [*tables, own] if own else tables

    def _upstream_first(self) -> Iterator[str]:
        seen: set[str] = set()

        def visit(key: str) -> Iterator[str]:
            if key in seen or key not in self._streams:
                return
            seen.add(key)
            for each in self._needs(self._streams[key]):
                yield from visit(each)
            yield key

        for key in self._streams:
            yield from visit(key)

    def _table_behind(self, stream: DeclaredStream) -> str | None:
        """The asset whose table a stream reads from the place where that one is loaded, such as one DuckDB file."""
        parts = stream.asset.origin.path
        key = "/".join(parts[1:])
        other = self._streams.get(key)
        if other is None or other is stream or not _same_place(stream, other):
            return None
        return key

    def _add(self, key: str, stream: DeclaredStream) -> None:
        origin = stream.asset.origin.to_user_string()
        source = self._source(stream, origin)
        if origin not in self.assets or (not self.assets[origin].complete and source.complete):
            self.assets[origin] = source
        columns = SourceColumns(
            tuple(Column(name, source.types.get(name) or "VARCHAR") for name in source.lineage.columns), source.unknown
        )
        self.assets[key] = self._stream(key, stream, origin, columns)

    def _source(self, stream: DeclaredStream, origin: str) -> Asset:
        behind = self._table_behind(stream)
        if behind is not None and behind in self.assets:
            table = self.assets[behind]
            seen = seen_by_readers(table)
            return Asset(origin, "source", seen, (behind,), table.unknown, types=table.types)
        known = self._columns.of(stream)
        types = {column.name: column.type for column in known.columns}
        query = getattr(stream.asset.stream.options, "query", None)
        if isinstance(query, str):
            found = _of_query(query, stream.source, origin)
            if found is not None:
                for name in _tables(found):
                    self.assets.setdefault(name, Asset(name, "source", Relation(rest=()), unknown=_UNASKED))
                unknown = known.unknown if found.is_open() else ""
                return Asset(origin, "source", found, tuple(_tables(found)), unknown, types=types, definition=query)
        return Asset(origin, "source", Relation({name: {} for name in types}), (), known.unknown, types=types)

    def _stream(self, key: str, stream: DeclaredStream, origin: str, source: SourceColumns) -> Asset:
        asset = stream.asset
        reads = (origin, *self._tables_of(stream))
        wrong: tuple[str, ...] = ()
        owners = tuple(asset.spec.owners if asset.spec.owners is not None else asset.pipeline.owners)
        try:
            columns, lineage, unknown = self._behind_steps(stream, source)
        except DataflowError as error:
            # A step names a column that nobody has told of: what it makes of it cannot be told either.
            wrong = (f"its steps do not fit the columns that are known: {error.what}",)
            columns, lineage, unknown = (), Relation(), "; ".join(each for each in (source.unknown, *wrong) if each)
        keys = {"": origin, **{name: name.replace(".", "/") for step in asset.steps for name in step.upstream()}}
        relation = placed(lineage, keys)
        guards = guards_of(stream, relation, columns, origin, key)
        types = {column.name: column.type for column in columns}
        made_by = repr((list(asset.steps), asset.strategy_name, asset.stream.options))
        return Asset(key, "stream", relation, reads, unknown, owners, guards, types, made_by, wrong)

    def _tables_of(self, stream: DeclaredStream) -> list[str]:
        readers: list[Any] = [*stream.asset.steps, *stream.asset.checks]
        return sorted({name.replace(".", "/") for reader in readers for name in reader.upstream()})

    def _behind_steps(self, stream: DeclaredStream, source: SourceColumns) -> tuple[Sequence[Column], Relation, str]:
        steps = stream.asset.steps
        tables = {name: self._columns_of(name) for step in steps for name in step.upstream()}
        for name, known in tables.items():
            if not known:
                raise ConfigError("table.unknown", f"no column of {name} is known", fix="load it first")
        columns, lineage = self._typed(source.columns, stream, tables)
        added, more = self._added(stream, columns, lineage)
        every = Relation({**lineage.columns, **more.columns}, lineage.rows)
        # Columns nobody has told of pass all steps under their names, unless one of them makes its own choice.
        passes = all(step.selection() is None and step.rows != "anew" for step in steps)
        if source.unknown and passes:
            every = Relation(every.columns, every.rows, rest=("",))
        return [*columns, *added], every, source.unknown if passes else ""

    def _typed(
        self, columns: Sequence[Column], stream: DeclaredStream, tables: Mapping[str, Sequence[Column]]
    ) -> tuple[Sequence[Column], Relation]:
        """The columns behind the steps and their lineage."""
        asset = stream.asset
        if not asset.steps:
            return columns, of_table([column.name for column in columns])
        key = self._cache.key(list(asset.steps), list(columns), sorted(tables.items()))
        held = self._cache.get(key)
        if held is not None:
            return [Column(name, kind) for name, kind in held[1]], held[0]
        found = step_typing.typed(columns, asset.steps, tables, asset.step_at, self._functions, self._engine)
        if not any(step.references() for step in asset.steps):  # files change without a word in the YAML
            self._cache.put(key, found.lineage, [(column.name, column.type) for column in found.columns])
        return found.columns, found.lineage

    def _added(
        self, stream: DeclaredStream, columns: Sequence[Column], lineage: Relation
    ) -> tuple[list[Column], Relation]:
        """The columns of the load strategy, made of those behind the steps."""
        asset = stream.asset
        shape = RowShape(tuple(columns), asset.stream.primary_key, asset.stream.cursor, False, None, datetime.now(UTC))
        try:
            added = asset.strategy.added_columns(shape)
        except DataflowError:
            return [], Relation()
        if not added:
            return [], Relation()
        import sqlglot

        from dataflow_platform.engine.query_lineage import lineage_of

        listed = ", ".join(f"{column.value} AS {quote(column.name)}" for column in added)
        tree = sqlglot.parse_one(f"SELECT {listed} FROM input", read="duckdb")
        return [Column(each.name, each.type) for each in added], lineage_of(tree, {"input": lineage})

    def _columns_of(self, table: str) -> Sequence[Column]:
        asset = self.assets.get(table.replace(".", "/"))
        if asset is None:
            return ()
        return [Column(name, asset.types.get(name) or "VARCHAR") for name in asset.lineage.columns]


_UNASKED = "the source was not asked"


def seen_by_readers(asset: Asset) -> Relation:
    """An asset's table as those see it that read it: its columns are origins."""
    names = list(asset.lineage.columns)
    return of_table(names, asset.key) if asset.complete else of_unknown_table(asset.key, names)


def _same_place(reader: DeclaredStream, writer: DeclaredStream) -> bool:
    if reader.source.name == writer.target.name:
        return True
    if reader.source.type != writer.target.type:
        return False
    try:
        one, two = reader.source.source().model_dump(), writer.target.destination().model_dump()
    except DataflowError:
        return False
    names = ("path", "host", "port", "database", "root", "bucket")
    told = [(one.get(name), two.get(name)) for name in names if name in one and name in two]
    return bool(told) and all(mine == theirs for mine, theirs in told)


def _of_query(query: str, connection: Connection, origin: str) -> Relation | None:
    """The lineage of a stream's own query over the source's tables; None where it is not understood."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    from dataflow_platform.engine.query_lineage import QueryLineage

    def table(node: exp.Table) -> Relation:
        key = "/".join([connection.name, *(part.name for part in node.parts)])
        # A query is called after its stream, and streams after tables.
        return of_unknown_table(f"{key} (table)" if key == origin else key)

    dialect = connection.type if connection.type in sqlglot.Dialect.classes else None
    try:
        return QueryLineage(table).of(sqlglot.parse_one(query, read=dialect))
    except (SqlglotError, RecursionError):
        return None


def _tables(relation: Relation) -> list[str]:
    origins: list[Origin] = [*relation.rows, *(each for sources in relation.columns.values() for each in sources)]
    return sorted({*relation.rest, *(origin.table for origin in origins)})
