"""Pandera's built-in checks as SQL. Where SQL would answer otherwise than Pandera, there is none: Pandera runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dataflow_platform.checks import family, require_text, value_for
from dataflow_platform.checks.pandera import patterns
from dataflow_platform.checks.pandera.flavour import Flavour
from dataflow_platform.checks.pandera.parts import Test
from dataflow_platform.checks.pandera.seen import Seen, plain
from dataflow_platform.core import sql
from dataflow_platform.core.errors import ConfigError

_SIGNS = {
    "equal_to": ("<>", "equal to"),
    "not_equal_to": ("=", "different from"),
    "greater_than": ("<=", "greater than"),
    "greater_than_or_equal_to": ("<", "at least"),
    "less_than": (">=", "less than"),
    "less_than_or_equal_to": (">", "at most"),
}
_TEXTS = frozenset({"str_matches", "str_contains", "str_startswith", "str_endswith", "str_length"})
ROW_WISE = frozenset({*_SIGNS, "in_range", "isin", "notin", *_TEXTS})
OPERATIONS = ROW_WISE | {"unique_values_eq"}


def test(check: Any, operation: str, seen: Seen, flavour: Flavour) -> Test | None:
    """The test of one built-in on one column; None where Pandera itself has to run it."""
    settings = {name: plain(value) for name, value in check.statistics.items()}
    if operation in _TEXTS:
        require_text(seen.column)
    if _names_missing(settings.values()):
        return None  # what equals a missing value is a question of the frame's types
    try:
        if operation == "unique_values_eq":
            return _same_values(check, settings["values"], seen, flavour)
        if operation in _TEXTS:
            found = _text_violation(operation, settings, seen, flavour, check)
        else:
            found = _comparison(operation, settings, seen, flavour)
    except ConfigError as error:
        if error.code == "literal.unsupported":
            return None
        raise
    if found is None:
        return None
    violation, sentence, code = found
    if not check.ignore_na:
        # pandas says that a missing value differs from every value; polars leaves it open, which is no pass.
        passes = flavour == "pandas" and operation in ("not_equal_to", "notin")
        missing = seen.missing if flavour == "pandas" else f"{seen.value} IS NULL"
        if not passes:
            violation, sentence = f"({missing}) OR ({violation})", f"{sentence}, or is missing"
    return Test(_message(check, operation, f"{seen.name} {sentence}"), violation=violation, code=code)


_Found = tuple[str, str, tuple[Any, ...]]


def _names_missing(values: Any) -> bool:
    """None, NaN or NaT among what is compared with; a length or a bound that is not set is no value."""
    for value in values:
        listed = value if isinstance(value, list) else [value]
        if any(each != each for each in listed) or (isinstance(value, list) and None in listed):
            return True
    return False


def _message(check: Any, operation: str, sentence: str) -> str:
    """``sentence``, with what the schema's author wrote as ``error``."""
    own = check.error and not str(check.error).startswith(f"{operation}(")
    return f"{sentence}: {check.error}" if own else sentence


def _value(value: object, seen: Seen) -> str:
    if isinstance(value, datetime) and family(seen.column.type) == "timestamp" and value.tzinfo is not None:
        raise ConfigError(
            "check.type", f"column '{seen.name}' has no time zone and cannot be compared with {value}", where=seen.name,
            fix="write the time without a zone, or cast the column first",
        )  # fmt: skip
    return value_for(value, seen.column)


def _comparison(operation: str, settings: dict[str, Any], seen: Seen, flavour: Flavour) -> _Found:
    value = seen.value
    # To pandas NaN is a missing value; to polars and DuckDB it is the greatest number.
    there = f" AND NOT isnan({value})" if seen.is_float and flavour == "pandas" else ""
    if operation in ("isin", "notin"):
        (values,) = (list(listed) for listed in settings.values())
        listed = ", ".join(_value(each, seen) for each in values)
        shown = ", ".join(str(each) for each in values[:10]) + (", ..." if len(values) > 10 else "")
        negation, said = ("NOT ", "is not") if operation == "isin" else ("", "is")
        violation = f"{value} {negation}IN ({listed})" if listed else f"{value} IS NOT NULL AND {bool(negation)}"
        return f"{violation}{there}", f"{said} one of {shown}", ()
    if operation == "in_range":
        low, high = settings["min_value"], settings["max_value"]
        include_min, include_max = settings.get("include_min", True), settings.get("include_max", True)
        below, above = "<" if include_min else "<=", ">" if include_max else ">="
        violation = f"{value} {below} {_value(low, seen)} OR ({value} {above} {_value(high, seen)}{there})"
        excluded = [str(bound) for bound, kept in ((low, include_min), (high, include_max)) if not kept]
        said = f"is not between {low} and {high}" + (f" ({' and '.join(excluded)} excluded)" if excluded else "")
        return violation, said, ()
    sign, said = _SIGNS[operation]
    (bound,) = settings.values()
    return f"{value} {sign} {_value(bound, seen)}{there}", f"is not {said} {bound}", ()


def _text_violation(
    operation: str, settings: dict[str, Any], seen: Seen, flavour: Flavour, check: Any
) -> _Found | None:
    value = seen.value
    if operation == "str_length":
        exact, low, high = (settings.get(key) for key in ("exact_value", "min_value", "max_value"))
        if exact is not None:
            return f"length({value}) <> {int(exact)}", f"is not {exact} characters long", ()
        limits = [("<", "at least", low), (">", "at most", high)]
        bad = " OR ".join(f"length({value}) {sign} {int(limit)}" for sign, _, limit in limits if limit is not None)
        said = " and ".join(f"{word} {limit}" for _, word, limit in limits if limit is not None)
        return bad, f"is not {said} characters long", ()
    if operation in ("str_startswith", "str_endswith"):
        string = settings["string"]
        if not isinstance(string, str):
            return None
        function, verb = ("starts_with", "start") if operation == "str_startswith" else ("ends_with", "end")
        return f"NOT {function}({value}, {sql.literal(string)})", f"does not {verb} with {string}", ()
    return patterns.violation(check, operation, settings["pattern"], seen, flavour)


def _same_values(check: Any, values: Sequence[Any], seen: Seen, flavour: Flavour) -> Test | None:
    """The values that are there are ``values``, all of them and no other."""
    if flavour == "pandas" and not check.ignore_na:
        return None
    listed = ", ".join(f"({_value(each, seen)})" for each in values)
    if not listed or seen.is_float:
        return None
    wanted = f"SELECT CAST(value AS {seen.column.type}) AS value FROM (VALUES {listed}) AS listed(value)"
    found = f"SELECT DISTINCT {seen.value} AS value FROM staged WHERE {seen.value} IS NOT NULL"
    differing = (
        f"SELECT value FROM (SELECT value, 1 AS there, 0 AS asked FROM ({found}) AS found UNION ALL "
        f"SELECT DISTINCT value, 0, 1 FROM ({wanted}) AS wanted) AS sides GROUP BY value "
        "HAVING sum(there) <> sum(asked)"
    )
    verdict = (
        "SELECT count(*) AS failing, CASE WHEN count(*) = 0 THEN 'the values are those wanted' "
        f"ELSE count(*) || ' values are missing or unknown' END AS sentence FROM ({differing}) AS differing"
    )
    breaks = f"{seen.value} NOT IN (SELECT value FROM ({wanted}) AS wanted)"
    shown = ", ".join(str(each) for each in values[:10])
    return Test(f"the values of {seen.name} are not {shown}", verdict=verdict, breaks=breaks, tolerated=False)
