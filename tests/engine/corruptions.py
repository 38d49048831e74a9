"""Rows of many types, and what can happen to one cell of them."""

import random
from dataclasses import dataclass

ROWS = 97

_CELLS = {
    "id": "i",
    "small": "CAST(i % 50 AS INTEGER)",
    "big": "CASE WHEN i % 7 <> 0 THEN i * 1000000007 END",
    "huge": "CAST(i AS HUGEINT) * 10000000000000000000",
    "price": "CAST(i AS DECIMAL(12, 3)) / 8",
    "share": "CASE i % 4 WHEN 0 THEN 0.0 WHEN 1 THEN 'nan' WHEN 2 THEN i / 7 ELSE '-infinity' END::DOUBLE",
    "rough": "CASE WHEN i % 2 = 0 THEN 0 ELSE i / 3 END::FLOAT",
    "name": "CASE i % 5 WHEN 0 THEN '' WHEN 1 THEN NULL WHEN 2 THEN 'ü🛩' ELSE 'a, \"b\"' || chr(10) || i END",
    "yes": "CASE WHEN i % 3 <> 0 THEN i % 2 = 0 END",
    "day": "DATE '0001-01-01' + CAST(i * 30000 AS INTEGER)",
    "moment": "TIMESTAMP '2024-02-29 12:00:00.000001' + to_seconds(i)",
    "zoned": "TIMESTAMPTZ '2024-02-29 12:00:00.5+02' - to_years(CAST(i * 20 AS INTEGER))",
    "clock": "CAST('23:59:59.999999' AS TIME)",
    "took": "CASE i % 3 WHEN 0 THEN INTERVAL 1 MONTH WHEN 1 THEN INTERVAL 30 DAY ELSE INTERVAL '-1' SECOND END",
    "uuid": "md5(i::VARCHAR)::UUID",
    "raw": "CASE WHEN i % 5 = 0 THEN ''::BLOB ELSE encode('a' || i) END",
    "list": "CASE i % 3 WHEN 0 THEN [] WHEN 1 THEN [NULL] ELSE [i, 2] END::INTEGER[]",
}
NESTED = {
    "struct": "{'a': NULLIF(i % 3, 0), 'b': 'x'}",
    "map": "MAP {'k': i}",
    "lists": "[[i], [2]]",
}


def rows(nested: bool = False) -> str:
    """The query of 97 rows; every seventh or so holds a NULL, an empty text, a NaN, a zero or an empty list."""
    cells = {**_CELLS, **(NESTED if nested else {})}
    return f"SELECT {', '.join(f'{sql} AS {name}' for name, sql in cells.items())} FROM range({ROWS}) AS r(i)"


@dataclass(frozen=True)
class Corruption:
    """One cell that changes: ``change`` is SQL which gives another value than the column holds, whatever that is."""

    column: str
    row: int
    change: str

    def in_duckdb(self, table: str, original: str) -> list[str]:
        """Statements that corrupt the cell. An UPDATE would not store -0.0 over 0.0, nor 30 days over a month."""
        return [
            f"DELETE FROM {table} WHERE id = {self.row}",
            f"INSERT INTO {table} SELECT * REPLACE ({self.change} AS {self.column}) FROM {original} "
            f"WHERE id = {self.row}",
        ]

    def in_postgres(self, table: str) -> list[str]:
        """The statement that corrupts the cell there."""
        return [f"UPDATE {table} SET {self.column} = {self.change} WHERE id = {self.row}"]


# The same text means the same to DuckDB and to PostgreSQL: the corruption happens on either side.
_CHANGES = {
    "id": ["id + 1000", "-id - 1"],
    "small": ["small + 1", "-small - 1", "NULL"],
    "big": ["coalesce(big + 1, 0)", "coalesce(-big - 1, -1)"],
    "huge": ["huge + 1", "NULL"],
    "price": ["price + 0.001", "-price - 0.001"],
    "share": ["CASE WHEN share = 0 THEN CAST('-0.0' AS DOUBLE PRECISION) ELSE 0 END", "NULL"],
    "rough": ["rough + 1", "NULL"],
    "name": [
        "CASE WHEN name = '' THEN NULL WHEN name IS NULL THEN '' ELSE name || ' ' END",
        "coalesce(name, '') || 'x'",
    ],
    "yes": ["CASE WHEN yes IS NULL THEN TRUE WHEN yes THEN FALSE END", "CASE WHEN yes THEN NULL ELSE TRUE END"],
    "day": ["CAST(day + INTERVAL '1 day' AS DATE)", "NULL"],
    "moment": ["moment + INTERVAL '1 microsecond'", "NULL"],
    "zoned": ["zoned - INTERVAL '1 microsecond'", "zoned + INTERVAL '2 hours'"],
    "clock": ["clock - INTERVAL '1 microsecond'", "NULL"],
    "took": ["CASE WHEN id % 3 = 0 THEN INTERVAL '30 days' ELSE INTERVAL '1 month' END", "NULL"],
    "uuid": ["CAST('00000000-0000-0000-0000-000000000000' AS UUID)", "NULL"],
}
# These are spelled in DuckDB's words: for the staging table alone.
_CHANGES_OF_THE_STAGE = {
    "raw": ["CASE WHEN raw = ''::BLOB THEN NULL ELSE ''::BLOB END", "raw || '\\x00'::BLOB"],
    "list": ["CASE WHEN len(list) = 0 THEN NULL ELSE [] END", "list_append(list, NULL)"],
    "struct": ["{'a': struct.a, 'b': 'y'}", "NULL"],
    "map": ["MAP {'k': id + 1}"],
    "lists": ["[[id, 2]]"],
}


KINDS = sum(map(len, _CHANGES.values()))


def corruptions(count: int, of_stage: bool, seed: int = 15) -> list[Corruption]:
    """``count`` of them, the same for the same ``seed``; every column and every kind of change among them."""
    chosen = random.Random(seed)
    kinds = {**_CHANGES, **(_CHANGES_OF_THE_STAGE if of_stage else {})}
    changes = [(column, change) for column, all_of in kinds.items() for change in all_of]
    cycled = [changes[number % len(changes)] for number in range(count)]
    return [Corruption(column, chosen.randrange(ROWS), change) for column, change in cycled]
