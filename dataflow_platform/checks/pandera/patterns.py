"""Regular expressions of checks. DuckDB reads them where it gives Pandera's answer, else Pandera runs.

DuckDB's RE2 knows no look-around, and by ``\\d``, ``\\w``, ``\\s`` and ``\\b`` it means ASCII. Rows on which that
makes a difference are few: those alone go to Pandera.
"""

import re
import warnings
from functools import cache
from typing import Any

from dataflow_platform.checks.pandera import code
from dataflow_platform.checks.pandera.flavour import Flavour
from dataflow_platform.checks.pandera.seen import Seen
from dataflow_platform.core import sql
from dataflow_platform.core.errors import ConfigError

_CLASSES = re.compile(r"\\[dDwWsSbB]|\(\?[a-z]*i")
_ELSEWHERE = re.compile(r"\{,|\\[<>]|\\b\{")
"""Read by all, and differently: ``{,3}`` (to RE2 these four signs), and word boundaries of Rust's dialect."""


def violation(
    check: Any, operation: str, pattern: Any, seen: Seen, flavour: Flavour
) -> tuple[str, str, tuple[Any, ...]] | None:
    """SQL, TRUE where a text does not match, with what it says and the code it calls; None where Pandera has to run."""
    text, ignores_case = _text(pattern, flavour)
    if text is None:
        return None
    _refuse_unreadable(text, flavour, seen.name)
    verb = "contain"
    engine = text
    if operation == "str_matches":
        verb = "start with a match of"
        # As each flavour builds it: polars puts ^ before the text, which binds to its first alternative only.
        engine = f"^(?:{text})" if flavour == "pandas" else f"^{text.removeprefix('^')}"
    if ignores_case:
        engine = f"(?i){engine}"
    if _ELSEWHERE.search(engine) or not _same_to_duckdb(engine):
        return None
    bad = f"NOT regexp_matches({seen.value}, {sql.literal(engine)})"
    if _CLASSES.search(engine):
        plain = f"regexp_full_match({seen.value}, '[ -~]*')"
    elif "$" in engine and flavour == "pandas":
        plain = f"NOT contains({seen.value}, chr(10))"  # Python's $ also matches before a last line end
    else:
        return bad, f"does not {verb} {text}", ()
    by_pandera = code.Code(check, seen.name, [seen], flavour)
    bad = f"CASE WHEN {plain} THEN {bad} ELSE {by_pandera.violation} END"
    return bad, f"does not {verb} {text}", (by_pandera,)


def _text(pattern: Any, flavour: Flavour) -> tuple[str | None, bool]:
    """The pattern's text and whether it ignores case; None where flags need Python's own engine."""
    if not isinstance(pattern, re.Pattern):
        return str(pattern), False
    if flavour == "polars":
        return str(pattern.pattern), False  # Pandera leaves out the flags
    flags = pattern.flags & ~re.UNICODE
    return (None, False) if flags & ~re.IGNORECASE else (str(pattern.pattern), bool(flags & re.IGNORECASE))


def _refuse_unreadable(text: str, flavour: Flavour, column: str) -> None:
    try:
        if flavour == "pandas":
            re.compile(text)
        else:
            _compile_for_polars(text)
    except (re.error, RecursionError, OverflowError, ValueError) as error:
        raise ConfigError(
            "check.pattern", f"the pattern {text!r} cannot be used: {error}", where=column,
            fix=f"write a regular expression that {'Python' if flavour == 'pandas' else 'polars'} can read",
        ) from error  # fmt: skip


def _compile_for_polars(text: str) -> None:
    import polars as pl

    try:
        pl.Series([""]).str.contains(text)
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error).splitlines()[0]) from error


@cache
def _same_to_duckdb(engine: str) -> bool:
    """True where DuckDB reads the pattern, and Python reads in it no set that other dialects mean otherwise."""
    import duckdb

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(engine)
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"SELECT regexp_matches('', {sql.literal(engine)})").fetchall()
    except (re.error, RecursionError, OverflowError, Warning, duckdb.Error):
        return False
    return True
