"""What a table holds, column by column, in one pass over its rows.

Exact for every row: rows, NULLs, least, greatest, mean, lengths. Of tables with more than ``SAMPLE`` rows the rest is
estimated: quantiles, histograms, top values and patterns from a random sample taken in the same pass; distinct values
from the sample, or, where the first rows show many, from the share of their hashes that lies below a bound.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataflow_platform.core.sql import literal, quote
from dataflow_platform.engine import profile_sample
from dataflow_platform.engine.profile_columns import ColumnProfile, Facts, Kind, kind_of

if TYPE_CHECKING:
    import duckdb

SAMPLE = 30_000
"""Rows a sample has at most; fewer where rows are long."""
_SAMPLE_BYTES = 64_000_000
_LOOKED_AT = 20_000  # first rows, to see how long rows are and which columns hold many values
_MANY = 1_000  # distinct values in those: more than that are counted by hashes over all rows
_HELD = 4_000_000  # hashes that are held at most while distinct values are counted, some 100 MB
_TOGETHER = 24  # columns of one pass: each that is counted needs some megabytes a thread, however few its values
_HASHES = 2**64
_WIDE = re.compile(r"U?HUGEINT|BIGNUM|DECIMAL\((19|[23]\d),")


@dataclass(frozen=True)
class TableProfile:
    """A table and its columns. ``estimated`` names the figures that come from ``sample_rows`` rows or from hashes.

    ``counted``: the distinct values of every column were counted.
    """

    table: str
    rows: int
    sample_rows: int
    counted: bool
    columns: tuple[ColumnProfile, ...]

    @property
    def estimated(self) -> tuple[str, ...]:
        """The figures of its columns that are not exact; none of a table that the sample holds whole."""
        if self.sample_rows >= self.rows:
            return ()
        return (*(() if self.counted else ("distinct",)), "quantiles", "histogram", "top", "patterns")


def taken(connection: "duckdb.DuckDBPyConnection", table: str) -> TableProfile:
    """The profile of ``table``, a relation as ``connection`` names it (quoted).

    Each column is read once; before, rows are counted and the first 20,000 are looked at.
    """
    columns = [(str(name), str(kind)) for name, kind, *_ in connection.execute(f"DESCRIBE FROM {table}").fetchall()]
    rows = int(_one(connection, f"SELECT count(*) FROM {table}")[0])
    profiles: list[ColumnProfile] = []
    sampled, counted = rows, True
    for first in range(0, len(columns), _TOGETHER):
        some = columns[first : first + _TOGETHER]
        found, drawn, all_counted = _together(connection, table, some, rows)
        profiles += found
        sampled, counted = min(sampled, drawn), counted and all_counted
    return TableProfile(table.replace('"', ""), rows, sampled, counted, tuple(profiles))


def _together(
    connection: "duckdb.DuckDBPyConnection", table: str, columns: list[tuple[str, str]], rows: int
) -> tuple[list[ColumnProfile], int, bool]:
    """The profiles of some columns, by one pass; rows of their sample, and whether all distinct values were counted."""
    kinds = [kind_of(each) for _, each in columns]
    many, wanted = _first_look(connection, table, columns, kinds, rows)
    share = 1.0 if rows <= wanted else wanted / rows
    part = 1 << max(0, (rows * len(many) - 1) // _HELD).bit_length()
    found = _scanned(connection, table, columns, kinds, many, share, part)
    drawn = int(_one(connection, f"SELECT count(*) FROM {profile_sample.TABLE}")[0])
    profiles = [
        profile_sample.completed(connection, f"c{number}", Facts(name, kind, kinds[number], rows, **found[number]))
        for number, (name, kind) in enumerate(columns)
    ]
    connection.execute(f"DROP TABLE {profile_sample.TABLE}")
    return profiles, drawn, part == 1 and len(many) == len(columns)


def _first_look(
    connection: "duckdb.DuckDBPyConnection", table: str, columns: list[tuple[str, str]], kinds: list[Kind], rows: int
) -> tuple[set[int], int]:
    """The columns whose distinct values are counted over all rows, and how many rows the sample may have."""
    if not columns or not rows:
        return set(), SAMPLE
    counted = ", ".join(f"count(DISTINCT {quote(name)})" for name, _ in columns)
    long = " + ".join(
        f"coalesce(strlen(CAST({quote(name)} AS VARCHAR)), 0)" if kind in ("text", "other") else "8"
        for (name, _), kind in zip(columns, kinds, strict=True)
    )
    row = _one(connection, f"SELECT avg({long}), {counted} FROM (FROM {table} LIMIT {_LOOKED_AT}) AS first_rows")
    wanted = max(1_000, min(SAMPLE, int(_SAMPLE_BYTES / max(row[0], 1))))
    if rows <= wanted:
        return set(), wanted
    exactly = rows * len(columns) <= _HELD
    return {number for number, count in enumerate(row[1:]) if exactly or count > _MANY}, wanted


def _scanned(
    connection: "duckdb.DuckDBPyConnection", table: str, columns: list[tuple[str, str]], kinds: list[Kind],
    many: set[int], share: float, part: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """The one pass: what is exact of each column, and one hash of ``part`` of the columns with ``many`` values; the
    sample is left in ``profile_sample.TABLE``."""
    inner = [f"{quote(name)} AS c{number}" for number, (name, _) in enumerate(columns)]
    inner += [f"hash({quote(columns[number][0])}) AS h{number}" for number in sorted(many)]
    asked: dict[str, str] = {}
    for number, kind in enumerate(kinds):
        asked |= {f"{name}{number}": sql for name, sql in _exact(f"c{number}", kind, columns[number][1]).items()}
        if number in many:
            # NULL has a hash as well.
            which = f"h{number} < {_HASHES // part}" if part > 1 else f"c{number} IS NOT NULL"
            asked[f"hashes{number}"] = f"count(DISTINCT h{number}) FILTER ({which})"
    packed = ", ".join(f"c{number} := c{number}" for number in range(len(columns)))
    asked["sample"] = f"list(struct_pack({packed})) FILTER (drawn < {literal(share)})"
    told = ", ".join(f"{sql} AS {name}" for name, sql in asked.items())
    scan = f"SELECT {told} FROM (SELECT {', '.join(inner)}, random() AS drawn FROM {table}) AS scanned"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _dataflow_profile AS {scan}")
    names = [name for name in asked if name != "sample"]
    row = _one(connection, f"SELECT {', '.join(names)} FROM _dataflow_profile")
    known = dict(zip(names, row, strict=True))
    listed = ", ".join(f"drawn.c{number} AS c{number}" for number in range(len(columns)))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {profile_sample.TABLE} AS SELECT {listed} "
        "FROM (SELECT unnest(sample) AS drawn FROM _dataflow_profile) AS unnested"
    )
    connection.execute("DROP TABLE _dataflow_profile")
    found = []
    for number in range(len(columns)):
        facts = {
            name: known.get(f"{name}{number}")
            for name in ("values", "least", "greatest", "mean", "shortest", "longest")
        }
        hashes = known.get(f"hashes{number}")
        found.append({**facts, "hashes": hashes, "part": part})
    return found


def _exact(column: str, kind: Kind, type_name: str) -> dict[str, str]:
    asked = {"values": f"count({column})"}
    if kind != "other":
        # Cut in SQL: a text of a megabyte is no least value anybody reads.
        asked |= {
            name: f"left(CAST({sql}({column}) AS VARCHAR), 100)"
            for name, sql in (("least", "min"), ("greatest", "max"))
        }
    if kind == "number":
        finite = f" FILTER (isfinite({column}))" if type_name in ("FLOAT", "DOUBLE") else ""
        # The sum of wider numbers may not fit into the widest integer.
        summed = f"CAST({column} AS DOUBLE)" if _WIDE.match(type_name) else column
        asked["mean"] = f"CAST(avg({summed}){finite} AS DOUBLE)"
    if kind == "text":
        text = column if type_name == "VARCHAR" else f"CAST({column} AS VARCHAR)"
        asked |= {"shortest": f"min(length({text}))", "longest": f"max(length({text}))"}
    return asked


def _one(connection: "duckdb.DuckDBPyConnection", query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
