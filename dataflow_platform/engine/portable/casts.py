"""Casts in other dialects: what DuckDB makes of a value, or nothing."""

from dataflow_platform.core.transformation import Dialect
from dataflow_platform.engine.portable.literals import text
from dataflow_platform.engine.portable.types import RANGES, WHOLE, kind, type_in, width

_BLANKS = "[ \t\n\v\f\r]*"
_DIGITS = "[0-9]+(_[0-9]+)*"
_NUMBER = rf"[+-]?({_DIGITS}(\.({_DIGITS})?)?|\.{_DIGITS})([eE][+-]?[0-9](_?[0-9]){{0,3}})?"
_WHOLE = rf"^{_BLANKS}({_NUMBER}{_BLANKS}|0[xX][0-9a-fA-F]+(_[0-9a-fA-F]+)*|0[bB][01]+(_[01]+)*)$"
_DECIMAL = rf"^{_BLANKS}{_NUMBER}{_BLANKS}$"
_DOUBLE = rf"^{_BLANKS}({_NUMBER}|[+-]?([iI][nN][fF]([iI][nN][iI][tT][yY])?)|[nN][aA][nN]){_BLANKS}$"
_DAY = rf"^{_BLANKS}([0-9]{{1,5}})([-/\\ ])([0-9]{{1,2}})\2([0-9]{{1,2}})"
_END = rf"(?:(?:Z|[+-][0-9]{{2}}(?::?[0-9]{{2}})?){_BLANKS}| *)"
_SECONDS = rf"(([0-5]?[0-9])(?:(\.[0-9]{{0,6}})[0-9]*)?{_END})?"
_MOMENT = rf"{_DAY}([T \t\n\v\f\r]{_BLANKS}0?([0-9]{{1,2}}):(([0-9]{{1,2}})(:{_SECONDS})?)?)?$"
_FAR = (
    rf"^{_BLANKS}((-[0-9]+|0+|[0-9]{{6,}})([-/\\ ])[0-9]{{1,2}}\3[0-9]{{1,2}}([^0-9]|$)"
    rf"|[0-9]+([-/\\ ])[0-9]{{1,2}}\5[0-9]{{1,2}} \(BC\)|(epoch|-?inf(inity)?){_BLANKS}$)"
)
"""What DuckDB takes for dates and no other database does: a row of it fails, it is not read as something else."""
_TRUE, _FALSE = "'true', 't', '1', 'yes', 'y'", "'false', 'f', '0', 'no', 'n'"
LONGEST_SCALED = 15
"""Digits a DOUBLE keeps of a decimal: wider ones are not the same number in both."""


def cast(value: str, origin: str, to: str, tried: bool, dialect: Dialect) -> str | None:
    """``value``, of DuckDB's type ``origin``, cast to DuckDB's type ``to``; None where that does not hold.

    ``tried``: NULL where it does not fit, as TRY_CAST.
    """
    there = type_in(dialect, to)
    if there is None:
        return None
    if origin == to:
        return value
    plain = f"CAST({value} AS {there})"
    if origin == '"NULL"':
        return plain
    ends = kind(origin), kind(to)
    if ends[0] == "VARCHAR":
        return _from_text(value, to, tried, there) if dialect == "postgres" else None
    if ends in (("BOOLEAN", "BOOLEAN"), ("DATE", "TIMESTAMP"), ("TIMESTAMP", "DATE"), ("UUID", "VARCHAR")):
        return plain
    if ends[1] == "VARCHAR":
        return _to_text(value, ends[0], dialect)
    if ends[0] == "BOOLEAN" and ends[1] in WHOLE:
        return f"CAST(CASE WHEN {value} THEN 1 WHEN NOT {value} THEN 0 END AS {there})"
    if ends[1] == "BOOLEAN":
        return f"({value} <> 0)" if ends[0] in WHOLE else None
    return _between_numbers(value, origin, to, tried, dialect)


def _to_text(value: str, origin: str, dialect: Dialect) -> str | None:
    plain = f"CAST({value} AS {type_in(dialect, 'VARCHAR')})"
    if origin in WHOLE or origin in ("BOOLEAN", "DATE"):
        return plain
    if origin in ("DECIMAL", "TIMESTAMP") and dialect in ("postgres", "spark"):
        return plain
    return None


def _between_numbers(value: str, origin: str, to: str, tried: bool, dialect: Dialect) -> str | None:
    ends = kind(origin), kind(to)
    plain = f"CAST({value} AS {type_in(dialect, to)})"
    exact = ends[0] in WHOLE or ends[0] == "DECIMAL"
    if exact and ends[1] == "DOUBLE" and not (ends[0] == "DECIMAL" and width(origin)[0] > LONGEST_SCALED):
        return plain
    if ends == ("FLOAT", "DOUBLE"):
        return plain
    if exact and ends[1] in WHOLE:
        rounded = value if ends[0] in WHOLE else f"round({value}, 0)"
        low, high = RANGES.get(to, (None, None))
        if dialect in ("snowflake", "bigquery", "spark") or to == "TINYINT" or ends[0] == "DECIMAL":
            plain = f"CAST({rounded} AS {type_in(dialect, to)})"
        return (
            f"(CASE WHEN {rounded} BETWEEN {low} AND {high} THEN {plain} END)" if tried and low is not None else plain
        )
    if exact and ends[1] == "DECIMAL":
        return _to_decimal(value, to, tried, dialect)
    if ends[0] == "DOUBLE" and dialect == "postgres":
        return _from_double(value, to, tried)
    return None


def _to_decimal(value: str, to: str, tried: bool, dialect: Dialect) -> str:
    precision, scale = width(to)
    plain = f"CAST({value} AS {type_in(dialect, to)})"
    if not tried:
        return plain
    return f"(CASE WHEN abs(round({value}, {scale})) < {10 ** (precision - scale)} THEN {plain} END)"


def _from_double(value: str, to: str, tried: bool) -> str | None:
    """PostgreSQL's cast to a whole number rounds ties to even, as DuckDB's; to numeric it takes 15 digits."""
    there = type_in("postgres", to)
    if to in ("INTEGER", "BIGINT", "SMALLINT"):
        plain, (low, high) = f"CAST({value} AS {there})", RANGES[to]
        end = f"<= {high}" if to != "BIGINT" else f"< {float(2**63):.1f}"
        return f"(CASE WHEN round({value}) >= {low} AND round({value}) {end} THEN {plain} END)" if tried else plain
    if kind(to) != "DECIMAL" or width(to)[0] > LONGEST_SCALED:
        return None
    precision, scale = width(to)
    scaled = f"({value} * CAST(1e{scale} AS double precision))"
    rounded = f"(trunc({scaled}) + CASE WHEN abs({scaled} - trunc({scaled})) >= 0.5 THEN sign({scaled}) ELSE 0 END)"
    made = f"CAST(CAST(CAST({rounded} AS bigint) AS numeric) * 1e-{scale} AS {there})"
    return f"(CASE WHEN abs({rounded}) < 1e{precision} THEN {made} END)" if tried else made


def _from_text(value: str, to: str, tried: bool, there: str) -> str | None:
    """PostgreSQL's own reading of texts differs: what DuckDB takes is taken by a pattern, the rest is NULL or fails."""
    failing = f"CAST('no {to.lower()}: ' || {value} AS {there})"
    otherwise = "" if tried else f" WHEN {value} IS NOT NULL THEN {failing}"
    if to == "BOOLEAN":
        low = f"lower({value})"
        return f"(CASE WHEN {low} IN ({_TRUE}) THEN TRUE WHEN {low} IN ({_FALSE}) THEN FALSE{otherwise} END)"
    if to in ("DATE", "TIMESTAMP"):
        return _moment_from_text(value, to, failing, otherwise)
    bare = f"CAST(replace({value}, '_', '') AS {'double precision' if to == 'DOUBLE' else 'numeric'})"
    if to in RANGES and to != "TINYINT":
        form, read = _WHOLE, f"round({bare}, 0)"
        fits = f"{read} BETWEEN {RANGES[to][0]} AND {RANGES[to][1]}"
    elif kind(to) == "DECIMAL":
        precision, scale = width(to)
        form, read = _DECIMAL, bare
        fits = f"abs(round({read}, {scale})) < {10 ** (precision - scale)}"
    elif to == "DOUBLE":
        return f"(CASE WHEN {value} ~ {text(_DOUBLE, 'postgres')} THEN {bare}{otherwise} END)"
    else:
        return None
    made = f"CAST({read} AS {there})"
    made = f"CASE WHEN {fits} THEN {made} END" if tried else made
    return f"(CASE WHEN {value} ~ {text(form, 'postgres')} THEN {made}{otherwise} END)"


def _moment_from_text(value: str, to: str, failing: str, otherwise: str) -> str:
    form = _DAY + "([^0-9]|$)" if to == "DATE" else _MOMENT
    found = f"regexp_match({value}, {text(form, 'postgres')})"
    canonical = f"lpad(({found})[1], 7, '0') || '-' || ({found})[3] || '-' || ({found})[4]"
    if to == "TIMESTAMP":
        # 6 is the hour, 8 the minute, 11 and 12 the second.
        canonical += f" || ' ' || coalesce(({found})[6], '0') || ':' || coalesce(({found})[8], '0')"
        canonical += f" || ':' || coalesce(({found})[11], '0') || coalesce(({found})[12], '')"
    fits = f"{value} ~ {text(form, 'postgres')} AND pg_input_is_valid({canonical}, '{to.lower()}')"
    far = f"{value} ~* {text(_FAR, 'postgres')}"
    return f"(CASE WHEN {far} THEN {failing} WHEN {fits} THEN CAST({canonical} AS {to.lower()}){otherwise} END)"
