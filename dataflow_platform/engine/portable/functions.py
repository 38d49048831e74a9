"""The functions of the expression language in other dialects. This table is the one place that says where each holds.

A dialect that is not named does not hold: unknown is unsupported. In a template ``{0}`` is the first argument and
``{*}`` all of them; DuckDB's meaning is what every template has to give.

Arguments: ``text``, ``text1`` (a literal of at least one character), ``blanks`` (likewise; Unicode's spaces where it
is absent), ``plain`` (a literal without ``\\``, ``$`` and ``&``), ``pattern`` and ``simple_pattern`` (literals, see
``patterns``), ``format`` (a literal, see ``patterns``), ``g`` and ``=word`` (these literals), ``int``, ``place`` (a
literal from 0), ``start`` (likewise from 1), ``big``, ``double``, ``decimal``, ``whole`` (any whole number),
``exact`` (or a decimal), ``number``, ``date`` (DATE or TIMESTAMP), ``moment`` (made TIMESTAMP), ``day`` (DATE),
``bool``, ``list`` (of texts), ``any``, ``words`` (made text), ``result`` (made the type the call has), ``ordered``
(likewise, and comparable), ``*`` behind the last: one or more. In a template ``{rest}`` is all but the first,
``{filled}`` all, with '' for NULL.
"""

from dataclasses import dataclass
from typing import Literal

from dataflow_platform.core.transformation import Dialect


@dataclass(frozen=True)
class Function:
    """One form of a call: what it takes and how each dialect says it."""

    takes: str
    postgres: str | None = None
    spark: str | None = None
    snowflake: str | None = None
    bigquery: str | None = None

    def template(self, dialect: Dialect) -> str | None:
        """How the dialect says it; None where it does not hold."""
        found: str | None = getattr(self, dialect, None)
        return found


def _all(takes: str, template: str) -> Function:
    return Function(takes, template, template, template, template)


def _but_bigquery(takes: str, template: str, bigquery: str | None = None) -> Function:
    return Function(takes, template, template, template, bigquery)


def _part(word: str, takes: str = "date", spark: str | None = None, bigquery: str | None = None) -> Function:
    plain = f"extract({word} FROM {{0}})"
    return Function(takes, plain, spark or plain, plain, bigquery or plain)


_AWAY = "CASE WHEN abs({value} - trunc({value})) >= 0.5 THEN trunc({value}) + sign({value}) ELSE trunc({value}) END"
"""PostgreSQL's round() of a double takes ties to even, DuckDB's away from 0."""
_POSTGRES_POWER = (
    "(CASE WHEN {0} < 0 AND {1} <> trunc({1}) AND {0} > '-Infinity' AND abs({1}) < 'Infinity' "
    "THEN CAST('NaN' AS double precision) "
    "WHEN {0} = 0 AND {1} < 0 THEN CAST('Infinity' AS double precision) ELSE power({0}, {1}) END)"
)
_POSTGRES_SECONDS = "trunc(extract(second FROM {0}))"
_DIFF_MONTHS = (
    "((extract(year FROM {1}) - extract(year FROM {0})) * 12 + extract(month FROM {1}) - extract(month FROM {0}))"
)
_DIFF_QUARTERS = (
    "((extract(year FROM {1}) - extract(year FROM {0})) * 4 + extract(quarter FROM {1}) - extract(quarter FROM {0}))"
)
_DIFF_YEARS = "(extract(year FROM {1}) - extract(year FROM {0}))"


def _truncated_diff(unit: str, seconds: int) -> str:
    """PostgreSQL's count of borders of ``unit`` between two timestamps."""
    ends = (f"extract(epoch FROM date_trunc('{unit}', {{{place}}}))" for place in (1, 0))
    return f"(({' - '.join(ends)}) / {seconds})"


FUNCTIONS: dict[str, list[Function]] = {
    # strings
    "lower": [Function("text", '(lower({0} COLLATE "pg_c_utf8") COLLATE "C")',
                       "lower(translate({0}, '\u0130\u03a3', 'i\u03c3'))", "lower({0})", "lower({0})")],
    "upper": [Function("text", "(replace(upper({0} COLLATE \"pg_c_utf8\"), 'ß', 'ẞ') COLLATE \"C\")",
                       None, "upper({0})", "upper({0})")],
    "length": [Function("text", "length({0})", "char_length({0})", "length({0})", "char_length({0})"),
               Function("list", "cardinality({0})")],
    "strlen": [Function("text", "octet_length({0})", "octet_length({0})", "octet_length({0})", "byte_length({0})")],
    "bit_length": [Function("text", "bit_length({0})", "bit_length({0})", "bit_length({0})", "(byte_length({0}) * 8)")],
    "ascii": [Function("text", "ascii({0})", "ascii({0})", None, "unicode({0})")],
    "concat": [Function("words*", "concat({*})", "concat({filled})", "concat({filled})", "concat({filled})")],
    "concat_ws": [Function("text words*", "concat_ws({*})", "concat_ws({*})", None,
                           "(CASE WHEN {0} IS NOT NULL THEN array_to_string([{rest}], {0}) END)")],
    "contains": [Function("text text", "(strpos({0}, {1}) > 0)", "contains({0}, {1})", "contains({0}, {1})",
                          "(strpos({0}, {1}) > 0)")],
    "starts_with": [Function("text text", "starts_with({0}, {1})", "startswith({0}, {1})", "startswith({0}, {1})",
                             "starts_with({0}, {1})")],
    "ends_with": [Function("text text", "(right({0}, length({1})) = {1})", "endswith({0}, {1})", "endswith({0}, {1})",
                           "ends_with({0}, {1})")],
    "strpos": [Function("text text1", "strpos({0}, {1})", "instr({0}, {1})", "position({1}, {0})", "strpos({0}, {1})")],
    "left": [_all("text place", "left({0}, {1})")],
    "right": [_all("text place", "right({0}, {1})")],
    "substring": [_all("text start place", "substr({0}, {1}, {2})"), _all("text start", "substr({0}, {1})")],
    "lpad": [_all("text place text1", "lpad({0}, {1}, {2})")],
    "rpad": [_all("text place text1", "rpad({0}, {1}, {2})")],
    "ltrim": [Function("text blanks", "ltrim({0}, {1})", "ltrim({1}, {0})", "ltrim({0}, {1})", "ltrim({0}, {1})")],
    "rtrim": [Function("text blanks", "rtrim({0}, {1})", "rtrim({1}, {0})", "rtrim({0}, {1})", "rtrim({0}, {1})")],
    "trim": [Function("text blanks", "btrim({0}, {1})", "trim(BOTH {1} FROM {0})", "trim({0}, {1})", "trim({0}, {1})")],
    "replace": [_all("text text1 text", "replace({0}, {1}, {2})")],
    "repeat": [_all("text place", "repeat({0}, {1})")],
    "translate": [Function("text text text", "translate({0}, {1}, {2})")],
    "split_part": [Function("text text1 start", "split_part({0}, {1}, {2})", "split_part({0}, {1}, {2})",
                            "split_part({0}, {1}, {2})")],
    "nfc_normalize": [Function("text", "normalize({0}, NFC)", None, None, "normalize({0}, NFC)")],
    "md5": [Function("text", "md5({0})", "md5({0})", "md5({0})", "to_hex(md5({0}))")],
    "sha1": [Function("text", None, "sha1({0})", "sha1({0})", "to_hex(sha1({0}))")],
    "sha256": [Function("text", "encode(sha256(convert_to({0}, 'UTF8')), 'hex')", "sha2({0}, 256)", "sha2({0}, 256)",
                        "to_hex(sha256({0}))")],
    "regexp_matches": [Function("text pattern", "({0} ~ {1})", "rlike({0}, {1})", None, "regexp_contains({0}, {1})")],
    "regexp_full_match": [Function("text pattern", "({0} ~ {1})", "rlike({0}, {1})", None,
                                   "regexp_contains({0}, {1})")],
    "regexp_replace": [Function("text simple_pattern plain g", "regexp_replace({0}, {1}, {2}, 'g')",
                                "regexp_replace({0}, {1}, {2})", None, "regexp_replace({0}, {1}, {2})"),
                       Function("text simple_pattern plain", "regexp_replace({0}, {1}, {2})")],
    "regexp_extract": [Function("text simple_pattern",
                                "(CASE WHEN {0} IS NOT NULL THEN coalesce(substring({0} FROM {1}), '') END)")],
    "string_split": [Function("text text1", "(CASE WHEN {0} = '' THEN ARRAY[CAST('' AS text)] ELSE "
                              "string_to_array({0}, {1}) END)")],
    "list_extract": [Function("list start", "({0})[{1}]")],
    "list_slice": [Function("list start big", "({0})[{1}:{2}]")],
    "array_to_string": [Function("list text", "array_to_string({0}, {1})")],
    # numbers
    "abs": [_all("number", "abs({0})")],
    "ceil": [_but_bigquery("decimal", "ceil({0})"), Function("double", "ceil({0})", None, None, "ceil({0})")],
    "floor": [_but_bigquery("decimal", "floor({0})"), Function("double", "floor({0})", None, None, "floor({0})")],
    "round": [
        _all("whole place", "{0}"),
        _all("whole", "{0}"),
        _all("decimal place", "round({0}, {1})"),
        _all("decimal", "round({0}, 0)"),
        Function("double", f"({_AWAY})".replace("{value}", "{0}")),
        Function("double place", f"(({_AWAY}) / 1e{{1}})".replace("{value}", "({0} * 1e{1}::double precision)")),
    ],
    "trunc": [Function("decimal", "trunc({0})", None, "trunc({0})", "trunc({0})"),
              Function("double", "trunc({0})", None, None, "trunc({0})")],
    "sign": [_all("exact", "sign({0})"), Function("double", "sign({0})")],
    "log": [Function("=10 double", "log({0})"), Function("double", "log({0})")],
    "sqrt": [Function("double", "sqrt({0})")],
    "exp": [Function("double", "exp({0})")],
    "ln": [Function("double", "ln({0})")],
    "log10": [Function("double", "log({0})")],
    "pow": [Function("double double", _POSTGRES_POWER)],
    "mod": [Function("result result", "({0} % nullif({1}, 0))", "mod({0}, nullif({1}, 0))", "mod({0}, nullif({1}, 0))",
                     "mod({0}, nullif({1}, 0))")],
    "isnan": [Function("double", "({0} = CAST('NaN' AS double precision))", "({0} = CAST('NaN' AS DOUBLE))", None,
                       "is_nan({0})")],
    "isfinite": [Function("double", "({0} NOT IN ('NaN', 'Infinity', '-Infinity'))")],
    "isinf": [Function("double", "({0} IN ('Infinity', '-Infinity'))", None, None, "is_inf({0})")],
    "xor": [Function("result result", "({0} # {1})", "({0} ^ {1})", None, "({0} ^ {1})")],
    # choosing
    "coalesce": [_all("result*", "coalesce({*})")],
    "greatest": [Function("ordered*", "greatest({*})", "greatest({*})", "greatest_ignore_nulls({*})")],
    "least": [Function("ordered*", "least({*})", "least({*})", "least_ignore_nulls({*})")],
    # dates and times
    "year": [_part("year")],
    "month": [_part("month")],
    "day": [_part("day")],
    "quarter": [_part("quarter")],
    "dayofyear": [_part("doy", bigquery="extract(dayofyear FROM {0})")],
    "hour": [_part("hour", "moment")],
    "minute": [_part("minute", "moment")],
    "second": [Function("moment", _POSTGRES_SECONDS, "floor(extract(second FROM {0}))", "extract(second FROM {0})",
                        "extract(second FROM {0})")],
    "isodow": [Function("date", "extract(isodow FROM {0})", "(weekday({0}) + 1)", "dayofweekiso({0})",
                        "(mod(extract(dayofweek FROM {0}) + 5, 7) + 1)")],
    "dayofweek": [Function("date", "extract(dow FROM {0})", "(dayofweek({0}) - 1)", "mod(dayofweekiso({0}), 7)",
                           "(extract(dayofweek FROM {0}) - 1)")],
    "week": [Function("date", "extract(week FROM {0})", "weekofyear({0})", "weekiso({0})",
                      "extract(isoweek FROM {0})")],
    "isoyear": [Function("date", "extract(isoyear FROM {0})", "extract(yearofweek FROM {0})", "yearofweekiso({0})",
                         "extract(isoyear FROM {0})")],
    "epoch": [Function("moment", "extract(epoch FROM {0})")],
    "date_trunc": [Function(f"={unit} moment", f"date_trunc('{unit}', {{0}})",
                            f"CAST(date_trunc('{unit}', {{0}}) AS TIMESTAMP_NTZ)",
                            None if unit == "week" else f"date_trunc('{unit}', {{0}})",
                            f"datetime_trunc({{0}}, {'ISOWEEK' if unit == 'week' else unit.upper()})")
                   for unit in ("year", "quarter", "month", "week", "day", "hour", "minute", "second")],
    "date_diff": [
        Function("=day day day", "({1} - {0})", "datediff({1}, {0})", "datediff(day, {0}, {1})",
                 "date_diff({1}, {0}, DAY)"),
        Function("=day moment moment", _truncated_diff("day", 86400), "datediff({1}, {0})", "datediff(day, {0}, {1})",
                 "datetime_diff({1}, {0}, DAY)"),
        Function("=month date date", _DIFF_MONTHS, _DIFF_MONTHS, "datediff(month, {0}, {1})", _DIFF_MONTHS),
        Function("=quarter date date", _DIFF_QUARTERS, _DIFF_QUARTERS, "datediff(quarter, {0}, {1})", _DIFF_QUARTERS),
        Function("=year date date", _DIFF_YEARS, _DIFF_YEARS, "datediff(year, {0}, {1})", _DIFF_YEARS),
        Function("=hour moment moment", _truncated_diff("hour", 3600), None, "datediff(hour, {0}, {1})",
                 "datetime_diff({1}, {0}, HOUR)"),
        Function("=minute moment moment", _truncated_diff("minute", 60), None, "datediff(minute, {0}, {1})",
                 "datetime_diff({1}, {0}, MINUTE)"),
        Function("=second moment moment", _truncated_diff("second", 1), None, "datediff(second, {0}, {1})",
                 "datetime_diff({1}, {0}, SECOND)"),
    ],
    "last_day": [Function("date", "CAST(date_trunc('month', {0}) + INTERVAL '1 month - 1 day' AS date)",
                          "last_day({0})", "last_day({0})", "last_day({0})")],
    "make_date": [Function("int int int", "make_date({0}, {1}, {2})", "make_date({0}, {1}, {2})")],
    "monthname": [Function("date", "to_char({0}, 'FMMonth')", "date_format({0}, 'MMMM')")],
    "dayname": [Function("date", "to_char({0}, 'FMDay')", "date_format({0}, 'EEEE')")],
    "strftime": [Function("date format", "to_char({0}, {1})", "date_format({0}, {1})")],
    **{f"to_{unit}s": [Function("int", f"({{0}} * INTERVAL '1 {unit}')")]
       for unit in ("day", "hour", "minute", "month", "week", "year")},
    # aggregates and windows: FILTER, IGNORE NULLS and OVER stand where {over} is
    "count": [_all("any", "count({distinct}{0}){over}"), _all("", "count(*){over}")],
    "count_if": [_all("bool", "sum(CASE WHEN {0} THEN 1 WHEN NOT {0} THEN 0 END){over}")],
    "sum": [_all("number", "sum({0}){over}")],
    "avg": [Function("whole", "(CAST(sum({0}){over} AS double precision) / nullif(count({0}){over}, 0))",
                     "(CAST(sum({0}){over} AS DOUBLE) / nullif(count({0}){over}, 0))"),
            _all("double", "avg({0}){over}")],
    "min": [Function("bool", "bool_and({0}){over}", "bool_and({0}){over}", "booland_agg({0}){over}",
                     "logical_and({0}){over}"), _all("ordered", "min({0}){over}")],
    "max": [Function("bool", "bool_or({0}){over}", "bool_or({0}){over}", "boolor_agg({0}){over}",
                     "logical_or({0}){over}"), _all("ordered", "max({0}){over}")],
    "bool_and": [Function("bool", "bool_and({0}){over}", "bool_and({0}){over}", "booland_agg({0}){over}",
                          "logical_and({0}){over}")],
    "bool_or": [Function("bool", "bool_or({0}){over}", "bool_or({0}){over}", "boolor_agg({0}){over}",
                         "logical_or({0}){over}")],
    **{name: [_all("double", f"{name}({{0}}){{over}}")]
       for name in ("stddev_samp", "stddev_pop", "var_samp", "var_pop")},
    **{name: [_all("", f"{name}(){{over}}")]
       for name in ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist")},
    "ntile": [_all("start", "ntile({0}){over}")],
    **{name: [_all("any place result", f"{name}({{0}}, {{1}}, {{2}}){{over}}"),
              _all("any place", f"{name}({{0}}, {{1}}){{over}}"), _all("any", f"{name}({{0}}){{over}}")]
       for name in ("lag", "lead")},
    **{name: [_all("any", f"{name}({{0}}){{over}}")] for name in ("first_value", "last_value")},
    "nth_value": [_all("any start", "nth_value({0}, {1}){over}")],
}  # fmt: skip
ALIASES = {
    "lcase": "lower", "ucase": "upper", "len": "length", "char_length": "length", "character_length": "length",
    "prefix": "starts_with", "suffix": "ends_with", "instr": "strpos", "position": "strpos",
    "substr": "substring", "str_split": "string_split", "string_to_array": "string_split", "ceiling": "ceil",
    "power": "pow", "ifnull": "coalesce", "dayofmonth": "day", "weekday": "dayofweek",
    "weekofyear": "week", "datediff": "date_diff", "datetrunc": "date_trunc", "datepart": "date_part",
    "mean": "avg", "stddev": "stddev_samp", "variance": "var_samp",
}  # fmt: skip
"""Names DuckDB has for the same function."""
DATE_PARTS = {
    "year": "year", "month": "month", "day": "day", "quarter": "quarter", "doy": "dayofyear", "dayofyear": "dayofyear",
    "hour": "hour", "minute": "minute", "second": "second", "isodow": "isodow", "dow": "dayofweek",
    "dayofweek": "dayofweek", "week": "week", "weekofyear": "week", "isoyear": "isoyear", "epoch": "epoch",
}  # fmt: skip
"""The units of EXTRACT and date_part() -> the function that gives them."""
REWRITTEN_BY_CODE = frozenset({"nullif", "date_part", "datepart"})
"""Functions that are written by ``calls`` in every dialect."""
INSTEAD = {
    "upper": "lower()",
    "nfc_normalize": "the step clean with nfc: false",
    "median": "avg(), or min() and max()",
    "mode": "a dbt model over the loaded table",
    "any_value": "min() or max()",
    "first": "min(), or the step deduplicate with an order",
    "last": "max(), or the step deduplicate with an order",
    "reverse": "left() and right()",
    "like_escape": "contains(), starts_with() or ends_with()",
    "strptime": "the step cast to date or timestamp of a text in ISO 8601",
    "now": "a literal",
    "today": "a literal",
    "to_timestamp": "TIMESTAMP literals and intervals",
    "date_sub": "date_diff()",
    "datesub": "date_diff()",
    "sha1": "sha256()",
    "hash": "md5() or sha256()",
    "md5_number": "md5()",
    "typeof": "a cast",
    "list": "the step aggregate with min() and max()",
    "array_agg": "the step aggregate with min() and max()",
    "quantile": "avg()",
    "quantile_cont": "avg()",
    "approx_count_distinct": "count(DISTINCT ...)",
    "approx_quantile": "avg()",
}
"""The nearest that holds in more dialects."""


Status = Literal["same", "rewritten", "unsupported"]


def status(name: str, dialect: Dialect) -> Status:
    """What becomes of a function of the expression language in the dialect; what is not in the table is unsupported."""
    if dialect == "duckdb":
        return "same"
    if name in REWRITTEN_BY_CODE:
        return "rewritten"
    known = [(form.takes.split(), form.template(dialect)) for form in forms(name)]
    if not any(template for _, template in known):
        return "unsupported"
    return "same" if all(_is_plain(name, takes, template) for takes, template in known) else "rewritten"


def _is_plain(name: str, takes: list[str], template: str | None) -> bool:
    """The call stands as it is, whatever its arguments are."""
    arguments = ", ".join(f"{{{place}}}" for place in range(len(takes)))
    said = (template or "").replace("{over}", "").replace("{distinct}", "")
    return said in (f"{name}({arguments})", f"{name}({{*}})") and not any(word.startswith("=") for word in takes)


def restrictions(name: str) -> list[str]:
    """What its arguments have to be, form by form, where that is not any value of their type."""
    return [form.takes for form in forms(name) if any(word.strip("*") in CONSTANTS for word in form.takes.split())]


CONSTANTS = frozenset({"text1", "plain", "pattern", "simple_pattern", "format", "place", "start", "g", "blanks"})


def forms(name: str) -> list[Function]:
    """The forms of the function, none where nothing is known of it."""
    return FUNCTIONS.get(ALIASES.get(name, name), [])
