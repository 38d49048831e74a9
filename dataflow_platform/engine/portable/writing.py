"""An expression of DuckDB's dialect, written in another with the same value and the same type."""

from collections.abc import Callable, Sequence

from sqlglot import exp

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import SCALAR_FUNCTIONS
from dataflow_platform.core.transformation import Dialect
from dataflow_platform.engine.portable import calls, casts, literals, operators
from dataflow_platform.engine.portable.typed import Types, call_name, is_aggregate, written
from dataflow_platform.engine.portable.types import NUMBERS, WHOLE, kind, type_in

_TYPED_CALLS: dict[type[exp.Expr], tuple[str, tuple[str, ...]]] = {
    exp.Max: ("max", ("this",)),
    exp.Min: ("min", ("this",)),
    exp.Floor: ("floor", ("this",)),
    exp.Ceil: ("ceil", ("this",)),
    exp.Trim: ("trim", ("this", "expression")),
    exp.Substring: ("substring", ("this", "start", "length")),
    exp.StrPosition: ("strpos", ("this", "substr")),
    exp.Chr: ("chr", ("expressions",)),
    exp.Coalesce: ("coalesce", ("this", "expressions")),
    exp.Nullif: ("nullif", ("this", "expression")),
}
"""Calls sqlglot gives a class of their own, and where their arguments stand."""


class Writer:
    """Writes the expressions of one SELECT."""

    def __init__(self, dialect: Dialect, types: Types) -> None:
        self.dialect = dialect
        self._types = types
        self._writers: dict[type[exp.Expr], Callable[[exp.Expr], str]] = {
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: lambda node: "TRUE" if node.this else "FALSE",
            exp.Null: lambda node: "NULL",
            exp.Paren: lambda node: self.write(node.this),
            exp.Cast: self._cast,
            exp.TryCast: self._cast,
            exp.Case: self._case,
            exp.In: self._in,
            exp.Between: self._between,
            exp.Is: self._is,
            exp.Not: lambda node: f"(NOT {self.write(node.this)})",
            exp.And: lambda node: (
                f"({self.as_type(node.this, 'BOOLEAN')} AND {self.as_type(node.expression, 'BOOLEAN')})"
            ),
            exp.Or: lambda node: (
                f"({self.as_type(node.this, 'BOOLEAN')} OR {self.as_type(node.expression, 'BOOLEAN')})"
            ),
            exp.Neg: self._negated,
            exp.Extract: self._extract,
            exp.Window: self._window,
            exp.Filter: self._filtered,
        }

    def write(self, node: exp.Expr) -> str:
        """The expression, of the dialect's type for ``type_of(node)``; ConfigError where it does not hold there."""
        writer = self._writers.get(type(node))
        if writer is not None:
            return writer(node)
        name, arguments = self.call(node)
        if name is not None:
            return calls.write(self, node, name, arguments)
        return operators.write(self, node)

    def type_of(self, node: exp.Expr) -> str:
        """DuckDB's type of the expression."""
        return self._types.of(node)

    def constant(self, node: exp.Expr, type_name: str) -> str | None:
        """A literal as DuckDB writes it once cast to the type."""
        return self._types.value(written(node), type_name)

    def refused(self, what: str, instead: str = "leave it to DuckDB") -> ConfigError:
        """The error for what does not hold in the dialect."""
        return ConfigError("portable.unsupported", f"{what} does not hold in {self.dialect}", fix=f"nearest: {instead}")

    def as_type(self, node: exp.Expr, type_name: str) -> str:
        """The expression as a value of DuckDB's type ``type_name``, to which DuckDB casts it by itself."""
        while isinstance(node, exp.Paren):
            node = node.this
        if isinstance(node, exp.Null):
            return f"CAST(NULL AS {self.named_type(type_name)})"
        literal = node.this if isinstance(node, exp.Neg) else node
        if isinstance(literal, exp.Literal) and (literal.is_string or self.type_of(node) != type_name):
            return self.folded(node, type_name)
        return self.converted(self.write(node), self.type_of(node), type_name, tried=False)

    def converted(self, value: str, origin: str, to: str, tried: bool) -> str:
        """``value`` cast between two of DuckDB's types."""
        made = casts.cast(value, origin, to, tried, self.dialect)
        if made is None:
            there = f"{'TRY_CAST' if tried else 'a cast'} of {origin} to {to}"
            raise self.refused(there, "another type, or leave the cast to DuckDB")
        return made

    def named_type(self, type_name: str) -> str:
        """The dialect's name for DuckDB's type."""
        found = type_in(self.dialect, type_name)
        if found is None:
            raise self.refused(f"the type {type_name}", "varchar, bigint, decimal, double, date or timestamp")
        return found

    def folded(self, node: exp.Expr, type_name: str) -> str:
        """A literal, cast by DuckDB now."""
        value = self.constant(node, type_name)
        if value is None:
            return f"CAST(NULL AS {self.named_type(type_name)})"
        if type_name == "VARCHAR":
            return literals.text(value, self.dialect)
        if type_name == "BOOLEAN":
            return value.upper()
        if kind(type_name) in WHOLE or kind(type_name) == "DECIMAL":
            number = literals.text(value, self.dialect) if self.dialect == "bigquery" else value
            return f"CAST({number} AS {self.named_type(type_name)})"
        if kind(type_name) == "DOUBLE":
            return f"CAST({literals.text(value, self.dialect)} AS {self.named_type(type_name)})"
        if kind(type_name) in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "UUID", "TIME"):
            return f"CAST({literals.text(value, self.dialect)} AS {self.named_type(type_name)})"
        raise self.refused(f"a constant of type {type_name}")

    def comparable(self, value: str, type_name: str) -> str:
        """``value`` where its order or equality counts: PostgreSQL compares texts by their bytes then, as DuckDB."""
        if (
            kind(type_name) in ("INTERVAL", "VARCHAR[]", "TIME WITH TIME ZONE")
            or type_in(self.dialect, type_name) is None
        ):
            raise self.refused(f"comparing values of type {type_name}", "compare a number, text, date or timestamp")
        collated = self.dialect == "postgres" and type_name == "VARCHAR"
        return f'({value} COLLATE "C")' if collated else value

    def common_type(self, nodes: Sequence[exp.Expr]) -> str:
        """The type DuckDB compares these expressions in."""
        known = [node for node in nodes if not isinstance(node.unnest(), exp.Null)]
        typed = [node for node in known if not (isinstance(node.unnest(), exp.Literal) and node.unnest().is_string)]
        types = list(dict.fromkeys(self.type_of(node) for node in typed)) or ["VARCHAR"]
        if len(types) == 1:
            return types[0]
        kinds = {kind(each) for each in types}
        if kinds <= {"DATE", "TIMESTAMP"}:
            return "TIMESTAMP"
        if kinds <= {*NUMBERS} - {"FLOAT"}:
            return "DOUBLE" if "DOUBLE" in kinds else self._types.common(types)
        raise self.refused(f"comparing {' with '.join(types)}", "cast one of them to the other's type")

    def compared(self, node: exp.Expr, others: Sequence[exp.Expr]) -> str:
        """One side of a comparison with ``others``."""
        common = self.common_type([node, *others])
        return self.comparable(self.as_type(node, common), common)

    def ordered(self, order: exp.Order) -> str:
        """ORDER BY, with the place of NULL said outright."""
        terms = []
        for term in order.expressions:
            inner = term.this if isinstance(term, exp.Ordered) else term
            down = bool(isinstance(term, exp.Ordered) and term.args.get("desc"))
            first = bool(isinstance(term, exp.Ordered) and term.args.get("nulls_first"))
            value = self.comparable(self.write(inner), self.type_of(inner))
            terms.append(f"{value} {'DESC' if down else 'ASC'} NULLS {'FIRST' if first else 'LAST'}")
        return f"ORDER BY {', '.join(terms)}"

    def call(self, node: exp.Expr) -> tuple[str | None, list[exp.Expr]]:
        """The function a node calls, and its arguments."""
        if (name := call_name(node)) is not None:
            return name, list(node.expressions)
        if type(node) not in _TYPED_CALLS:
            return None, []
        name, places = _TYPED_CALLS[type(node)]
        arguments: list[exp.Expr] = []
        for place in places:
            found = node.args.get(place)
            arguments += found if isinstance(found, list) else [found] if found is not None else []
        known = {key for key, value in node.args.items() if value} - {"is_standard_position"}
        if not known <= {*places, "safe", "big_int", "occurrence"}:
            raise self.refused(f"this form of {name}()", f"{name}() with plain arguments")
        return name, arguments

    def _column(self, node: exp.Expr) -> str:
        *table, name = [part.name for part in node.parts]  # type: ignore[attr-defined]
        if len(table) > 1:
            raise self.refused("a field of a structure", "leave it to DuckDB")
        return ".".join(literals.identifier(part, self.dialect) for part in (*table, name))

    def _literal(self, node: exp.Expr) -> str:
        if node.is_string:
            return literals.text(node.name, self.dialect)
        return self.folded(node, self.type_of(node)) if not node.name.isdecimal() else node.name

    def _cast(self, node: exp.Expr) -> str:
        inner, to = node.this, self.type_of(node)
        tried = isinstance(node, exp.TryCast)
        if isinstance(inner, exp.Literal) and not tried:
            return self.folded(inner, to)
        if isinstance(inner, exp.Null):
            return f"CAST(NULL AS {self.named_type(to)})"
        return self.converted(self.write(inner), self.type_of(inner), to, tried)

    def _case(self, node: exp.Expr) -> str:
        kind_of, subject = self.type_of(node), node.this
        parts = []
        for branch in node.args["ifs"]:
            if subject is not None:
                sides = [subject, branch.this]
                tested = f"{self.compared(subject, sides)} = {self.compared(branch.this, sides)}"
            else:
                tested = self.as_type(branch.this, "BOOLEAN")
            parts.append(f"WHEN {tested} THEN {self.as_type(branch.args['true'], kind_of)}")
        otherwise = node.args.get("default")
        if otherwise is not None:
            parts.append(f"ELSE {self.as_type(otherwise, kind_of)}")
        return f"(CASE {' '.join(parts)} END)"

    def _in(self, node: exp.Expr) -> str:
        if node.args.get("query") or node.args.get("unnest"):
            raise self.refused("IN with a query", "the step join with how: semi")
        every = [node.this, *node.expressions]
        listed = ", ".join(self.compared(each, every) for each in node.expressions)
        return f"({self.compared(node.this, every)} IN ({listed}))"

    def _between(self, node: exp.Expr) -> str:
        low, high = node.args["low"], node.args["high"]
        least = f"{self.compared(node.this, [low])} >= {self.compared(low, [node.this])}"
        most = f"{self.compared(node.this, [high])} <= {self.compared(high, [node.this])}"
        return f"({least} AND {most})"

    def _is(self, node: exp.Expr) -> str:
        if not isinstance(node.expression, exp.Null | exp.Boolean):
            raise self.refused("this IS", "IS NULL, IS TRUE or IS NOT DISTINCT FROM")
        wanted = "NULL" if isinstance(node.expression, exp.Null) else self.write(node.expression)
        return f"({self.write(node.this)} IS {wanted})"

    def _negated(self, node: exp.Expr) -> str:
        if isinstance(node.this, exp.Literal):
            return self.folded(node, self.type_of(node))
        if kind(self.type_of(node)) not in NUMBERS:
            raise self.refused("the sign of what is no number", "a number")
        return f"(- {self.as_type(node.this, self.type_of(node))})"

    def _extract(self, node: exp.Expr) -> str:
        return calls.date_part(self, node, node.this.name.lower(), node.expression)

    def _filtered(self, node: exp.Expr) -> str:
        return calls.aggregate(self, node.this, self.type_of(node), node.expression.this)

    def _window(self, node: exp.Expr) -> str:
        return calls.window(self, node)


def is_scalar(name: str) -> bool:
    """A function of one row's values."""
    return name in SCALAR_FUNCTIONS


__all__ = ["Writer", "is_aggregate", "is_scalar"]
