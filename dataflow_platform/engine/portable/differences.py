"""What is known to differ though the query holds; docs/portability.md is written from it."""

from dataclasses import dataclass

from dataflow_platform.core.transformation import Dialect


@dataclass(frozen=True)
class Difference:
    """One known difference from DuckDB. ``loud``: the query fails there, it gives no other value."""

    dialects: tuple[Dialect, ...]
    about: str
    what: str
    loud: bool = False


_ALL: tuple[Dialect, ...] = ("postgres", "spark", "snowflake", "bigquery")
DIFFERENCES = (
    Difference(("postgres",), "double out of range", "`1e308 * 10` is infinite in DuckDB and fails.", loud=True),
    Difference(
        ("postgres",), "sum() and avg() of doubles, avg() of decimals",
        "the order of the additions differs, and so may the last digit.",
    ),
    Difference(
        ("postgres",), "stddev, var, exp, ln, log, pow",
        "another algorithm or another mathematical library: the last digits may differ.",
    ),
    Difference(_ALL, "sort without limit", "the rows are the same; a step behind it may not keep their order."),
    Difference(
        _ALL, "the sign of zero",
        "`-0.0` may come out as `0.0`, which it equals. A division by `-0.0` is one by `0.0`; in DuckDB 1.5.5 it is "
        "one or the other, by what else the query computes.",
    ),
    Difference(
        ("postgres",), "texts with the character NUL", "DuckDB holds them, PostgreSQL does not: none is there.",
        loud=True,
    ),
    Difference(
        ("postgres",), "lower(), upper()",
        "54 letters that Unicode 16 added or gave a case (U+1C89, U+A7CB to U+A7DC, U+10D50 to U+10D85, and U+019B and "
        "U+0264 in upper()) have one in PostgreSQL 18 and none in DuckDB 1.5. All other code points were compared and "
        "are equal. The collation `pg_c_utf8` needs PostgreSQL 17 and the encoding UTF8.",
    ),
    Difference(
        ("postgres",), "dates before year 1 and behind year 99999",
        "as texts (`-0044-03-15`, `2024-01-05 (BC)`, `epoch`, `infinity`) DuckDB takes them for dates: the cast fails, "
        "TRY_CAST as well. As values they are out of what was tried.", loud=True,
    ),
    Difference(
        ("postgres",), "TRY_CAST of a double near the end of INTEGER",
        "DuckDB 1.5.5 makes -2147483648 of 2147483647.5; PostgreSQL gives NULL.",
    ),
    Difference(
        ("postgres",), "texts as doubles out of range",
        "`1e400` is infinite and `1e-400` is 0 in DuckDB; the cast fails.", loud=True,
    ),
    Difference(
        ("postgres",), "texts that look like numbers",
        "DuckDB 1.5.5 reads a sign or an exponent without digits before a blank (`'- '` is 0, `'7e '` is 7), a point "
        "behind an exponent (`'1e1.'`) and two signs before a double (`'+-2.5'`), and does not read underscores in a "
        "long double. PostgreSQL: the former are no numbers (the cast fails, TRY_CAST gives NULL), the latter are. "
        "80,000 texts made by chance were else read alike.",
    ),
    Difference(
        ("postgres",), "sums beyond 2**127", "DuckDB fails; PostgreSQL fails from 10**39 on.",
    ),
    Difference(
        ("postgres",), "collation",
        "texts are compared by their bytes (`COLLATE \"C\"`), as in DuckDB, whatever the database's own order is.",
    ),
    Difference(
        ("spark",), "lower()",
        "Java writes the Greek sigma at the end of a word and the Turkish I otherwise: the query replaces both "
        "first; other letters were not compared. "
        "upper() is refused: Java makes SS of ß.",
    ),
    Difference(
        ("snowflake", "bigquery"), "whole numbers",
        "all of them are of one type there: where INTEGER or SMALLINT overflows DuckDB fails and the query goes on.",
    ),
    Difference(
        ("snowflake", "bigquery"), "lower(), upper()",
        "letters whose other case is of another length (ß, İ) or hangs on their neighbours (Σ) were not compared.",
    ),
    Difference(
        ("snowflake", "bigquery"), "everything", "compiled, and read back by sqlglot in the dialect; never run.",
    ),
)  # fmt: skip
OPERATORS: dict[str, dict[Dialect, str]] = {
    "`+` `-` `*`": dict.fromkeys(_ALL, "computed in DuckDB's type of the result, decimals with its scale"),
    "`/`": dict.fromkeys(_ALL, "rewritten: as double, infinite or NaN where the divisor is 0"),
    "`//`": dict.fromkeys(_ALL, "rewritten: whole numbers, cut towards 0, NULL where the divisor is 0"),
    "`%`": dict.fromkeys(_ALL, "rewritten: the sign of the dividend, NULL where the divisor is 0; not of doubles"),
    "`=` `<>` `<` `<=` `>` `>=` IS (NOT) DISTINCT FROM, IN, BETWEEN": {
        **dict.fromkeys(_ALL, "in the type DuckDB compares in"), "postgres": "likewise; texts by their bytes",
    },
    "`||`": dict.fromkeys(_ALL, "NULL where one side is, as in DuckDB; other types as text"),
    "LIKE": {
        **dict.fromkeys(_ALL, "with a constant without a backslash"), "postgres": "rewritten: no sign of escape",
    },
    "ILIKE": {
        **dict.fromkeys(_ALL, "rewritten: both sides by lower(); with a constant"),
        "postgres": "rewritten: both sides by lower()",
    },
    "`&` `|`": {**dict.fromkeys(_ALL, "same"), "snowflake": "unsupported"},
    "a date + or - days, a date - a date": dict.fromkeys(_ALL, "rewritten"),
    "a date or timestamp + or - an interval": {
        **dict.fromkeys(_ALL, "a constant whole number of one unit"), "postgres": "also of a column's number",
    },
    "CASE, CAST, AND, OR, NOT, IS NULL, IS TRUE": dict.fromkeys(_ALL, "same, each branch made the type of the whole"),
    "ORDER BY, in windows as well": dict.fromkeys(_ALL, "rewritten: NULLS LAST or NULLS FIRST is said outright"),
    "IGNORE NULLS": {**dict.fromkeys(_ALL, "same"), "postgres": "unsupported"},
    "FILTER (WHERE ...)": {
        **dict.fromkeys(_ALL, "same"), "snowflake": "unsupported", "bigquery": "unsupported",
    },
    "QUALIFY (deduplicate)": dict.fromkeys(_ALL, "rewritten: a query inside"),
    "lists, structures, maps, JSON, GLOB, SIMILAR TO, shifts, AT TIME ZONE, intervals as values": dict.fromkeys(
        _ALL, "unsupported"
    ),
}  # fmt: skip
"""The operators of the expression language."""
