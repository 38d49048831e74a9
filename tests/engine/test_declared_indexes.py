"""Indexes that a PostgreSQL destination declares: made with the table, kept by every load, refused in words."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.pipeline.loader import load_folder
from tests.engine.test_line import ONE, run

MADE = [
    "CREATE INDEX t_at_v_idx ON raw.t USING btree (at, v)",
    "CREATE UNIQUE INDEX t_id_idx ON raw.t USING btree (id)",
]


@pytest.fixture
def bare(postgres_server: PostgresServer) -> Iterator[PostgresDestination]:
    name = f"indexed_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database=name, user="postgres", password=postgres_server.password
    )
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def declaring(bare: PostgresDestination, **declared: dict[str, list[list[str]]]) -> PostgresDestination:
    return PostgresDestination(**{**bare.model_dump(), **declared})


@pytest.fixture
def warehouse(bare: PostgresDestination) -> PostgresDestination:
    return declaring(bare, indexes={"raw.t": [["at", "v"]], "other": [["x"]]}, unique={"t": [["id"]]})


@pytest.fixture
def asked(postgres_server: PostgresServer, bare: PostgresDestination) -> Any:
    return lambda sql: postgres_server.execute(sql, bare.database)


def made(asked: Any) -> list[str]:
    told = asked("SELECT indexdef FROM pg_indexes WHERE schemaname = 'raw' AND tablename = 't' ORDER BY 1")
    return [row[0] for row in told]


@pytest.mark.parametrize("how", ["append", "merge", "replace"])
def test_the_first_load_makes_them_in_its_own_transaction(warehouse: PostgresDestination, asked: Any, how: str) -> None:
    run(warehouse, how, ONE)
    assert made(asked) == MADE
    # The rows' own transaction wrote the table and the indexes.
    writers = asked(
        "SELECT (SELECT DISTINCT xmin::text FROM raw.t), array_agg(DISTINCT xmin::text) FROM pg_class "
        "WHERE relname IN ('t', 't_at_v_idx', 't_id_idx')"
    )
    assert writers == [(writers[0][0], [writers[0][0]])]


def test_replace_makes_them_where_it_swaps_the_table_and_keeps_them(
    bare: PostgresDestination, warehouse: PostgresDestination, asked: Any
) -> None:
    run(bare, "replace", ONE)
    oids = [asked("SELECT 'raw.t'::regclass::oid")]
    for load_id in ("2", "3"):
        run(warehouse, "replace", [{**row, "w": 1} for row in ONE], load_id)
        assert made(asked) == MADE
        assert asked("SELECT count(*), count(w) FROM raw.t") == [(2, 2)]
        oids.append(asked("SELECT 'raw.t'::regclass::oid"))
    assert len({oid for ((oid,),) in oids}) == 3


def test_replace_swaps_a_table_with_whatever_indexes_and_constraints_it_has(
    bare: PostgresDestination, asked: Any
) -> None:
    run(bare, "replace", ONE)
    asked(
        "CREATE TABLE raw.p (at bigint PRIMARY KEY); INSERT INTO raw.p VALUES (10), (20); "
        "ALTER TABLE raw.t ADD PRIMARY KEY (id), ADD CONSTRAINT \"it's\" CHECK (v <> ''), "
        "ADD CONSTRAINT seen FOREIGN KEY (at) REFERENCES raw.p ON DELETE CASCADE, ADD UNIQUE (v, id); "
        'CREATE INDEX "By Hand" ON raw.t (lower(v) DESC, at) INCLUDE (id) WHERE id > 0'
    )
    everything = (
        "SELECT conname, contype::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'n' "
        "AND conrelid = 'raw.t'::regclass "
        "UNION ALL SELECT indexname, 'i', indexdef FROM pg_indexes WHERE tablename = 't' ORDER BY 1, 2"
    )
    there, oid = asked(everything), asked("SELECT 'raw.t'::regclass::oid")
    assert len(there) == 7
    run(bare, "replace", [*ONE, {"id": 3, "at": 20, "v": "c"}], "2")
    assert asked("SELECT 'raw.t'::regclass::oid") != oid
    assert asked(everything) == there
    with pytest.raises(DataError, match=r"(?s)\[postgres.constraint\].*Key \(v, id\)=\(a, 1\) is duplicated"):
        run(bare, "replace", [*ONE, *ONE], "3")
    assert asked("SELECT count(*) FROM raw.t") == [(3,)]


HANGING = {
    "view": "CREATE VIEW raw.seen AS SELECT id FROM raw.t",
    "grant": "GRANT SELECT ON raw.t TO pg_monitor",
    "grant on a column": "GRANT SELECT (v) ON raw.t TO pg_monitor",
    "comment on an index": "COMMENT ON INDEX raw.by_hand IS 'mine'",
    "clustered": "ALTER TABLE raw.t CLUSTER ON by_hand",
    "foreign key of another": "CREATE TABLE raw.c (id bigint REFERENCES raw.t)",
    "foreign key of its own to itself": "ALTER TABLE raw.t ADD FOREIGN KEY (id) REFERENCES raw.t",
    "default": "ALTER TABLE raw.t ALTER at SET DEFAULT 7",
    "NOT NULL beside the key": "ALTER TABLE raw.t ALTER v SET NOT NULL",
    "policy": "ALTER TABLE raw.t ENABLE ROW LEVEL SECURITY",
    "statistics": "CREATE STATISTICS raw.both ON at, v FROM raw.t",
    "trigger": "CREATE TRIGGER no BEFORE UPDATE ON raw.t FOR EACH ROW EXECUTE FUNCTION "
    "suppress_redundant_updates_trigger()",
    "publication": "CREATE PUBLICATION told FOR TABLE raw.t",
}


def test_replace_leaves_a_table_there_that_more_hangs_on(bare: PostgresDestination, asked: Any) -> None:
    left = []
    for number, (what, hung) in enumerate(HANGING.items()):
        target, name = Table("raw", f"t{number}"), f"raw.t{number}"
        run(bare, "replace", ONE, f"{what} 1", target=target, pipeline=what)
        asked(f"ALTER TABLE {name} ADD PRIMARY KEY (id); CREATE INDEX by_hand_{number} ON {name} (at)")
        asked(hung.replace("raw.t", name).replace("by_hand", f"by_hand_{number}"))
        oid = asked(f"SELECT '{name}'::regclass::oid")
        run(bare, "replace", [{"id": 9, "at": 1, "v": "new"}], f"{what} 2", target=target, pipeline=what)
        assert asked(f"SELECT id FROM {name}") == [(9,)]
        left += [what] if asked(f"SELECT '{name}'::regclass::oid") == oid else []
    assert left == list(HANGING)


def test_a_table_that_is_there_gets_what_it_lacks(bare: PostgresDestination, asked: Any) -> None:
    run(bare, "merge", ONE)
    asked("CREATE UNIQUE INDEX by_hand ON raw.t (id)")
    declared = declaring(bare, indexes={"t": [["id"], ["v"]]}, unique={"raw.t": [["id"]]})
    for load_id in ("2", "3"):
        run(declared, "merge", ONE, load_id)
        # The one made by hand serves as both that are declared on the column.
        assert made(asked) == [
            "CREATE INDEX t_v_idx ON raw.t USING btree (v)",
            "CREATE UNIQUE INDEX by_hand ON raw.t USING btree (id)",
        ]


def test_a_key_that_comes_twice_publishes_nothing(warehouse: PostgresDestination, asked: Any) -> None:
    run(warehouse, "append", ONE)
    with pytest.raises(DataError, match=r"(?s)\[postgres.constraint\].*t_id_idx"):
        run(warehouse, "append", ONE, "2")
    assert asked("SELECT count(*) FROM raw.t") == [(2,)]
    asked("DROP TABLE raw.t")
    with pytest.raises(DataError, match=r"(?s)\[postgres.constraint\].*\(id\)=\(1\)"):
        run(warehouse, "replace", [*ONE, *ONE], "3")
    assert asked("SELECT to_regclass('raw.t')") == [(None,)]


def test_a_column_that_is_not_there_publishes_nothing(bare: PostgresDestination, asked: Any) -> None:
    with pytest.raises(ConfigError, match=r"(?s)\[column.unknown\] unknown column 'idd'.*raw\.t.*did you mean 'id'"):
        run(declaring(bare, indexes={"t": [["idd"]]}), "append", ONE)
    assert asked("SELECT to_regclass('raw.t')") == [(None,)]
    with pytest.raises(ConfigError, match=r"\[postgres.index\] an index of t has no column"):
        declaring(bare, unique={"t": [[]]})


PIPELINE = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: TYPE, indexes: {t: [[id], [at, v]]}}
    inbox: {type: files, root: .}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  destination: {connection: warehouse, schema: raw}
  streams: [{name: t, from: {path: t.csv}, load: replace}]
"""


@pytest.mark.parametrize(
    ("kind", "problems"),
    [
        ("postgres, host: h, database: d, user: u", []),
        ("duckdb, path: w.duckdb", ["key.unknown"]),
        ("delta, path: lake", ["key.unknown"]),
    ],
)
def test_in_yaml_and_where_a_destination_has_none(tmp_path: Path, kind: str, problems: list[str]) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/defs.yaml").write_text(PIPELINE.replace("TYPE", kind))
    built = load_folder(tmp_path).built
    assert [problem.code for problem in built.problems] == problems
    assert all("indexes" in str(problem) for problem in built.problems)
