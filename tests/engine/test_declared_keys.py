"""Primary and foreign keys that a PostgreSQL destination declares: made with the rows, kept, refused in words."""

import multiprocessing
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core import injection
from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.contract import Contract
from tests.engine.test_line import ONE, run

LINES = [{"id": 1, "order": 1, "n": 1}, {"id": 1, "order": 1, "n": 2}, {"id": 2, "order": 2, "n": 1}]
MADE = [
    ("lines", "lines_order_fkey", 'FOREIGN KEY ("order") REFERENCES raw.t(id) DEFERRABLE'),
    ("lines", "lines_pkey", "PRIMARY KEY (id, n)"),
    ("t", "t_pkey", "PRIMARY KEY (id)"),
]
CHILD = Table("raw", "lines")


@pytest.fixture
def bare(postgres_server: PostgresServer) -> Iterator[PostgresDestination]:
    name = f"keyed_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database=name, user="postgres", password=postgres_server.password
    )
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def declaring(bare: PostgresDestination, **declared: Any) -> PostgresDestination:
    return PostgresDestination(**{**bare.model_dump(), **declared})


@pytest.fixture
def warehouse(bare: PostgresDestination) -> PostgresDestination:
    return declaring(
        bare,
        primary_keys={"raw.t": ["id"], "lines": ["id", "n"]},
        foreign_keys={"lines": [{"columns": ["order"], "references": "t"}]},
        unique={"t": [["id"]]},
    )


@pytest.fixture
def asked(postgres_server: PostgresServer, bare: PostgresDestination) -> Any:
    return lambda sql: postgres_server.execute(sql, bare.database)


def made(asked: Any) -> list[Any]:
    return list(
        asked(
            "SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_class c ON "
            "c.oid = k.conrelid WHERE k.contype IN ('p', 'f') AND c.relnamespace = to_regnamespace('raw') "
            "AND left(c.relname, 1) <> '_' ORDER BY 1, 2"
        )
    )


def both(warehouse: PostgresDestination, how: str, load_id: str = "1", rows: list[dict[str, Any]] = ONE) -> None:
    run(warehouse, how, rows, load_id)
    run(warehouse, how, LINES, f"{load_id} lines", target=CHILD, pipeline="lines")


@pytest.mark.parametrize("how", ["append", "replace"])
def test_the_first_load_makes_them_in_its_own_transaction(warehouse: PostgresDestination, asked: Any, how: str) -> None:
    both(warehouse, how)
    assert made(asked) == MADE
    # The key's index serves as the unique one that is declared as well.
    assert asked("SELECT indexname FROM pg_indexes WHERE tablename = 't'") == [("t_pkey",)]
    writers = asked(
        "SELECT (SELECT DISTINCT xmin::text FROM raw.lines), array_agg(DISTINCT xmin::text) FROM pg_constraint "
        "WHERE conname IN ('lines_order_fkey', 'lines_pkey')"
    )
    assert writers == [(writers[0][0], [writers[0][0]])]


def test_replace_and_merge_keep_them_and_make_none_twice(warehouse: PostgresDestination, asked: Any) -> None:
    both(warehouse, "replace")
    # The rows others refer to go and come again, with one more.
    both(warehouse, "replace", "2", [*ONE, {"id": 3, "at": 30, "v": "c"}])
    assert made(asked) == MADE
    oids = "SELECT oid FROM pg_constraint WHERE contype IN ('p', 'f') AND connamespace = 'raw'::regnamespace ORDER BY 1"
    first = asked(oids)
    run(warehouse, "merge", ONE, "3")
    run(warehouse, "append", [{"id": 4, "order": 3, "n": 1}], "4", target=CHILD, pipeline="lines")
    assert made(asked) == MADE
    assert asked(oids) == first
    assert asked("SELECT (SELECT count(*) FROM raw.t), (SELECT count(*) FROM raw.lines)") == [(3, 4)]


def test_a_table_that_is_there_gets_what_it_lacks(bare: PostgresDestination, asked: Any) -> None:
    both(bare, "append")
    asked("ALTER TABLE raw.t ADD CONSTRAINT by_hand PRIMARY KEY (id)")
    long = "k" * 60
    run(bare, "append", [{"id": 1, long: 1, "x" + long: 1}], "long", target=Table("raw", long), pipeline="long")
    declared = declaring(
        bare,
        primary_keys={"t": ["id"], long: [long]},
        foreign_keys={long: [{"columns": [each], "references": "raw.t", "on": ["id"]} for each in (long, "x" + long)]},
    )
    run(declared, "append", [{"id": 7, "at": 1, "v": "z"}], "2")
    run(declared, "append", [{"id": 7, long: 7, "x" + long: 7}], "long 2", target=Table("raw", long), pipeline="long")
    names = [name for table, name, _ in made(asked) if table in ("t", long)]
    assert len(names) == len(set(names)) == 4
    assert "by_hand" in names
    # 63 bytes are all PostgreSQL keeps; two foreign keys of one table do not clash.
    assert max(len(name) for name in names) == 63


VIOLATIONS = {
    "twice": ({}, [*ONE, ONE[0]], DataError, r"postgres.primary_key.*raw.t share it: Key \(id\)=\(1\) is duplicated"),
    "null": ({}, [{"id": None, "at": 1, "v": ""}], DataError, r"postgres.primary_key.*raw.t has no value in it: col"),
    "other columns": ({"primary_keys": {"t": ["idd"]}}, ONE, ConfigError, r"column.unknown.*primary_keys"),
    "no parent": (
        {"foreign_keys": {"t": [{"columns": ["at"], "references": "orders"}]}}, ONE, ConfigError,
        r"postgres.foreign_key.*raw.t refers to raw.orders, which is not there.*load raw.orders first",
    ),
    "refers to none": (
        {"foreign_keys": {"t": [{"columns": ["at"], "references": "public.p"}]}}, ONE, DataError,
        r"postgres.foreign_key.*\(at\) of raw.t refers to public.p, and a row refers to none: Key \(at\)=\(10\)",
    ),
    "not unique": (
        {"foreign_keys": {"t": [{"columns": ["at"], "references": "public.p", "on": ["other"]}]}}, ONE, ConfigError,
        r"postgres.foreign_key.*cannot be: there is no unique constraint.*declare the columns of a primary key",
    ),
    "of another type": (
        {"foreign_keys": {"t": [{"columns": ["v"], "references": "public.p"}]}}, ONE, ConfigError,
        r"postgres.foreign_key.*cannot be: Key columns \"v\".*incompatible types",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("case", "how"), [*((case, "append") for case in VIOLATIONS), ("twice", "replace")])
def test_a_violation_publishes_nothing(bare: PostgresDestination, asked: Any, case: str, how: str) -> None:
    settings, rows, kind, words = VIOLATIONS[case]
    asked("CREATE TABLE public.p (id bigint PRIMARY KEY, other bigint)")
    declared = declaring(bare, **({"primary_keys": {"t": ["id"]}} | settings))
    with pytest.raises(kind, match=f"(?s){words}"):
        run(declared, how, rows)
    assert asked("SELECT to_regclass('raw.t'), (SELECT count(*) FROM raw._dataflow_loads)") == [(None, 0)]
    # The same load without the declaration is taken.
    run(bare, how, rows)
    assert asked("SELECT count(*) FROM raw.t") == [(len(rows),)]


def test_a_key_that_is_there_is_kept_by_every_load(warehouse: PostgresDestination, asked: Any) -> None:
    both(warehouse, "append")
    loads: list[tuple[str, list[dict[str, Any]], Table, str]] = [
        ("append", [{"id": 1, "at": 0, "v": "again"}], Table("raw", "t"), r"postgres.constraint.*\(id\)=\(1\) already"),
        ("append", [{"id": 9, "order": 9, "n": 9}], CHILD, r"postgres.foreign_key.*\(order\)=\(9\) is not present"),
        ("replace", [{"id": 1, "at": 0, "v": "alone"}], Table("raw", "t"), r"postgres.foreign_key.*\(id\)=\(2\)"),
    ]
    for place, (how, rows, target, words) in enumerate(loads):
        with pytest.raises(DataError, match=f"(?s){words}"):
            run(warehouse, how, rows, f"bad {place}", target=target, pipeline=f"bad {place}")
    with pytest.raises(DataError, match=r"(?s)postgres.primary_key.*primary key"):
        run(warehouse, "append", [{"id": None, "at": 1, "v": ""}], "null", contract=Contract(nullability="evolve"))
    assert asked("SELECT (SELECT count(*) FROM raw.t), (SELECT count(*) FROM raw.lines)") == [(2, 3)]
    assert made(asked) == MADE


def test_what_is_no_longer_declared_stays_and_another_key_is_refused(
    bare: PostgresDestination, warehouse: PostgresDestination, asked: Any
) -> None:
    both(warehouse, "append")
    run(bare, "merge", ONE, "2")
    assert made(asked) == MADE
    with pytest.raises(ConfigError, match=r"(?s)primary key of raw.t is \(id\), and \(at\) is declared.*DROP CONSTR"):
        run(declaring(bare, primary_keys={"t": ["at"]}), "merge", [{"id": 5, "at": 5, "v": "e"}], "3")
    assert asked("SELECT count(*) FROM raw.t") == [(2,)]


def test_a_declaration_without_columns_is_refused(bare: PostgresDestination) -> None:
    with pytest.raises(ConfigError, match=r"the key of t has no column"):
        declaring(bare, primary_keys={"t": []})
    with pytest.raises(ConfigError, match=r"1 columns refer to 2 of orders"):
        declaring(bare, foreign_keys={"t": [{"columns": ["a"], "references": "orders", "on": ["b", "c"]}]})


def _killed(fields: dict[str, Any], passage: int) -> None:
    injection.arm(injection.kill_at(f"declared_made:{passage}"))
    run(PostgresDestination(**fields), "append", LINES, "lines", target=CHILD, pipeline="lines")


@pytest.mark.kill
@pytest.mark.parametrize("passage", [1, 2])
def test_killed_between_rows_and_keys_nothing_is_there_and_the_next_load_makes_it(
    warehouse: PostgresDestination, asked: Any, passage: int
) -> None:
    run(warehouse, "append", ONE)
    fields = {**warehouse.model_dump(), "password": warehouse.password}
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(fields, passage))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert asked("SELECT to_regclass('raw.lines')") == [(None,)]
    run(warehouse, "append", LINES, "lines", target=CHILD, pipeline="lines")
    assert made(asked) == MADE
    assert asked("SELECT count(*) FROM raw.lines") == [(3,)]
