"""Delta tables as others see them, and theirs as we do; the judges are deltalake and DuckDB's delta extension."""

import json
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from dataflow_platform.connectors.delta import Delta, DeltaDestination
from dataflow_platform.connectors.delta.source import DeltaStream
from dataflow_platform.core.base import Column, State, Stream, Table
from dataflow_platform.core.errors import ConfigError, DataError
from tests.engine.test_line import make, run
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.lake import everything, orphans, read_by_deltalake, read_by_duckdb
from tests.fixtures.rows import Rows

ONE = [{"id": n, "at": n, "v": f"v{n}"} for n in range(10)]
TWO = [{"id": n, "at": n + 5, "v": "new"} for n in range(5, 15)]


@pytest.fixture
def warehouse(tmp_path: Path) -> DeltaDestination:
    return DeltaDestination(path=str(tmp_path / "lake"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lake" / "raw" / "t"


def rows(warehouse: DeltaDestination) -> Counter[tuple[Any, ...]]:
    return Counter(everything(warehouse)["rows"])


def agreed(warehouse: DeltaDestination, folder: Path) -> Counter[tuple[Any, ...]]:
    """The rows, once all three readers found the same."""
    found = rows(warehouse)
    assert read_by_deltalake(folder) == found
    assert read_by_duckdb(folder) == found
    return found


@pytest.mark.evidence("delta", "destination", "real_server")
def test_three_readers_find_the_same_rows(warehouse: DeltaDestination, folder: Path, ran_against: RanAgainst) -> None:
    run(warehouse, "append", ONE, cursor="at")
    run(warehouse, "merge", TWO, "2", cursor="at")
    # Ids 0..4 as they came, 5..14 replaced or new.
    assert sum(agreed(warehouse, folder).values()) == 15
    # Statistics let readers leave files out: they must find the rows all the same.
    table = DeltaTable(str(folder))
    assert table.to_pyarrow_table(filters=[("id", "=", 14)]).num_rows == 1
    assert table.to_pyarrow_table(filters=[("v", "=", "new")]).num_rows == 10
    ran_against(warehouse, f"deltalake {deltalake.__version__}, DuckDB {duckdb.__version__}, local folder")


@pytest.mark.evidence("delta", "destination", "real_server")
def test_others_append_compact_and_clean_up_and_we_go_on(
    warehouse: DeltaDestination, folder: Path, ran_against: RanAgainst
) -> None:
    run(warehouse, "append", ONE, cursor="at")
    run(warehouse, "append", [{"id": None, "at": 10, "v": "w"}], "2", cursor="at")
    other = pa.table({"id": [100], "at": [100], "v": ["theirs"]})
    write_deltalake(str(folder), other, mode="append")
    table = DeltaTable(str(folder))
    table.optimize.compact()
    table.delete("id = 0")
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    table.create_checkpoint()
    # Without the JSON files the checkpoint has to hold all: the state is in the metadata, not in the commits.
    for file in (folder / "_delta_log").glob("*.json"):
        if int(file.stem) < table.version():
            file.unlink()
    before = everything(warehouse)
    assert before["state"][0][2] == "10"
    assert len(before["loads"]) == 2
    record = run(warehouse, "merge", TWO, "3", cursor="at")
    assert record.cursor_before == "10"
    # 10 + 1 by us, 1 by them, 1 deleted; ids 5..14, of which those from at=10 on (ids 5..) are read: 5 new, 5 replaced.
    assert sum(agreed(warehouse, folder).values()) == 10 + 1 + 1 - 1 + 5
    assert (100, 100, "theirs") in rows(warehouse)
    ran_against(warehouse, f"deltalake {deltalake.__version__}, DuckDB {duckdb.__version__}, local folder")


def test_a_checkpoint_is_made_every_ten_commits(warehouse: DeltaDestination, folder: Path) -> None:
    for number in range(12):
        run(warehouse, "append", [{"id": number, "at": number, "v": "x"}], str(number), cursor="at")
    assert json.loads((folder / "_delta_log/_last_checkpoint").read_text())["version"] == 10
    assert sum(agreed(warehouse, folder).values()) == 12
    assert DeltaTable(str(folder)).transaction_version("dataflow/p/t") == 12
    assert orphans(folder) == []


def test_an_existing_table_of_others_is_loaded_and_keeps_its_properties(
    warehouse: DeltaDestination, folder: Path
) -> None:
    theirs = pa.table({"id": [1], "at": [1], "v": ["a"]})
    write_deltalake(
        str(folder),
        theirs,
        name="orders",
        description="theirs",
        configuration={"delta.logRetentionDuration": "interval 90 days"},
    )
    run(warehouse, "merge", [{"id": 1, "at": 2, "v": "b", "more": Decimal("1.5")}])
    table = DeltaTable(str(folder))
    assert (table.metadata().name, table.metadata().description) == ("orders", "theirs")
    assert table.metadata().configuration["delta.logRetentionDuration"] == "interval 90 days"
    assert agreed(warehouse, folder) == {(1, 2, "b", Decimal("1.5")): 1}


def test_a_partitioned_table_of_others(warehouse: DeltaDestination, folder: Path) -> None:
    theirs = pa.table({"id": [1, 2, 3], "day": [date(2024, 1, 1), date(2024, 1, 2), None], "v": ["a", "b", "c"]})
    write_deltalake(str(folder), theirs, partition_by=["day"])
    run(warehouse, "merge", [{"id": 2, "day": date(2024, 1, 3), "v": "B"}])
    found = agreed(warehouse, folder)
    assert found == {(1, date(2024, 1, 1), "a"): 1, (2, date(2024, 1, 3), "B"): 1, (3, None, "c"): 1}
    # The file of January 1st lost no row: it is the one that was there.
    assert (
        sum(name.startswith("day=2024-01-01") for name in DeltaTable(str(folder)).get_add_actions()["path"].to_pylist())
        == 1
    )


def test_a_timestamp_without_a_zone_asks_for_the_feature_and_nothing_else_does(
    warehouse: DeltaDestination, folder: Path
) -> None:
    run(warehouse, "append", ONE)
    assert DeltaTable(str(folder)).protocol().min_writer_version == 2
    run(warehouse, "append", [{"id": 1, "at": 1, "v": "x", "when": datetime(2024, 1, 1, 0, 0, 0, 123456)}], "2")
    protocol = DeltaTable(str(folder)).protocol()
    assert (protocol.min_reader_version, protocol.reader_features) == (3, ["timestampNtz"])
    assert set(protocol.writer_features or ()) == {"appendOnly", "invariants", "timestampNtz"}
    assert sum(agreed(warehouse, folder).values()) == 11


REFUSED = {
    "deletion vectors": {"delta.enableDeletionVectors": "true"},
    "append only": {"delta.appendOnly": "true"},
    "change data feed": {"delta.enableChangeDataFeed": "true"},
}


@pytest.mark.parametrize("feature", [*REFUSED, "constraint"])
def test_a_table_that_asks_for_more_is_refused(warehouse: DeltaDestination, folder: Path, feature: str) -> None:
    write_deltalake(str(folder), pa.table({"id": [1], "at": [1], "v": ["a"]}), configuration=REFUSED.get(feature))
    if feature == "constraint":
        DeltaTable(str(folder)).alter.add_constraint({"positive": "id > 0"})
    before = DeltaTable(str(folder)).version()
    with pytest.raises(ConfigError, match=r"delta\.unsupported"):
        run(warehouse, "append", ONE)
    assert DeltaTable(str(folder)).version() == before


def test_null_in_a_column_that_may_not_hold_it(warehouse: DeltaDestination, folder: Path) -> None:
    schema = pa.schema(
        [pa.field("id", pa.int64(), nullable=False), pa.field("at", pa.int64()), pa.field("v", pa.string())]
    )
    write_deltalake(str(folder), pa.table({"id": [1], "at": [1], "v": ["a"]}, schema=schema))
    session = warehouse.session()
    try:
        session.execute("INSERT INTO raw.t (id, v) SELECT NULL, 'x'")
        with pytest.raises(DataError, match=r"lake\.required_column"):
            session.commit()
    finally:
        session.close()
    assert DeltaTable(str(folder)).version() == 0
    run(warehouse, "append", ONE)
    assert not DeltaTable(str(folder)).schema().fields[0].nullable
    # The contract's default lets a column hold NULL from now on.
    run(warehouse, "append", [{"id": None, "at": 1, "v": "x"}], "2")
    assert DeltaTable(str(folder)).schema().fields[0].nullable
    assert sum(agreed(warehouse, folder).values()) == 12


EXACT = [
    "TRUE", "1::TINYINT", "2::SMALLINT", "3::INTEGER", "4::BIGINT", "1.5::FLOAT", "'inf'::DOUBLE", "'nan'::DOUBLE",
    "-0.0::DOUBLE", "''", "'é\U0001F6E9'", "'\\x00\\xFF'::BLOB", "DATE '0001-01-01'", "DATE '9999-12-31'",
    "TIMESTAMP '0001-01-01 00:00:00'", "TIMESTAMP '9999-12-31 23:59:59.999999'",
    "TIMESTAMPTZ '2024-03-31 01:30:00.000001+00'", "1.23::DECIMAL(38,2)",
    "99999999999999999999999999999999999999::DECIMAL(38,0)", "[1, NULL, 3]", "[]::INTEGER[]",
    "{'a b': 1, 'c': [{'d': 'x'}]}",
    "MAP {'k': 1, 'l': NULL}", "NULL::INTEGER",
]  # fmt: skip
WIDENED = {
    "200::UTINYINT": ("SMALLINT", 200),
    "60000::USMALLINT": ("INTEGER", 60000),
    "4000000000::UINTEGER": ("BIGINT", 4000000000),
    "18446744073709551615::UBIGINT": ("DECIMAL(20,0)", Decimal(18446744073709551615)),
    "170141183460469231731687303715884105::HUGEINT": ("DECIMAL(38,0)", Decimal(170141183460469231731687303715884105)),
    "TIMESTAMP_S '2024-01-01 00:00:00'": ("TIMESTAMP", datetime(2024, 1, 1)),
    "'6b0c8d5e-0000-4000-8000-000000000000'::UUID": ("VARCHAR", "6b0c8d5e-0000-4000-8000-000000000000"),
    "TIME '12:34:56.789'": ("VARCHAR", "12:34:56.789"),
    "'b'::ENUM('a', 'b')": ("VARCHAR", "b"),
    "'{\"a\": 1}'::JSON": ("VARCHAR", '{"a": 1}'),
    "'101'::BIT": ("VARCHAR", "101"),
    "INTERVAL '1 month 2 days'": ("VARCHAR", "1 month 2 days"),
    "[1::UBIGINT]": ("DECIMAL(20,0)[]", [Decimal(1)]),
    "[1, 2]::INTEGER[2]": ("INTEGER[]", [1, 2]),
}


def publish_query(warehouse: DeltaDestination, query: str) -> tuple[Column, ...]:
    session = warehouse.session()
    try:
        session.publish_as_new(session.stage(query, Table("raw", "t")), Table("raw", "t"))
        session.commit()
        return session.columns(Table("raw", "t")) or ()
    finally:
        session.close()


def test_types_that_stay_what_they_are(warehouse: DeltaDestination, folder: Path) -> None:
    listed = ", ".join(f"{value} AS c{number}" for number, value in enumerate(EXACT))
    kept = publish_query(warehouse, f"SELECT {listed}")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        expected = connection.sql(f"SELECT {listed}")
        assert [column.type for column in kept] == [str(kind) for kind in expected.types]
        text = "SELECT COLUMNS(*)::VARCHAR FROM {}"
        original = connection.execute(text.format(f"(SELECT {listed})")).fetchall()
        theirs = connection.from_arrow(DeltaTable(str(folder)).to_pyarrow_table())
        assert connection.execute(text.format("theirs")).fetchall() == original, theirs
    with warehouse.reader() as connection:
        assert connection.execute(text.format("raw.t")).fetchall() == original


@pytest.mark.parametrize("value", WIDENED)
def test_types_that_are_widened_as_declared(warehouse: DeltaDestination, value: str) -> None:
    kind, found = WIDENED[value]
    assert publish_query(warehouse, f"SELECT {value} AS c") == (Column("c", kind),)
    assert everything_of(warehouse) == [(found,)]


def everything_of(warehouse: DeltaDestination) -> list[tuple[Any, ...]]:
    with warehouse.reader() as connection:
        return connection.execute("SELECT * FROM raw.t").fetchall()


@pytest.mark.parametrize("kind", ["TIMESTAMP_NS", "UNION(a INTEGER, b VARCHAR)", "STRUCT(x TIMESTAMP_NS)"])
def test_types_that_are_refused_in_words(warehouse: DeltaDestination, kind: str) -> None:
    with pytest.raises(ConfigError, match=r"delta\.type") as caught:
        publish_query(warehouse, f"SELECT NULL::{kind} AS c")
    assert "column 'c' is" in caught.value.what


def test_a_number_beyond_38_digits_fails_the_load(warehouse: DeltaDestination, folder: Path) -> None:
    with pytest.raises(DataError, match=r"lake\.value"):
        publish_query(warehouse, "SELECT 170141183460469231731687303715884105727::HUGEINT AS c")
    assert orphans_or_nothing(folder) == []


def orphans_or_nothing(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file()]


def test_a_wider_type_is_written_anew_in_the_same_commit(warehouse: DeltaDestination, folder: Path) -> None:
    def of(kind: pa.DataType) -> Rows:
        return Rows().with_rows(pa.table({"id": pa.array([1], kind), "at": [1], "v": ["x"]}))

    run(warehouse, "append", ONE, source=of(pa.int32()))
    run(warehouse, "append", ONE, "2", source=of(pa.int64()))
    assert DeltaTable(str(folder)).version() == 1
    assert agreed(warehouse, folder) == {(1, 1, "x"): 2}
    assert str(DeltaTable(str(folder)).schema().fields[0].type) == 'PrimitiveType("long")'


def source(path: Path, **options: Any) -> tuple[Delta, Stream]:
    return Delta(path=str(path)), Stream("t", DeltaStream(**options))


@pytest.mark.evidence("delta", "source", "real_server")
def test_a_delta_table_as_source(tmp_path: Path, warehouse: DeltaDestination, ran_against: RanAgainst) -> None:
    write_deltalake(str(tmp_path / "in/sales/orders"), pa.table({"id": [1, 2], "p": ["x", "y"]}), partition_by=["p"])
    write_deltalake(str(tmp_path / "in/sales/orders"), pa.table({"id": [3], "p": ["x"]}), mode="append")
    delta, stream = source(tmp_path / "in", table="sales/orders")
    assert delta.discover() == ["sales/orders"]
    assert delta.probe(stream) == "1"
    with duckdb.connect() as connection:
        found = delta.scan(connection, stream, State())
        assert found.position == {"version": 1}
        assert sorted(found.relation.fetchall()) == [(1, "x"), (2, "y"), (3, "x")]
        older = delta.scan(connection, source(tmp_path, table="sales/orders", version=0)[1], State())
        assert sorted(older.relation.fetchall()) == [(1, "x"), (2, "y")]
        # Nothing of ours stays in a database that belongs to somebody.
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
    loaded = make(warehouse, "append", ONE, source=delta)
    assert loaded.source is delta
    ran_against(delta, f"deltalake {deltalake.__version__}, local folder")


def test_a_table_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "in/orders"), pa.table({"id": [1]}))
    delta, stream = source(tmp_path / "in", table="ordres")
    with duckdb.connect() as connection, pytest.raises(ConfigError, match=r"delta\.no_table") as caught:
        delta.scan(connection, stream, State())
    assert "did you mean 'orders'?" in caught.value.fix
