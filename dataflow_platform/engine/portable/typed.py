"""DuckDB's own types of every expression of a step: nothing is guessed, the engine that gives the meaning is asked."""

from collections.abc import Iterator, Mapping, Sequence

import duckdb
from sqlglot import ErrorLevel, TokenType, exp
from sqlglot.dialects.duckdb import DuckDB

from dataflow_platform.core.base import Column
from dataflow_platform.core.expression import AGGREGATE_FUNCTIONS
from dataflow_platform.core.sql import quote

_DUCKDB = DuckDB()
_NOT_VALUES = (
    exp.Identifier, exp.DataType, exp.DataTypeParam, exp.Star, exp.Ordered, exp.Order, exp.Where, exp.WindowSpec,
    exp.Var, exp.Distinct, exp.IgnoreNulls, exp.Table, exp.TableAlias, exp.Alias, exp.From, exp.Join, exp.Select,
    exp.Subquery, exp.Group, exp.Qualify, exp.If, exp.Exists, exp.Union, exp.Tuple, exp.Limit, exp.With, exp.CTE,
)  # fmt: skip
_AGGREGATES = (exp.Max, exp.Min, exp.GroupConcat, exp.AggFunc)


def parse(sql: str) -> exp.Expr:
    """The tree of a query in DuckDB's dialect; calls keep the names and the arguments they are written with."""
    tokens = _DUCKDB.tokenize(sql)
    for token in tokens:  # sqlglot's own switch, see core.expression
        token.comments = [exp.SQLGLOT_ANONYMOUS] if token.token_type == TokenType.R_PAREN else []
    found = _DUCKDB.parser().parse(tokens, sql)
    assert len(found) == 1
    assert found[0] is not None
    return found[0]


def written(node: exp.Expr) -> str:
    """The node in DuckDB's dialect, calls as they were written."""
    return node.sql(dialect=_DUCKDB, comments=False, normalize_functions=False, unsupported_level=ErrorLevel.IGNORE)


def call_name(node: exp.Expr) -> str | None:
    """The function a node calls, in lower case."""
    return str(node.name).lower() if isinstance(node, exp.Anonymous) else None


def is_aggregate(node: exp.Expr) -> bool:
    """A call that folds rows, wherever it stands."""
    return isinstance(node, _AGGREGATES) or call_name(node) in AGGREGATE_FUNCTIONS


class Types:
    """The type of each expression of one SELECT (``of``), as DuckDB tells it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, inputs: Mapping[str, Sequence[Column]]) -> None:
        """``inputs``: the tables that ``connection`` does not know, by name."""
        self._connection = connection
        self._with = ", ".join(f"{name} AS ({_empty(columns)})" for name, columns in inputs.items())
        self._of: dict[int, str] = {}

    def of(self, node: exp.Expr) -> str:
        """The type of a node of a SELECT that was given to ``learn``."""
        return self._of[id(node)]

    def learn(self, select: exp.Select, outer: str = "") -> str:
        """Ask for the types of all expressions of ``select``; its FROM clause, for what stands inside it."""
        clauses = [select.args.get("from_"), *(select.args.get("joins") or ())]
        read = " ".join(written(clause) for clause in clauses if clause is not None)
        read = f"{outer}, {read.strip().removeprefix('FROM ')}" if outer else read
        grouped = select.args.get("group")
        plain: list[exp.Expr] = []
        folded: list[exp.Expr] = []
        for root in _roots(select):
            for node in _values(root):
                (folded if _folds(node) else plain).append(node)
        self._ask(plain, read)
        self._ask(folded, f"{read} {written(grouped)}" if grouped is not None else read)
        return read

    def columns(self, query: exp.Expr) -> list[Column]:
        """The columns of a query over the inputs."""
        described = self._connection.execute(f"DESCRIBE WITH {self._with} {written(query)}").fetchall()
        return [Column(str(name), str(type_name)) for name, type_name, *_ in described]

    def value(self, expression: str, type_name: str) -> str | None:
        """A constant as DuckDB writes it once it is cast to the type."""
        row = self._connection.execute(f"SELECT CAST(CAST({expression} AS {type_name}) AS VARCHAR)").fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def common(self, types: Sequence[str]) -> str:
        """The type in which DuckDB puts values of these types side by side."""
        values = ", ".join(f"CAST(NULL AS {each})" for each in types)
        row = self._connection.execute(f"DESCRIBE SELECT coalesce({values})").fetchone()
        assert row is not None
        return str(row[1])

    def _ask(self, nodes: list[exp.Expr], read: str) -> None:
        texts = list(dict.fromkeys(written(node) for node in nodes))
        if not texts:
            return
        asked = ", ".join(f"(SELECT {text} {read} LIMIT 1) AS c{place}" for place, text in enumerate(texts))
        described = self._connection.execute(f"DESCRIBE WITH {self._with} SELECT {asked}").fetchall()
        types = {text: str(row[1]) for text, row in zip(texts, described, strict=True)}
        for node in nodes:
            self._of[id(node)] = types[written(node)]


def _empty(columns: Sequence[Column]) -> str:
    made = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in columns)
    return f"SELECT {made or 'NULL AS nothing'}"


def _roots(select: exp.Select) -> Iterator[exp.Expr]:
    yield from (each.unalias() for each in select.selects)
    for name in ("where", "qualify", "having"):
        if (clause := select.args.get(name)) is not None:
            yield clause.this
    for name in ("group", "order"):
        if (clause := select.args.get(name)) is not None:
            yield from (each.this if isinstance(each, exp.Ordered) else each for each in clause.expressions)
    for join in select.args.get("joins") or ():
        if join.args.get("on") is not None:
            yield join.args["on"]


def _values(root: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes below ``root`` that have a value of their own; not those of a query inside."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.Exists):
            continue
        inner = node.this if isinstance(node, exp.Window | exp.Filter) else None
        if isinstance(inner, exp.Filter):  # a window over a filtered aggregate: its parts have no value alone
            waiting += [*_children(inner.this), inner.expression]
            waiting += [child for child in _children(node) if child is not inner]
        elif isinstance(node, exp.Window):
            assert inner is not None
            waiting += [*_children(inner), *(child for child in _children(node) if child is not inner)]
        else:
            waiting += _children(node)
        if not isinstance(node, _NOT_VALUES) and not (isinstance(node, exp.Interval)):
            yield node


def _children(node: exp.Expr) -> list[exp.Expr]:
    return [] if isinstance(node, exp.Column | exp.DataType) else list(node.iter_expressions())


def _folds(node: exp.Expr) -> bool:
    """An aggregate that is no window stands in it."""
    windowed = {id(_folded(window)) for window in node.find_all(exp.Window)}
    return any(is_aggregate(each) and id(each) not in windowed for each in node.walk())


def _folded(window: exp.Window) -> exp.Expr:
    inner: exp.Expr = window.this
    return inner.this if isinstance(inner, exp.Filter) else inner
