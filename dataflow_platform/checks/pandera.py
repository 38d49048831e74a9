"""Check ``pandera``."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from dataflow_platform.checks import column_of, family, regexp, repeated_keys, require_text, rule, rule_names, value_for
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Column, Rule, Severity
from dataflow_platform.core.dotted_path import load_object
from dataflow_platform.core.errors import ConfigError, unknown_name

Flavour = Literal["pandas", "polars"]


@dataclass(frozen=True)
class _Part:
    """One thing the schema asks, known without data. ``make`` turns it into a rule's message and SQL."""

    label: str
    column: str | None
    severity: Severity | None
    make: Callable[[Sequence[Column]], "_Test"]


@dataclass(frozen=True)
class _Test:
    message: str
    violation: str | None = None
    verdict: str | None = None
    tolerated: bool = True


def _fact(message: str, holds: bool, sentence: str) -> _Test:
    """A verdict on the table's shape, known without its rows; no share of bad rows makes up for it."""
    verdict = f"SELECT {0 if holds else 1} AS failing, {sql.literal(sentence)} AS sentence FROM (SELECT 1) AS shape"
    return _Test(message, verdict=verdict, tolerated=False)


class Pandera(Check):
    """A Pandera schema, run in the engine: nothing of it is skipped, what the engine cannot run is refused."""

    shorthand: ClassVar[str | None] = "schema"

    schema_path: str = Field(
        alias="schema",
        description="`package.module:name` of a pandera DataFrameSchema or DataFrameModel, pandas or polars flavour. "
        "A check with `raise_warning=True` has severity `warn`, all others the severity set here.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Pandera":
        self.names()
        return self

    def names(self) -> list[str]:
        """``<schema>_<column>_<check>`` for each thing the schema asks."""
        title, parts = self._parts()
        labels = [f"{part.column}_{part.label}" if part.column else part.label for part in parts]
        return rule_names(self, [f"{title}_{label}" for label in labels], labels)

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """Row rules for nullability and values, set rules for types, uniqueness and the set of columns."""
        _, parts = self._parts()
        named = zip(self.names(), parts, strict=True)
        return [self._rule(name, part, part.make(columns)) for name, part in named]

    def _rule(self, name: str, part: _Part, test: _Test) -> Rule:
        return rule(
            self, name, test.message, column=part.column, violation=test.violation, verdict=test.verdict,
            severity=part.severity, tolerated=test.tolerated,
        )  # fmt: skip

    def _parts(self) -> tuple[str, list[_Part]]:
        schema, flavour = _schema(self.schema_path)
        title = str(schema.name or self.schema_path.rpartition(":")[2])
        _refuse_unsupported(schema, title)
        parts = list(_schema_parts(schema))
        for name, column in schema.columns.items():
            parts.extend(_column_parts(str(name), column, flavour))
        return title, parts


def _schema(path: str) -> tuple[Any, Flavour]:
    """The DataFrameSchema behind ``path`` and its flavour."""
    import importlib

    found = load_object(path)
    flavours: tuple[Flavour, ...] = ("pandas", "polars")
    for flavour in flavours:
        if flavour not in sys.modules:
            continue
        module = importlib.import_module(f"pandera.{flavour}")
        if isinstance(found, module.DataFrameSchema):
            return found, flavour
        if isinstance(found, type) and issubclass(found, module.DataFrameModel):
            model: Any = found
            return model.to_schema(), flavour
    raise ConfigError(
        "pandera.schema", f"'{path}' is no pandera DataFrameSchema or DataFrameModel", where="schema",
        fix="name a schema made with pandera.pandas or pandera.polars",
    )  # fmt: skip


def _unsupported(what: str, where: str, fix: str) -> ConfigError:
    return ConfigError("pandera.unsupported", f"{what} cannot be run in the engine", where=where, fix=fix)


def _refuse_unsupported(schema: Any, title: str) -> None:
    cast_first = "a check changes no data: take it out and use the steps cast, derive or filter"
    unsupported = {
        "dataframe-level checks": [str(check.name) for check in schema.checks],
        "dataframe-level parsers": schema.parsers,
        "index": schema.index,
        "dtype of the whole frame": schema.dtype,
        "coerce": schema.coerce,
        "strict='filter'": schema.strict == "filter",
        "add_missing_columns": schema.add_missing_columns,
        "on_missing_columns": schema.on_missing_columns,
        "drop_invalid_rows": schema.drop_invalid_rows,
    }
    for what, value in unsupported.items():
        if value:
            named = f" ({', '.join(value)})" if what == "dataframe-level checks" else ""
            fix = "write it with the check expression" if named else cast_first
            raise _unsupported(f"{what}{named}", title, fix)
    for name, column in schema.columns.items():
        if not isinstance(name, str):
            raise _unsupported(f"the column name {name!r}", title, "give the column one name")
        for what in ("regex", "coerce", "parsers", "drop_invalid_rows", "on_missing"):
            if getattr(column, what, None):
                fix = "list the columns one by one" if what == "regex" else cast_first
                raise _unsupported(f"{what} of column '{name}'", title, fix)
        if getattr(column, "default", None) is not None:
            raise _unsupported(f"default of column '{name}'", title, cast_first)


def _repeats(names: list[str]) -> _Test:
    # Pandera counts missing values as equal to one another.
    return _Test(f"{', '.join(names)} is there more than once", verdict=repeated_keys(names, nulls_repeat=True))


def _schema_parts(schema: Any) -> Iterator[_Part]:
    declared = [str(name) for name in schema.columns]
    if schema.strict:

        def only_declared(columns: Sequence[Column]) -> _Test:
            folded = {name.lower() for name in declared}
            extra = [column.name for column in columns if column.name.lower() not in folded]
            sentence = f"columns the schema does not know: {', '.join(extra)}" if extra else "no unknown column"
            return _fact("there are columns the schema does not know", not extra, sentence)

        yield _Part("columns", None, None, only_declared)
    if schema.ordered:

        def in_order(columns: Sequence[Column]) -> _Test:
            present = [column.name.lower() for column in columns]
            wanted = [name for name in declared if name.lower() in present]
            places = [present.index(name.lower()) for name in wanted]
            holds = places == sorted(places)
            sentence = f"the columns come {'' if holds else 'not '}in the order {', '.join(wanted)}"
            return _fact("the columns are not in the schema's order", holds, sentence)

        yield _Part("order", None, None, in_order)
    keys = schema.unique or []
    for key in [keys] if all(isinstance(name, str) for name in keys) and keys else keys:

        def jointly(columns: Sequence[Column], key: Sequence[str] = tuple(key)) -> _Test:
            return _repeats([column_of(name, columns).name for name in key])

        yield _Part("_".join(["unique", *key]), None, None, jointly)


def _column_parts(name: str, column: Any, flavour: Flavour) -> Iterator[_Part]:
    wanted = _wanted_family(column.dtype, name) if column.dtype is not None else None
    accepted = _accepted(wanted, column.nullable, flavour) if wanted else frozenset()

    def part(label: str, make: Callable[[Column], _Test], severity: Severity | None = None) -> _Part:
        def guarded(columns: Sequence[Column]) -> _Test:
            if not any(known.name.lower() == name.lower() for known in columns):
                if column.required:
                    raise unknown_name("column", name, [known.name for known in columns], "the schema requires it")
                return _fact(f"{name} breaks the schema", True, f"{name} is optional and not there")
            found = column_of(name, columns)
            if label != "dtype" and accepted and family(found.type) not in accepted:
                sentence = f"not checked: {found.name} is {found.type}, the schema asks for {wanted}"
                return _fact(f"{found.name} has the wrong type", False, sentence)
            return make(found)

        return _Part(label, name, severity, guarded)

    if wanted:
        yield part("dtype", lambda found: _type_test(found, str(wanted), accepted, str(column.dtype)))
    else:
        yield part("present", lambda found: _fact(f"{name} is not there", True, f"{name} is there"))
    if not column.nullable:
        # Both flavours call NaN missing where a value is required.
        yield part("not_null", lambda found: _Test(f"{found.name} is missing", violation=_missing(found)))
    if column.unique:
        yield part("unique", lambda found: _repeats([found.name]))
    for check in column.checks:
        operation = _operation(check, name)

        def make(found: Column, check: Any = check, operation: str = operation) -> _Test:
            return _value_test(check, operation, found, flavour)

        yield part(str(check.name), make, "warn" if check.raise_warning else None)


def _wanted_family(dtype: Any, column: str) -> str:
    """The family of DuckDB types a pandera dtype stands for."""
    from pandera import dtypes

    if isinstance(dtype, dtypes.Timestamp):
        zone = getattr(dtype, "tz", None) or getattr(dtype, "time_zone", None)
        zone = zone or getattr(getattr(dtype, "type", None), "time_zone", None)
        return "timestamp with time zone" if zone else "timestamp"
    known: tuple[tuple[type, str], ...] = (
        (dtypes.Decimal, "decimal"),
        (dtypes.Bool, "boolean"),
        (dtypes.Int, "integer"),
        (dtypes.Float, "float"),
        (dtypes.String, "text"),
        (dtypes.Date, "date"),
        (dtypes.Timedelta, "interval"),
        (dtypes.Time, "time"),
        (dtypes.Binary, "binary"),
    )
    for kind, name in known:
        if isinstance(dtype, kind):
            return name
    fix = "use a number, text, boolean, date, time or binary type, or leave the dtype out"
    raise _unsupported(f"dtype {dtype} of column '{column}'", column, fix)


def _accepted(wanted: str, nullable: bool, flavour: Flavour) -> frozenset[str]:
    """The families that satisfy ``wanted``."""
    accepted = {wanted}
    if flavour == "pandas" and wanted == "float" and nullable:
        # pandas itself makes float64 of integers with gaps, so such schemas say float.
        accepted.add("integer")
    if flavour == "pandas" and wanted == "timestamp":
        accepted.add("date")
    return frozenset(accepted)


def _type_test(column: Column, wanted: str, accepted: frozenset[str], dtype: str) -> _Test:
    holds = family(column.type) in accepted
    sentence = f"{column.name} is {column.type}" + ("" if holds else f", the schema asks for {wanted} ({dtype})")
    return _fact(f"{column.name} is not of type {wanted}", holds, sentence)


def _missing(column: Column) -> str:
    name = sql.quote(column.name)
    return f"{name} IS NULL OR isnan({name})" if family(column.type) == "float" else f"{name} IS NULL"


_OPERATIONS = frozenset(
    {
        *("equal_to", "not_equal_to", "greater_than", "greater_than_or_equal_to", "less_than"),
        *("less_than_or_equal_to", "in_range", "isin", "notin", "str_matches", "str_contains"),
        *("str_startswith", "str_endswith", "str_length"),
    }
)


def _operation(check: Any, column: str) -> str:
    """The built-in that ``check`` is; a function of one's own is refused, even under a built-in's name."""
    import pandera

    found = str(getattr(check, "registry_name", None))
    fix = "use one of pandera's built-in checks, or write it with the check expression"
    refusal = _unsupported(f"check '{check.name}' of column '{column}'", column, fix)
    # `native` is Pandera's own mark: False for what Pandera wrote, True for what people write.
    if type(check) is not pandera.Check or found not in _OPERATIONS or check.native:
        raise refusal
    if check.groupby or check.element_wise:
        raise refusal
    settings: dict[str, Any] = dict(check.statistics or {})
    try:
        getattr(pandera.Check, found)(**settings)
    except (TypeError, ValueError):
        raise refusal from None
    # A built-in renamed to another one still says in its error text which it is.
    renamed = any(str(check.error).startswith(f"{name}(") for name in _OPERATIONS - {found})
    listed = settings.get("allowed_values", settings.get("forbidden_values", ()))
    names_missing = any(value is None or value != value for value in listed)
    if renamed or (names_missing and not check.ignore_na):
        raise refusal
    if "pattern" in settings:
        try:
            regexp(_pattern(settings["pattern"], column))
        except ConfigError as error:
            raise _unsupported(f"check '{check.name}' of column '{column}'", column, error.fix) from error
    return found


_SIGNS = {
    "equal_to": ("<>", "equal to"),
    "not_equal_to": ("=", "different from"),
    "greater_than": ("<=", "greater than"),
    "greater_than_or_equal_to": ("<", "at least"),
    "less_than": (">=", "less than"),
    "less_than_or_equal_to": (">", "at most"),
}


def _value_test(check: Any, operation: str, column: Column, flavour: Flavour) -> _Test:
    """The row rule of one built-in check on one column."""
    settings = {name: _plain(value) for name, value in check.statistics.items()}
    if operation.startswith("str_"):
        require_text(column)
        violation, words = _text_violation(operation, settings, column, flavour)
    else:
        violation, words = _comparison(operation, settings, column)
    missing = _missing(column) if flavour == "pandas" else f"{sql.quote(column.name)} IS NULL"
    # pandas says that a missing value differs from every value; polars leaves it open, which is no pass.
    passes = flavour == "pandas" and operation in ("not_equal_to", "notin")
    if check.ignore_na or passes:
        violation = f"NOT ({missing}) AND ({violation})"
    else:
        violation = f"({missing}) OR ({violation})"
        words = f"{words}, or is missing"
    return _Test(_message(check, operation, f"{column.name} {words}"), violation=violation)


def _plain(value: Any) -> Any:
    """numpy scalars as Python's own; sets and arrays as sorted or listed values."""
    if isinstance(value, set | frozenset):
        value = sorted(value, key=lambda item: (str(type(item)), str(item)))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if type(value).__module__ == "numpy" else value


def _message(check: Any, operation: str, sentence: str) -> str:
    """``sentence``, with what the schema's author wrote as ``error``."""
    own = check.error and not str(check.error).startswith(f"{operation}(")
    return f"{sentence}: {check.error}" if own else sentence


def _comparison(operation: str, settings: dict[str, Any], column: Column) -> tuple[str, str]:
    name = sql.quote(column.name)
    if operation in ("isin", "notin"):
        (values,) = (list(listed) for listed in settings.values())
        listed = ", ".join(value_for(value, column) for value in values if value is not None)
        shown = ", ".join(str(value) for value in values[:10]) + (", ..." if len(values) > 10 else "")
        negation, words = ("NOT ", "is not") if operation == "isin" else ("", "is")
        violation = f"{name} {negation}IN ({listed})" if listed else str(bool(negation)).upper()
        return violation, f"{words} one of {shown}"
    if operation == "in_range":
        low, high = settings["min_value"], settings["max_value"]
        below = "<" if settings["include_min"] else "<="
        above = ">" if settings["include_max"] else ">="
        violation = f"{name} {below} {value_for(low, column)} OR {name} {above} {value_for(high, column)}"
        excluded = [str(bound) for bound, kept in ((low, "include_min"), (high, "include_max")) if not settings[kept]]
        words = f"is not between {low} and {high}" + (f" ({' and '.join(excluded)} excluded)" if excluded else "")
        return violation, words
    sign, words = _SIGNS[operation]
    (value,) = settings.values()
    return f"{name} {sign} {value_for(value, column)}", f"is not {words} {value}"


def _text_violation(operation: str, settings: dict[str, Any], column: Column, flavour: Flavour) -> tuple[str, str]:
    name = sql.quote(column.name)
    if operation == "str_length":
        exact, low, high = (settings.get(key) for key in ("exact_value", "min_value", "max_value"))
        if exact is not None:
            return f"length({name}) <> {int(exact)}", f"is not {exact} characters long"
        limits = [("<", "at least", low), (">", "at most", high)]
        bad = " OR ".join(f"length({name}) {sign} {int(limit)}" for sign, _, limit in limits if limit is not None)
        words = " and ".join(f"{words} {limit}" for _, words, limit in limits if limit is not None)
        return bad, f"is not {words} characters long"
    if operation in ("str_startswith", "str_endswith"):
        string = settings["string"]
        function, words = ("starts_with", "start") if operation == "str_startswith" else ("ends_with", "end")
        return f"NOT {function}({name}, {sql.literal(string)})", f"does not {words} with {string}"
    pattern = _pattern(settings["pattern"], column.name)
    shown, verb = pattern, "contain"
    if operation == "str_matches":
        verb = "start with a match of"
        # As each flavour builds it: polars puts ^ before the text, which binds to its first alternative only.
        pattern = f"^(?:{pattern})" if flavour == "pandas" else f"^{pattern.removeprefix('^')}"
    return f"NOT regexp_matches({name}, {regexp(pattern)})", f"does not {verb} {shown}"


def _pattern(pattern: Any, column: str) -> str:
    if isinstance(pattern, re.Pattern):
        flags = pattern.flags & ~re.UNICODE
        if flags & ~re.IGNORECASE:
            raise _unsupported(f"the flags of the pattern {pattern.pattern!r}", column, "write the flags as (?s)")
        return f"(?i){pattern.pattern}" if flags & re.IGNORECASE else str(pattern.pattern)
    return str(pattern)
