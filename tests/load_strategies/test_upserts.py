"""merge, scd1 and scd3 against plain dictionaries."""

from typing import Any

from hypothesis import given

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.scd1 import Scd1
from dataflow_platform.load_strategies.scd3 import Scd3
from tests.load_strategies.batches import Loader, Row, as_set, batches, good, is_late, many, names, newest

SHOWN = ("id", "at", "v", "w")


def shown(table: dict[Any, Row], *extra: str) -> list[tuple[Any, ...]]:
    return as_set([[row[name] for name in (*SHOWN, *extra)] for row in table.values()])


@many
@given(batches(), names)
def test_merge(warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str]) -> None:
    loader = Loader(warehouse, "merge", Merge(), spelled)
    table: dict[Any, Row] = {}
    for batch in sequence:
        wins = {key: row for key, row in newest(good(batch, "id")).items() if not is_late(table.get(key), row)}
        known = len(wins.keys() & table.keys())
        table |= wins
        record = loader.load(batch)
        assert (record.rows_loaded, record.rows_updated) == (len(wins), known)
        assert loader.found() == shown(table)
    loader.load(sequence[-1])
    assert loader.found() == shown(table)
    loader.drop()


@many
@given(batches(), names)
def test_merge_with_delete_marker(warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str]) -> None:
    loader = Loader(warehouse, "merge", Merge(delete_marker=spelled["gone"]), spelled, without=())
    table: dict[Any, Row] = {}
    for batch in [*sequence, sequence[-1]]:
        removed = loaded = 0
        for key, row in newest(good(batch, "id"), "at", "gone", "v", "w").items():
            if is_late(table.get(key), row):
                continue
            if row["gone"]:
                removed += table.pop(key, None) is not None
            else:
                table[key] = row
                loaded += 1
        record = loader.load(batch)
        assert (record.rows_loaded, record.rows_deleted) == (loaded, removed)
        assert loader.found() == shown(table)
    loader.drop()


@many
@given(batches(), names)
def test_scd1(warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str]) -> None:
    loader = Loader(warehouse, "scd1", Scd1(), spelled)
    table: dict[Any, Row] = {}
    for batch in sequence:
        changed = 0
        for key, row in newest(good(batch, "id")).items():
            old = table.get(key)
            if not is_late(old, row) and (old is None or any(old[name] != row[name] for name in SHOWN)):
                table[key] = row
                changed += 1
        assert loader.load(batch).rows_loaded == changed
        assert loader.found() == shown(table)
    again = loader.load(sequence[-1])
    assert (again.rows_loaded, again.rows_updated, again.rows_deleted) == (0, 0, 0)
    assert loader.found() == shown(table)
    loader.drop()


@many
@given(batches(), names)
def test_scd3(warehouse: DuckDB, sequence: list[list[Row]], spelled: dict[str, str]) -> None:
    loader = Loader(warehouse, "scd3", Scd3(columns=(spelled["v"], spelled["w"])), spelled)
    extra = [f'"previous_{spelled[name]}"' for name in ("v", "w")]
    table: dict[Any, Row] = {}
    for batch in sequence:
        changed = 0
        for key, row in newest(good(batch, "id")).items():
            old = table.get(key)
            if is_late(old, row) or (old and all(old[name] == row[name] for name in SHOWN)):
                continue
            changed += 1
            before = {"before v": None, "before w": None, "changed": None}
            if old:
                before = {name: old[name] for name in before}
                for name in ("v", "w"):
                    if old[name] != row[name]:
                        before |= {f"before {name}": old[name], "changed": row["at"]}
            table[key] = {**row, **before}
        assert loader.load(batch).rows_loaded == changed
        assert loader.found(*extra, "_changed_at") == shown(table, "before v", "before w", "changed")
    again = loader.load(sequence[-1])
    assert (again.rows_loaded, again.rows_updated) == (0, 0)
    assert loader.found(*extra, "_changed_at") == shown(table, "before v", "before w", "changed")
    loader.drop()
