"""What the sample of a table tells of a column: top values, quantiles, histogram, patterns, distinct values."""

from math import isfinite
from typing import TYPE_CHECKING, Any

from dataflow_platform.engine.profile_columns import QUANTILES, TOP, Bar, ColumnProfile, Facts, Share

if TYPE_CHECKING:
    import duckdb

TABLE = "_dataflow_profile_sample"
_BARS = 24
_PATTERNS = 8
_SHAPED = 10_000  # values whose pattern is looked at
_SURE = 300  # distinct hashes from which on they tell more than the sample does


def completed(connection: "duckdb.DuckDBPyConnection", column: str, facts: Facts) -> ColumnProfile:
    """The profile of a column: what the pass told, and what ``column`` of the sample tells."""
    counted = f"SELECT {column} AS value, count(*) AS n FROM {TABLE} WHERE {column} IS NOT NULL GROUP BY {column}"
    found = connection.execute(
        f"SELECT count(*), count(*) FILTER (n = 1), count(*) FILTER (n = 2), coalesce(sum(n), 0) FROM ({counted}) AS v"
    ).fetchall()[0]
    distinct = _distinct(facts, *map(int, found))
    quantiles, bars = _spread(connection, column, facts)
    mean = facts.mean if facts.mean is not None and isfinite(facts.mean) else None
    return ColumnProfile(
        facts.name, facts.type, facts.kind, facts.rows - facts.values, distinct, facts.least, facts.greatest, mean,
        facts.shortest, facts.longest, quantiles, bars,
        _top(connection, counted, int(found[3])) if facts.kind != "other" else (),
        _patterns(connection, column) if facts.kind == "text" else (),
    )  # fmt: skip


def _distinct(facts: Facts, found: int, once: int, twice: int, drawn: int) -> int:
    if drawn == facts.values:
        return found
    if facts.hashes is not None and (facts.part == 1 or facts.hashes > _SURE):
        return min(facts.hashes * facts.part, facts.values)
    # Chao's estimate of what was not drawn, from what was drawn once and twice.
    unseen = once * (once - 1) / (2 * (twice + 1))
    return min(round(found + unseen), facts.values)


def _top(connection: "duckdb.DuckDBPyConnection", counted: str, drawn: int) -> tuple[Share, ...]:
    rows = connection.execute(
        f"SELECT left(CAST(value AS VARCHAR), 100), n FROM ({counted}) AS v ORDER BY n DESC, value LIMIT {TOP}"
    ).fetchall()
    return tuple(Share(str(text), n / drawn) for text, n in rows)


def _patterns(connection: "duckdb.DuckDBPyConnection", column: str) -> tuple[Share, ...]:
    shape = "value"
    for classes, sign in (("[0-9]", "9"), ("[A-Z]", "A"), ("[a-z]", "a"), (r"\p{Lu}", "A"), (r"[^\P{L}Aa]", "a")):
        shape = f"regexp_replace({shape}, '{classes}', '{sign}', 'g')"
    # A shape of a long text is that of its words.
    words = "shape"
    for sign in "aA9":
        words = f"regexp_replace({words}, '{sign}{{2,}}', '{sign}+', 'g')"
    drawn = (
        f"SELECT {column} AS value FROM (FROM {TABLE} USING SAMPLE {_SHAPED} ROWS) AS shaped WHERE {column} IS NOT NULL"
    )
    once = f"SELECT left(CAST(value AS VARCHAR), 200) AS value, count(*) AS n FROM ({drawn}) AS d GROUP BY ALL"
    rows = connection.execute(
        f"SELECT left(CASE WHEN length(shape) > 24 THEN {words} ELSE shape END, 60) AS told, CAST(sum(n) AS BIGINT), "
        f"CAST(sum(sum(n)) OVER () AS BIGINT) FROM (SELECT {shape} AS shape, n FROM ({once}) AS o) AS shaped "
        f"GROUP BY told ORDER BY 2 DESC, told LIMIT {_PATTERNS}"
    ).fetchall()
    return tuple(Share(str(text), n / total) for text, n, total in rows)


def _spread(
    connection: "duckdb.DuckDBPyConnection", column: str, facts: Facts
) -> tuple[tuple[float, ...], tuple[Bar, ...]]:
    """Quantiles (of numbers and times) and bars of the numbers, the times or the lengths of the texts."""
    if facts.kind not in ("number", "time", "text"):
        return (), ()
    # NaN and infinity are values, but have no place on a line.
    number = {
        "number": f"CAST({column} AS DOUBLE)",
        "time": f"epoch({column})" if "_" not in facts.type else f"epoch(TRY_CAST({column} AS TIMESTAMP))",
        "text": f"CAST(length(CAST({column} AS VARCHAR)) AS DOUBLE)",
    }[facts.kind]
    numbers = f"(SELECT {number} AS x FROM {TABLE} WHERE {column} IS NOT NULL AND isfinite({number})) AS numbers"
    shares = ", ".join(map(str, QUANTILES))
    ranks = _one(connection, f"SELECT quantile_cont(x, [{shares}]) FROM {numbers}")
    # Between the greatest doubles there is nothing a double can tell.
    if not ranks or not all(map(isfinite, ranks)):
        return (), ()
    low, high = float(ranks[0]), float(ranks[-1])
    whole = facts.kind == "text" or (facts.kind == "number" and "INT" in facts.type)
    if whole and high - low < 2 * _BARS:
        count, low, high = int(high - low) + 1, low, high + 1  # a bar for each number
    else:
        count = 1 if high == low else _BARS
    width = (high - low) / count
    if not isfinite(width):
        return tuple(map(float, ranks)), ()
    place = f"least(CAST(floor((x - {low!r}::DOUBLE) / {width!r}::DOUBLE) AS BIGINT), {count - 1})" if width else "0"
    rows = dict(connection.execute(f"SELECT {place}, count(*) FROM {numbers} GROUP BY ALL").fetchall())
    total = sum(rows.values())
    bars = tuple(Bar(low + n * width, low + (n + 1) * width, rows.get(n, 0) / total) for n in range(count))
    return (() if facts.kind == "text" else tuple(map(float, ranks))), bars


def _one(connection: "duckdb.DuckDBPyConnection", query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None
