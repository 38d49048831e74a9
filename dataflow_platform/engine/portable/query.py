"""The steps of a stream as one query of another dialect."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
from sqlglot import exp

from dataflow_platform.core.base import Column, Transformation
from dataflow_platform.core.errors import ConfigError, DataflowError, Location
from dataflow_platform.core.transformation import Dialect
from dataflow_platform.engine.portable.literals import identifier
from dataflow_platform.engine.portable.typed import Types, parse
from dataflow_platform.engine.portable.writing import Writer
from dataflow_platform.engine.transform import Query

SETTINGS: Mapping[Dialect, tuple[str, ...]] = {
    "duckdb": (),
    "postgres": (
        "SET TimeZone = 'UTC'", "SET DateStyle = 'ISO, YMD'", "SET IntervalStyle = 'postgres'",
        "SET standard_conforming_strings = on", "SET extra_float_digits = 1",
    ),
    "spark": (
        "SET spark.sql.ansi.enabled = true", "SET spark.sql.session.timeZone = UTC",
        "SET spark.sql.parser.escapedStringLiterals = false", "SET spark.sql.caseSensitive = false",
    ),
    "snowflake": ("ALTER SESSION SET TIMEZONE = 'UTC', WEEK_START = 1, TIMESTAMP_TYPE_MAPPING = 'TIMESTAMP_NTZ'",),
    "bigquery": ("SET @@time_zone = 'UTC'",),
}  # fmt: skip
"""What the query takes for granted of the session that runs it."""
_KEPT = "_dataflow_kept"
_LONGEST_NAME = 63
StepAt = Callable[[int], Location]


@dataclass(frozen=True)
class Translation:
    """A query of ``dialect`` that gives the rows of the steps; run ``settings`` first."""

    dialect: Dialect
    steps: tuple[str, ...]
    """The first rows, then each step: the query of step_0, step_1 and so on."""
    last: str
    settings: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The whole query, a step a line."""
        if not self.steps:
            return self.last
        named = ",\n".join(f"step_{place} AS ({text})" for place, text in enumerate(self.steps))
        return f"WITH {named}\n{self.last}"


def source_of(columns: Sequence[Column], table: str, dialect: Dialect) -> str:
    """The rows of ``table`` (as the dialect writes it) as the steps get them."""
    return f"SELECT {', '.join(identifier(column.name, dialect) for column in columns)} FROM {table}"


def translate(
    connection: duckdb.DuckDBPyConnection,
    query: Query,
    columns: Sequence[Column],
    steps: Sequence[Transformation],
    source: str,
    dialect: Dialect,
    at: StepAt,
) -> Translation:
    """``query``, composed of ``steps`` over ``columns``, in ``dialect``; ``source`` is its SQL for the first rows.

    ConfigError ``portable.step`` or ``portable.unsupported``, placed ``at`` the step, where a step does not hold
    there. ``connection`` knows the tables that the steps read.
    """
    if dialect == "duckdb":
        return Translation(dialect, (), query.sql, SETTINGS[dialect])
    for place, step in enumerate(steps):
        _refuse_step(step, dialect, at(place))
    parts = [_collated(source, columns, dialect)]
    known = list(columns)
    for place, text in enumerate(query.selects):
        try:
            tree = parse(text)
            types = Types(connection, {f"step_{place}": known})
            written = _query(tree, types, dialect)
            known = types.columns(tree)
            _refuse_names(known, dialect)
        except (duckdb.Error, KeyError) as error:
            raise _unknown(steps[place], dialect, error).at(at(place)) from error
        except DataflowError as error:
            error.what = f"step {step_name(type(steps[place]))}: {error.what}"
            raise error.at(at(place)) from None
        parts.append(written)
    last = ", ".join(identifier(name, dialect) for name in query.output)
    return Translation(dialect, tuple(parts), f"SELECT {last} FROM step_{len(query.selects)}", SETTINGS[dialect])


def _unknown(step: Transformation, dialect: Dialect, error: Exception) -> ConfigError:
    """The refusal of a SELECT whose expressions cannot be typed one by one."""
    said = str(error).splitlines()[0] if isinstance(error, duckdb.Error) else "an expression has no type of its own"
    return ConfigError(
        "portable.unsupported", f"step {step_name(type(step))}: its SELECT does not hold in {dialect}: {said}",
        fix=f"nearest: {step.instead}",
    )  # fmt: skip


def step_name(step: type[Transformation]) -> str:
    """What YAML calls a step: the name of its file or folder."""
    ours, _, name = step.__module__.partition(".transformations.")
    return name.partition(".")[0] if name else ours.rpartition(".")[2]


def _refuse_step(step: Transformation, dialect: Dialect, at: Location) -> None:
    if dialect not in step.holds:
        raise ConfigError(
            "portable.step",
            f"the step {step_name(type(step))} does not hold in {dialect}, it does in {', '.join(step.holds)}",
            where=at, fix=f"nearest: {step.instead}",
        )  # fmt: skip


def _refuse_names(columns: Sequence[Column], dialect: Dialect) -> None:
    for column in columns:
        if dialect == "postgres" and len(column.name.encode()) > _LONGEST_NAME:
            raise ConfigError(
                "portable.unsupported", f"the column name '{column.name}' is cut at {_LONGEST_NAME} bytes in {dialect}",
                fix="nearest: a shorter name",
            )  # fmt: skip


def _collated(source: str, columns: Sequence[Column], dialect: Dialect) -> str:
    """PostgreSQL compares texts by the database's collation, DuckDB by their bytes: "C" from here on."""
    if dialect != "postgres" or not any(column.type == "VARCHAR" for column in columns):
        return source
    kept = []
    for column in columns:
        name = identifier(column.name, dialect)
        kept.append(f'{name} COLLATE "C" AS {name}' if column.type == "VARCHAR" else name)
    return f"SELECT {', '.join(kept)} FROM ({source}) AS rows_"


def _query(tree: exp.Expr, types: Types, dialect: Dialect) -> str:
    if isinstance(tree, exp.Union):
        if tree.args.get("distinct"):
            raise Writer(dialect, types).refused("UNION without ALL", "the step union")
        return f"{_query(tree.this, types, dialect)} UNION ALL {_query(tree.expression, types, dialect)}"
    if not isinstance(tree, exp.Select):
        raise Writer(dialect, types).refused(f"{type(tree).__name__} as a query", "the declared steps")
    return _Select(tree, types, dialect).written()


_CLAUSES = {"expressions", "from_", "joins", "where", "group", "qualify", "order", "limit", "kind", "hint"}


class _Select:
    """One SELECT and the queries inside it."""

    def __init__(self, select: exp.Select, types: Types, dialect: Dialect, outer: str = "") -> None:
        self._select, self._types, self._dialect = select, types, dialect
        self._writer = Writer(dialect, types)
        # DuckDB says which clause was used: what is not known here is refused.
        unknown = {key for key, value in select.args.items() if value} - _CLAUSES
        if unknown:
            raise self._writer.refused(f"{', '.join(sorted(unknown)).upper()} in a query", "the declared steps")
        if any(each.is_star for each in select.selects):
            raise self._writer.refused("* in a query", "the columns by their names")
        self._read = types.learn(select, outer)

    def written(self) -> str:
        """The SELECT in the dialect."""
        qualify = self._select.args.get("qualify")
        chosen = [self._projection(each) for each in self._select.selects]
        names = [identifier(each.alias_or_name, self._dialect) for each in self._select.selects]
        if qualify is not None:
            chosen.append(f"{self._writer.write(qualify.this)} AS {identifier(_KEPT, self._dialect)}")
        text = f"SELECT {', '.join(chosen)} FROM {self._from()}"
        if (where := self._select.args.get("where")) is not None:
            text += f" WHERE {self._condition(where.this)}"
        if (group := self._select.args.get("group")) is not None:
            text += f" GROUP BY {', '.join(self._writer.write(key) for key in group.expressions)}"
        if (order := self._select.args.get("order")) is not None:
            text += f" {self._writer.ordered(order)}"
        if (limit := self._select.args.get("limit")) is not None:
            text += f" LIMIT {int(limit.expression.name)}"
        if qualify is not None:
            # Not every dialect has QUALIFY: what it says is a column of a query inside.
            kept = identifier(_KEPT, self._dialect)
            text = f"SELECT {', '.join(names)} FROM ({text}) AS qualified_ WHERE {kept}"
        return text

    def _projection(self, each: exp.Expr) -> str:
        inner, name = each.unalias(), identifier(each.alias_or_name, self._dialect)
        if isinstance(inner, exp.Column):
            return f"{self._writer.write(inner)} AS {name}"
        return f"{self._writer.as_type(inner, self._types.of(inner))} AS {name}"

    def _condition(self, node: exp.Expr) -> str:
        """A condition in which queries may stand: EXISTS."""
        if isinstance(node, exp.Exists):
            inner = _Select(node.this, self._types, self._dialect, outer=self._read)
            return f"EXISTS ({inner.written()})"
        if isinstance(node, exp.Not | exp.Paren):
            inside = self._condition(node.this)
            return f"(NOT {inside})" if isinstance(node, exp.Not) else inside
        return self._writer.as_type(node, "BOOLEAN")

    def _from(self) -> str:
        start = self._select.args["from_"].this
        text = self._source(start)
        for join in self._select.args.get("joins") or ():
            side, method = str(join.args.get("side") or "INNER"), join.args.get("method")
            if method or join.args.get("using") or side not in ("LEFT", "INNER") or join.args.get("on") is None:
                raise self._writer.refused(f"{method or side} JOIN", "the step join without as_of")
            text += f" {side} JOIN {self._source(join.this)} ON {self._condition(join.args['on'])}"
        return text

    def _source(self, source: exp.Expr) -> str:
        alias = f" AS {identifier(source.alias, self._dialect)}" if source.alias else ""
        if isinstance(source, exp.Subquery):
            return f"({_query(source.this, self._types, self._dialect)}){alias}"
        assert isinstance(source, exp.Table)
        if not source.db:
            return f"{source.name}{alias}"
        return f"{identifier(source.db, self._dialect)}.{identifier(source.name, self._dialect)}{alias}"
