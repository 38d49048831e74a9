"""Why SQLite is not read by ADBC: decision 0029. Needs pip install adbc-driver-sqlite."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

dbapi = pytest.importorskip("adbc_driver_sqlite.dbapi", reason="needs pip install adbc-driver-sqlite")


def test_types_turn_on_the_rows_that_come_first(tmp_path: Path) -> None:
    file = str(tmp_path / "prices.db")
    with closing(sqlite3.connect(file)) as written, written:
        written.execute("CREATE TABLE prices (id INTEGER, price DECIMAL(10,2), at DATETIME)")
        written.executemany("INSERT INTO prices VALUES (?, ?, NULL)", [(number, number) for number in range(2000)])
        written.execute("INSERT INTO prices VALUES (2000, 1.5, '2020-01-01')")

    def types(query: str) -> list[str]:
        with dbapi.connect(file) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return [str(kind) for kind in cursor.fetch_record_batch().schema.types]

    assert types("SELECT * FROM prices WHERE id < 0") == ["int64", "int64", "int64"]
    assert types("SELECT * FROM prices ORDER BY id") == ["int64", "int64", "int64"]
    assert types("SELECT * FROM prices ORDER BY id DESC") == ["int64", "double", "string"]
    with dbapi.connect(file) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM prices ORDER BY id")
        # Of the 2,001 rows the last one holds another type than the 1,024 of the first batch.
        with pytest.raises(OSError, match="Type mismatch in column 1: expected INT64 but got DOUBLE"):
            cursor.fetch_record_batch().read_all()
