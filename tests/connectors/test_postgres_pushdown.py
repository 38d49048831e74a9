"""What the steps of a pipeline drop never leaves the server; what the server could judge otherwise is not sent."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.postgres import Postgres, PostgresStream
from dataflow_platform.core.base import State, Stream, Table, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import expression
from dataflow_platform.core.sql import quote
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.pushdown import narrowed
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.transformations.derive import Derive
from dataflow_platform.transformations.filter import Filter
from dataflow_platform.transformations.rename import Rename
from dataflow_platform.transformations.select import Select
from tests.fixtures.postgres_shop import rows

# `free` and `doc` travel as text, so that the table is asked by a query; `plain` is scanned by ctid.
TABLES = """
CREATE TABLE sales (id int PRIMARY KEY, at timestamptz, day date, shop text COLLATE "C", free numeric, ratio float8,
                    fixed char(3), "Odd Name" int, doc jsonb, wall timestamp, secret text, many bigint);
INSERT INTO sales VALUES
    (1, '2026-01-01 00:00Z', '2026-01-01', 'a', 1.5, 0.1, 'x', 1, '{}', '2026-01-01', 's', 9223372036854775807),
    (2, '2026-01-02 00:00Z', '2026-01-02', 'B', 2, 0.2, 'y', 2, 'null', '2026-01-02 10:00', 's', -1),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 'infinity', 'infinity', 'ä''\\', 'NaN', 'NaN', 'z', 4, '[]', '-infinity', 's', 0),
    (5, '2026-01-02 01:00Z', '1999-12-31', '', -3, -0.0, '', -5, '1', '2026-01-02 09:59:59.999999', 's', 5);
CREATE TABLE plain (id int PRIMARY KEY, kind text, secret text);
INSERT INTO plain SELECT i, 'k' || i % 3, 's' FROM generate_series(1, 9) i;
"""

WHOLE = Stream("sales", PostgresStream(), None, ("id",))


@pytest.fixture(scope="module")
def shop(postgres_server: PostgresServer) -> Iterator[Postgres]:
    name = f"pushed_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    postgres_server.execute(TABLES, name)
    yield Postgres(
        host="127.0.0.1", port=postgres_server.port, database=name, user="postgres", password=postgres_server.password
    )
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def engine(shop: Postgres) -> Iterator[duckdb.DuckDBPyConnection]:
    """With all of `sales` as table `originals`."""
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        scan = shop.scan(opened, WHOLE, State())
        scan.relation.create("originals")
        scan.close()
        yield opened


def run(shop: Postgres, folder: Path, table: str, *steps: Transformation, cursor: str | None = None) -> LoadRecord:
    stream = Stream(table, PostgresStream(), cursor, ("id",))
    warehouse = DuckDB(path=str(folder / "w.duckdb"))
    load = StreamLoad("p", stream, shop, warehouse, Table("raw", "t"), Merge(), "merge", uuid.uuid4().hex, steps=steps)
    return publish(stage(load))


def copied(server: PostgresServer, start: int) -> list[str]:
    """What the server was asked for since its log had ``start`` characters."""
    lines = server.log.read_text()[start:].splitlines()
    return [line[line.index("COPY (") + 6 : line.rindex(") TO STDOUT")] for line in lines if "COPY (" in line]


def test_only_what_the_steps_keep_is_asked_for(shop: Postgres, postgres_server: PostgresServer, tmp_path: Path) -> None:
    steps = (
        Filter("shop = 'a' and (\"id\" between 1 and 4) and lower(secret) = 's'"),
        Select(["ID", "free", "day"]),
        Filter("day is not null"),
    )
    start = len(postgres_server.log.read_text())
    record = run(shop, tmp_path, "sales", *steps, cursor="at")
    assert (record.rows_read, record.rows_loaded) == (1, 1)
    asked = set(copied(postgres_server, start))
    # Wanted: the selected columns, the cursor, and what the filters in front of the select read.
    (inner,) = {text[text.index("FROM (") + 6 : text.rindex(") AS")] for text in asked}
    assert inner == (
        'SELECT "id" AS "id", "at" AS "at", "day" AS "day", "shop" AS "shop", "free"::text AS "free", '
        '"secret" AS "secret" FROM "public"."sales" '
        """WHERE "shop"::text COLLATE "C" = 'a' AND "id" >= 1 AND "id" <= 4 AND "day" IS NOT NULL"""
    )


def test_a_plain_table_is_scanned_for_the_selected_columns(
    shop: Postgres, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    start = len(postgres_server.log.read_text())
    assert run(shop, tmp_path, "plain", Select(["id", "kind"])).rows_loaded == 9
    asked = copied(postgres_server, start)
    assert asked
    assert all(text.startswith('SELECT "id", "kind" FROM "public"."plain"') for text in asked)


PUSHED = {
    "id <> 3": '"id" <> 3',
    "3 <= id": '"id" >= 3',
    "id in (1, -5, 99999999999)": '"id" IN (1, -5, 99999999999)',
    "many = 9223372036854775807": '"many" = 9223372036854775807',
    "many < 99999999999999999999": '"many" < 99999999999999999999',
    '"odd name" = -5': '"Odd Name" = -5',
    "shop = 'ä''\\'": """"shop"::text COLLATE "C" = 'ä''\\'""",
    "shop <> 'a'": """"shop"::text COLLATE "C" <> 'a'""",
    "shop in ('B', '')": """"shop"::text COLLATE "C" IN ('B', '')""",
    "shop is null": '"shop" IS NULL',
    "day >= date '2026-01-02'": """"day" >= '2026-01-02'""",
    "day < '2026-01-02'": """"day" < '2026-01-02'""",
    "wall < timestamp '2026-01-02 10:00:00'": """"wall" < '2026-01-02 10:00:00'""",
    "at > '2026-01-01 23:00:00-02'": """"at" > '2026-01-01 23:00:00-02'""",
}
NOT_PUSHED = [
    "shop > 'a'",  # the order of a collation
    "lower(shop) = 'b'",
    "shop like 'a%'",
    "fixed = 'x  '",  # blanks
    "ratio > 0.1",  # the text of a float, NaN
    "ratio = 0",
    "free = '2'",  # text here, a number there
    "id = '1'",
    "at > '2026-01-01 23:00:00'",  # whose zone?
    "day = '2026-01-02 10:00:00'",
    "id = 1 or shop = 'B'",
    "not (id = 1)",
    "doc is null",  # of what has no order, nothing is said
    "id + 1 = 2",
    "id = many",
]


@pytest.mark.parametrize("text", [*PUSHED, *NOT_PUSHED])
def test_the_server_keeps_no_row_less_than_the_engine(
    shop: Postgres, engine: duckdb.DuckDBPyConnection, postgres_server: PostgresServer, text: str
) -> None:
    start = len(postgres_server.log.read_text())
    kept = rows(engine, shop.scan(engine, narrowed(WHOLE, [Filter(text)], None), State()), "id")
    condition = expression(text, scope="row")
    expected = engine.execute(f"SELECT id FROM originals WHERE {condition} ORDER BY id").fetchall()
    if text in PUSHED:
        assert kept == expected
        assert PUSHED[text] in copied(postgres_server, start)[-1]
    else:
        assert kept == [(1,), (2,), (3,), (4,), (5,)]


@pytest.mark.parametrize(
    ("steps", "columns", "keeps"),
    [
        ([Filter("a = 1"), Select(["b"])], ("a", "at", "b"), 1),
        ([Select(["b", "c"]), Filter("b = 1"), Select(["c"])], ("at", "b", "c"), 1),
        ([Derive({"b": "a + 1"}), Filter("b = 1"), Select(["b"])], None, 0),
        ([Filter("a = 1"), Rename({"b": "a"}), Filter("a = 2")], None, 1),
        ([], None, 0),
    ],
)
def test_only_the_first_steps_count(steps: list[Any], columns: tuple[str, ...] | None, keeps: int) -> None:
    found = narrowed(Stream("t", PostgresStream(), "at"), steps, None)
    assert (found.columns, len(found.keeps)) == (columns, keeps)


def test_a_misspelt_column_is_told_from_those_that_are_there(shop: Postgres, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[column.unknown\] unknown column 'secrets'(.|\n)*did you mean 'secret'"):
        run(shop, tmp_path, "sales", Select(["id", "secrets"]))


def test_a_column_that_may_not_be_read_need_not_be(
    shop: Postgres, postgres_server: PostgresServer, engine: duckdb.DuckDBPyConnection
) -> None:
    role = f"half_{uuid.uuid4().hex[:8]}"
    postgres_server.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT SELECT (id, kind) ON plain TO {quote(role)}", shop.database
    )
    try:
        half = Postgres(**{**shop.model_dump(), "user": role, "password": "pw"})
        stream = narrowed(Stream("plain", PostgresStream(), None, ("id",)), [Select(["id", "kind"])], None)
        assert len(rows(engine, half.scan(engine, stream, State()))) == 9
        with pytest.raises(ConfigError, match=r"may not read columns secret of public.plain"):
            half.scan(engine, Stream("plain", PostgresStream()), State())
    finally:
        postgres_server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}", shop.database)
