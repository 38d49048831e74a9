"""The SELECT of a stream: its columns, and the window or the cursor, in SQLAlchemy's words."""

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql.facts import SqlFacts
from dataflow_platform.connectors._sql.kinds import INTEGERS, NUMBER
from dataflow_platform.connectors._sql.values import Column
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    import sqlalchemy as sa


def origin(table: str | None, schema: str | None, query: str | None, names: Sequence[str]) -> "sa.FromClause":
    """The table, or the query as a subselect, with its columns."""
    import sqlalchemy as sa

    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
    if query is None:
        assert table is not None
        return sa.table(table, *columns, schema=schema)
    # A colon would begin a parameter; a comment at the query's end ends with its line.
    return sa.text(query.replace(":", "\\:") + "\n").columns(*columns).subquery("stream")


def select(
    source: "sa.FromClause", columns: Sequence[Column], as_text: Sequence[str], facts: SqlFacts, dialect: Any
) -> "sa.Select[Any]":
    """SELECT the columns; those that would lose something on their way travel as the text the facts say."""
    import sqlalchemy as sa

    selected = []
    for column in columns:
        word = column.declared.partition("(")[0].strip()
        word = "[]" if word.endswith("[]") else word
        template = facts.as_text if column.name in as_text else facts.wire.get(column.kind) or facts.wire.get(word)
        plain = source.c[column.name]
        selected.append(written(template, column.name, dialect).label(column.name) if template else plain)
    return sa.select(*selected).select_from(source)


def written(template: str, name: str, dialect: Any) -> "sa.ColumnClause[Any]":
    """The SQL of a template of the facts, over one column."""
    import sqlalchemy as sa

    return sa.literal_column(template.format(dialect.identifier_preparer.quote(name)))


def condition(
    source: "sa.FromClause",
    columns: Sequence[Column],
    stream: Stream,
    state: State,
    facts: SqlFacts,
    filtered: frozenset[str],
    dialect: Any,
    where: str,
) -> "sa.ColumnElement[bool] | None":
    """The server's filter: the window, or at or after the cursor; None where it cannot be said exactly."""
    import sqlalchemy as sa

    if state.window:
        column = _find(columns, state.window.column, where)
        edges = [_edge(column.kind, moment, filtered) for moment in (state.window.start, state.window.end)]
        if None in edges:
            return None
        slack = dt.timedelta(seconds=facts.clock_slack if column.kind != "DATE" else 0)
        low, high = edges[0] - slack, edges[1] + slack
        compared = source.c[column.name]
        return sa.and_(compared >= bound(low, column.kind), compared < bound(high, column.kind))
    if not stream.cursor:
        return None
    column = _find(columns, stream.cursor, where)
    if column.kind in (NUMBER, "JSON"):
        raise ConfigError(
            "sql.cursor",
            f"column '{column.name}' ({column.declared or column.kind}) is no cursor: as text it has another order",
            where=where,
            fix=f"give it an ordered type, types: {{{column.name}: DECIMAL(38,0)}}, or use another column",
        )
    said = []
    value = _value(column.kind, state.cursor, facts, filtered) if state.cursor is not None else None
    if isinstance(value, str):
        assert facts.text_order is not None
        said.append(written(facts.text_order, column.name, dialect) >= sa.bindparam(None, value, sa.String()))
    elif value is not None:
        if isinstance(value, dt.datetime):
            value -= dt.timedelta(seconds=facts.clock_slack)
        said.append(source.c[column.name] >= bound(value, column.kind))
    until = _until(column.kind, state, facts, filtered)
    if until is not None:
        below = source.c[column.name] < bound(until, column.kind)
        # A first read takes the rows without a cursor as well.
        said.append(below if state.cursor is not None else sa.or_(below, source.c[column.name].is_(None)))
    return sa.and_(*said) if said else None


def _until(kind: str, state: State, facts: SqlFacts, filtered: frozenset[str]) -> Any:
    """The upper bound as a Python value; None where there is none, or where the server cannot be asked exactly."""
    if isinstance(state.until, dt.datetime):
        slack = dt.timedelta(seconds=facts.clock_slack if kind != "DATE" else 0)
        edge = _edge(kind, state.until, filtered)
        return None if edge is None else edge + slack
    if state.until is None or not (kind in INTEGERS or kind == "DOUBLE" or kind.startswith("DECIMAL")):
        return None
    return _value(kind, f"{state.until:f}", facts, filtered)


def _find(columns: Sequence[Column], name: str, where: str) -> Column:
    for column in columns:
        if column.name == name:
            return column
    raise unknown_name("column", name, [column.name for column in columns], "check `columns` and the spelling").at_path(
        where
    )


def bound(value: Any, kind: str) -> "sa.BindParameter[Any]":
    """A parameter with the type that makes drivers bind it unchanged."""
    import sqlalchemy as sa

    if kind in INTEGERS:
        return sa.bindparam(None, value, sa.BigInteger())
    if kind.startswith("DECIMAL"):
        precision, scale = re.findall(r"\d+", kind)
        return sa.bindparam(None, value, sa.Numeric(int(precision), int(scale)))
    if kind == "DATE":
        return sa.bindparam(None, value, sa.Date())
    if kind == "DOUBLE":
        return sa.bindparam(None, value, sa.Double())
    if kind == "TIMESTAMPTZ":
        # Some drivers write the wall time and leave the zone out.
        zoned = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return sa.bindparam(None, zoned, sa.TIMESTAMP(timezone=True))
    return sa.bindparam(None, value, sa.DateTime())


def _value(kind: str, text: str, facts: SqlFacts, filtered: frozenset[str]) -> Any:
    """The cursor as a Python value; None where the server could order or bind it otherwise than DuckDB."""
    if kind == "VARCHAR":
        return text if facts.text_order else None
    if ("INTEGER" if kind in INTEGERS else kind.partition("(")[0]) not in filtered:
        return None
    try:
        if kind in INTEGERS:
            return int(text)
        if kind.startswith("DECIMAL"):
            return Decimal(text)
        if kind == "DOUBLE":
            return float(text)
        # Of nanoseconds Python leaves the last three out: it is asked from a little before.
        return dt.date.fromisoformat(text) if kind == "DATE" else dt.datetime.fromisoformat(text)
    except (ValueError, InvalidOperation):  # infinity, years beyond 9999: the engine filters
        return None


def _edge(kind: str, moment: dt.datetime, filtered: frozenset[str]) -> Any:
    """One edge of a window; a column without a zone holds the edge's wall time."""
    if kind not in filtered:
        return None
    if kind == "TIMESTAMPTZ":
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    if kind in ("TIMESTAMP", "TIMESTAMP_NS"):
        return moment.replace(tzinfo=None)
    return moment.date() if kind == "DATE" else None
