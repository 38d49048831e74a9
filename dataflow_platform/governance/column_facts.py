"""What is true of every row of a stream, column by column: the evidence a drafted contract stands on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataflow_platform.checks import family
from dataflow_platform.core.base import Session
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.engine.preview import ask_rows
from dataflow_platform.engine.stream_load import StreamLoad

SMALL_SET = 25
"""So many different values may be listed."""
FORMATS: Mapping[str, str] = {
    "UUID": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "e-mail": r"[^@ \t\n\f\r]+@[^@ \t\n\f\r]+\.[^@ \t\n\f\r]+",
    "URL": r"https?://[^ \t\n\f\r]+",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "time stamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}[0-9:.,+Z -]*",
    "digits": "[0-9]+",
    "capitals": "[A-Z]+",
    "small letters": "[a-z]+",
    "capitals and digits": "[A-Z0-9]+",
}
"""Name of a format to what a whole text of it matches; the first that fits is taken."""
TELLING = frozenset({"UUID", "e-mail", "URL", "date", "time stamp"})
"""Formats that a text has for a reason; letters and digits it may have by chance."""
_COPY = "_dataflow_facts"
_NEAR = 0.9  # DuckDB's approximate count of different values is off by a few percent
_COUNTED = 1000  # so many different values are counted exactly
_LOOKED_AT = 1000
_LONGEST_LISTED = 60


@dataclass(frozen=True)
class ColumnFacts:
    """One column. ``least`` and ``greatest``: numbers as they are, dates and times as ISO text, else None.

    ``different`` is exact where ``exact``. ``values`` are all there are, where they are few, the rarest of them there
    ``rarest`` times. ``shape`` names a format in ``FORMATS`` that every text has. ``nans`` counts NaN, which is no
    NULL; ``finite``: no infinity.
    """

    name: str
    type: str
    nulls: int
    different: int = 0
    exact: bool = False
    least: Any = None
    greatest: Any = None
    finite: bool = True
    nans: int = 0
    shortest: int | None = None
    longest: int | None = None
    values: tuple[str, ...] | None = None
    rarest: int = 0
    shape: str | None = None

    @property
    def kind(self) -> str:
        """The family of the type: integer, text, date..."""
        return family(self.type)


@dataclass(frozen=True)
class RowFacts:
    """A stream's rows; ``whole`` is False where reading ended at the limit, ``keys`` are columns no two rows share."""

    stream: str
    rows: int
    whole: bool
    columns: tuple[ColumnFacts, ...]
    keys: tuple[tuple[str, ...], ...] = ()


def facts_of(load: StreamLoad, limit: int) -> RowFacts:
    """Read the stream once, from its beginning and up to ``limit`` rows, and say what holds of all of them."""
    return ask_rows(load, lambda session, query: _facts(session, query, load, limit))


def _facts(session: Session, query: str, load: StreamLoad, limit: int) -> RowFacts:
    # A copy: the rows of an endpoint stream past once, and some questions turn on the answers to others.
    session.in_engine(f"CREATE TEMP TABLE {_COPY} AS {query} LIMIT {int(limit)}")
    described = session.in_engine(f"DESCRIBE {_COPY}")
    types = {str(name): str(kind) for name, kind, *_ in described}
    rows, columns = _counted(session, types)
    columns = _looked_into(session, rows, columns)
    keys: tuple[tuple[str, ...], ...] = ()
    if len(load.stream.primary_key) > 1 and set(load.stream.primary_key) <= types.keys() and rows:
        keys = _different(session, rows, load.stream.primary_key)
    return RowFacts(load.stream.name, rows, rows < limit, columns, keys)


def _counted(session: Session, types: Mapping[str, str]) -> tuple[int, tuple[ColumnFacts, ...]]:
    """One pass: everything that needs no second look."""
    asked = [(name, what, sql) for name, kind in types.items() for what, sql in _questions(quote(name), family(kind))]
    selected = ", ".join(["count(*)", *(sql for _, _, sql in asked)])
    ((rows, *answers),) = session.in_engine(f"SELECT {selected} FROM {_COPY}")
    found: dict[str, dict[str, Any]] = {name: {} for name in types}
    for (name, what, _), answer in zip(asked, answers, strict=True):
        found[name][what] = answer
    columns = []
    for name, kind in types.items():
        told = found[name]
        filled = told.pop("filled")
        told["different"] = min(told.get("different", 0), filled)
        columns.append(ColumnFacts(name, kind, nulls=rows - filled, **told))
    return int(rows), tuple(columns)


def _questions(name: str, kind: str) -> Iterable[tuple[str, str]]:
    """Facts, each with its aggregate over the column ``name`` (quoted)."""
    asked = {"filled": f"count({name})"}
    if kind in ("integer", "float", "decimal", "text", "boolean", "date", "timestamp", "other"):
        asked["different"] = f"approx_count_distinct({name})"
    if kind in ("integer", "decimal"):
        asked |= {"least": f"min({name})", "greatest": f"max({name})"}
    if kind == "float":
        numbers = f"FILTER (WHERE isfinite({name}))"
        asked |= {"least": f"min({name}) {numbers}", "greatest": f"max({name}) {numbers}"}
        asked["nans"] = f"count(*) FILTER (WHERE isnan({name}))"
        asked["finite"] = f"count(*) FILTER (WHERE isinf({name})) = 0"
    if kind in ("date", "timestamp", "timestamp with time zone"):
        asked |= {"least": f"CAST(min({name}) AS VARCHAR)", "greatest": f"CAST(max({name}) AS VARCHAR)"}
    if kind == "text":
        asked |= {"shortest": f"min(length({name}))", "longest": f"max(length({name}))"}
    return asked.items()


def _looked_into(session: Session, rows: int, columns: Sequence[ColumnFacts]) -> tuple[ColumnFacts, ...]:
    """A second pass over the copy: what the first made likely, now exactly."""
    shapes = _likely_shapes(session, columns)
    asked: list[tuple[str, str, str]] = []
    for column in columns:
        name = quote(column.name)
        filled = rows - column.nulls
        few_or_all = column.different <= _COUNTED or column.different >= _NEAR * filled
        if column.kind in ("integer", "text", "other") and filled and few_or_all:
            asked.append((column.name, "different", f"count(DISTINCT {name})"))
        if column.kind == "text" and 0 < column.different <= 2 * SMALL_SET and (column.longest or 0) <= _LONGEST_LISTED:
            asked.append((column.name, "values", f"histogram(CAST({name} AS VARCHAR))"))
        for shape in shapes.get(column.name, ()):
            asked.append((column.name, f"shape {shape}", f"bool_and({_has_shape(name, shape)})"))
    if not asked:
        return tuple(columns)
    answers = session.in_engine(f"SELECT {', '.join(sql for _, _, sql in asked)} FROM {_COPY}")[0]
    found = {column.name: column for column in columns}
    for (name, what, _), answer in zip(asked, answers, strict=True):
        found[name] = _with(found[name], what, answer)
    return tuple(found.values())


def _with(column: ColumnFacts, what: str, answer: Any) -> ColumnFacts:
    if what == "different":
        return replace(column, different=int(answer), exact=True)
    if what == "values":
        few = len(answer) <= SMALL_SET
        listed, rarest = (tuple(sorted(answer)), min(answer.values())) if few else (None, 0)
        return replace(column, values=listed, rarest=rarest, different=len(answer), exact=True)
    shape = what.removeprefix("shape ")
    return replace(column, shape=shape) if answer and column.shape is None else column


def _likely_shapes(session: Session, columns: Sequence[ColumnFacts]) -> dict[str, list[str]]:
    """Column of texts -> the formats all of the first rows have, in the order of ``FORMATS``."""
    texts = [column.name for column in columns if column.kind == "text" and column.longest]
    if not texts:
        return {}
    asked = [(name, shape) for name in texts for shape in FORMATS]
    selected = ", ".join(f"bool_and({_has_shape(quote(name), shape)})" for name, shape in asked)
    answers = session.in_engine(f"SELECT {selected} FROM (FROM {_COPY} LIMIT {_LOOKED_AT})")[0]
    found: dict[str, list[str]] = {}
    for (name, shape), answer in zip(asked, answers, strict=True):
        if answer is not False:  # NULL: no value among the first rows
            found.setdefault(name, []).append(shape)
    return found


def _has_shape(name: str, shape: str) -> str:
    return f"regexp_full_match(CAST({name} AS VARCHAR), {literal(FORMATS[shape])})"


def _different(session: Session, rows: int, key: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """``key`` alone in a tuple where no two rows share it and it is never NULL, not even in one part."""
    names = ", ".join(map(quote, key))
    filled = " AND ".join(f"{quote(name)} IS NOT NULL" for name in key)
    asked = f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM {_COPY} WHERE {filled})"
    return (tuple(key),) if int(session.in_engine(asked)[0][0]) == rows else ()
