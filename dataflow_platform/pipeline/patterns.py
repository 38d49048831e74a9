"""Patterns of tables, as the streams they stand for."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from dataflow_platform.core import registry
from dataflow_platform.core.catalogue import CatalogueTable, matches
from dataflow_platform.core.errors import ConfigError, DataflowError, did_you_mean
from dataflow_platform.pipeline import discovered, resolve
from dataflow_platform.pipeline.document import Document, Path_
from dataflow_platform.pipeline.resolve import Connection
from dataflow_platform.pipeline.spec import PipelineSpec, StreamPatterns, StreamSettings, StreamSpec

# Dagster names an operation after each asset, in these characters, and makes them of "-" and "." by itself.
_OPERATION = re.compile(r"[^A-Za-z0-9_]")
_KEY = re.compile(r"[^A-Za-z0-9_.-]")

Placed = tuple[StreamSpec, Path_]
"""A stream and where the YAML file says it."""

_LISTED = 10
_REFRESH = "dataflow connections discover {} --save"


def key_part(name: str) -> str:
    """``name`` as a part of an asset key: what Dagster cannot name an operation after becomes `_`."""
    return _KEY.sub("_", name)


def streams(spec: PipelineSpec, document: Document, source: Connection) -> list[Placed]:
    """Every stream of a pipeline: those written, and one for each table its patterns name."""
    path: Path_ = ("attributes", "streams")
    if isinstance(spec.streams, StreamPatterns):
        entries: list[tuple[StreamSpec | StreamPatterns, Path_]] = [(spec.streams, path)]
    else:
        entries = [(entry, (*path, position)) for position, entry in enumerate(spec.streams)]
    if not any(isinstance(entry, StreamPatterns) for entry, _ in entries):
        return [(entry, place) for entry, place in entries if isinstance(entry, StreamSpec)]
    return _Expansion(document, source).all(entries)


class _Expansion:
    """The tables of one source, and which of them streams were made of."""

    def __init__(self, document: Document, source: Connection) -> None:
        self._document = document
        self._connection = source
        self._kind = registry.source(source.type)
        self._source = source.source()
        fields = self._kind.StreamOptions.model_fields
        self._option = next((name for name in ("table", "stream") if name in fields), None)
        """The stream option that names what is read."""
        self._taken: set[tuple[str, ...]] = set()

    def all(self, entries: Sequence[tuple[StreamSpec | StreamPatterns, Path_]]) -> list[Placed]:
        if self._option is None:
            place = next(place for entry, place in entries if isinstance(entry, StreamPatterns))
            raise ConfigError(
                "streams.no_catalogue",
                f"connector '{self._connection.type}' has no catalogue of tables to choose from",
                where=self._document.locate(*place, "include"),
                fix="write its streams one by one: streams: [{name: ..., from: ...}]",
            )
        for entry, place in entries:
            if isinstance(entry, StreamSpec):
                self._taken.add(self._origin(entry, place))
        found: list[Placed] = []
        for entry, place in entries:
            found += self._of_patterns(entry, place) if isinstance(entry, StreamPatterns) else [(entry, place)]
        self._refuse_same_names(found)
        return found

    def _origin(self, stream: StreamSpec, place: Path_) -> tuple[str, ...]:
        return self._source.origin(resolve.stream(stream, self._kind, self._document, place))

    def _of_patterns(self, patterns: StreamPatterns, place: Path_) -> Iterator[Placed]:
        try:
            known = discovered.tables(self._connection)
        except DataflowError as error:
            error.where = self._document.locate(*place, "include")
            raise
        chosen = self._chosen(patterns, place, known)
        self._refuse_without_key(patterns, place, chosen)
        self._refuse_without_column(patterns, place, chosen)
        settings: dict[str, Any] = {name: getattr(patterns, name) for name in StreamSettings.model_fields}
        for table in chosen:
            name = patterns.name.replace("{schema}", table.schema or "").replace("{table}", table.table)
            made = {
                **settings,
                "name": key_part(name),
                "from_": {**patterns.from_, str(self._option): _as_template(table.name)},
                "primary_key": patterns.primary_key or list(table.primary_key),
                "load": patterns.load,
            }
            stream = StreamSpec.model_validate(made)
            origin = self._origin(stream, place)
            if origin not in self._taken:
                self._taken.add(origin)
                yield stream, place

    def _chosen(self, patterns: StreamPatterns, place: Path_, known: Sequence[CatalogueTable]) -> list[CatalogueTable]:
        """The tables that are included and not excluded; ConfigError for a pattern that names none."""
        offered = [table for table in known if table.kind is None or table.kind in patterns.kinds]
        for position, pattern in enumerate(patterns.include):
            if not any(matches(pattern, table) for table in offered):
                raise self._no_match(pattern, known, (*place, "include", position))
        chosen = [
            table
            for table in offered
            if any(matches(pattern, table) for pattern in patterns.include)
            and not any(matches(pattern, table) for pattern in patterns.exclude)
        ]
        if not chosen:
            raise ConfigError(
                "streams.nothing_left",
                "every table that is included is excluded as well",
                where=self._document.locate(*place, "exclude"),
                fix="make the patterns of `exclude` narrower",
            )
        return chosen

    def _no_match(self, pattern: str, known: Sequence[CatalogueTable], place: Path_) -> ConfigError:
        others = sorted({str(table.kind) for table in known if matches(pattern, table)})
        refresh = f"a table that is new: {_REFRESH.format(self._connection.name)}"
        if others:
            fix = f"it does match what is a {' or a '.join(others)}: kinds: [table, {', '.join(others)}]"
        else:
            schemas = {f"{table.schema}.*" for table in known if table.schema}
            fix = did_you_mean(pattern, {table.name for table in known} | schemas, refresh)
        return ConfigError(
            "streams.no_match",
            f"pattern '{pattern}' names none of the {len(known)} tables of connection '{self._connection.name}'",
            where=self._document.locate(*place),
            fix=fix,
        )

    def _refuse_without_key(self, patterns: StreamPatterns, place: Path_, chosen: Sequence[CatalogueTable]) -> None:
        load = patterns.load if isinstance(patterns.load, str) else next(iter(patterns.load), "")
        if patterns.primary_key or not registry.is_known("load_strategies", load):
            return
        if registry.load_strategy(load).needs_primary_key:
            self._refuse(
                "streams.primary_key",
                f"load '{load}' needs a primary key; the source's catalogue names none for",
                [table for table in chosen if not table.primary_key],
                (*place, "load"),
                "load them by an entry of their own above this one, without a key: "
                "`- {{include: [{0}], load: replace}}`, or with one: `- {{name: ..., from: {{table: {0}}}, "
                "primary_key: ..., load: " + load + "}}`",
            )

    def _refuse_without_column(self, patterns: StreamPatterns, place: Path_, chosen: Sequence[CatalogueTable]) -> None:
        wanted = [("cursor", patterns.cursor)] if patterns.cursor else []
        for setting, column in [*wanted, *(("primary_key", name) for name in patterns.primary_key)]:
            self._refuse(
                "streams.column",
                f"{setting} '{column}' is no column of",
                [table for table in chosen if table.columns and column not in {each.name for each in table.columns}],
                (*place, setting),
                "load them by an entry of their own above this one: `- {{include: [{0}], load: replace}}`",
            )

    def _refuse(self, code: str, what: str, tables: Sequence[CatalogueTable], place: Path_, fix: str) -> None:
        if tables:
            names = [table.name for table in tables]
            listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if names[_LISTED:] else "")
            where = self._document.locate(*place)
            raise ConfigError(code, f"{what} {listed}", where=where, fix=fix.format(names[0]))

    def _refuse_same_names(self, found: Sequence[Placed]) -> None:
        """Two streams must not load one table; a destination may take names that differ in case only for one."""
        seen: dict[str, StreamSpec] = {}
        for stream, place in found:
            other = seen.setdefault(_OPERATION.sub("_", stream.name).casefold(), stream)
            if other is not stream:
                of = " and ".join(f"'{each.from_.get('table', each.name)}'" for each in (other, stream))
                raise ConfigError(
                    "streams.same_name",
                    f"{of} would both be loaded into table '{stream.name}'",
                    where=self._document.locate(*place),
                    fix='name them apart beside `include` (name: "{schema}_{table}"), or exclude one and give it a '
                    "stream of its own",
                )


def _as_template(name: str) -> str:
    """A table's name as text that stays itself where templates are filled in: it is no template of ours."""
    return name.replace("{", "{{ '{' }}") if "{{" in name else name
