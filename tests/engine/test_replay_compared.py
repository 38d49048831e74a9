"""A replay and rules that compare the rows of a load with one another."""

from dataclasses import replace
from pathlib import Path

from dataflow_platform.checks.expression import Expression
from dataflow_platform.checks.functional_dependency import FunctionalDependency
from dataflow_platform.checks.unique import Unique
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import Check
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.quarantine import export_rows
from dataflow_platform.engine.replay import Selection, replay
from dataflow_platform.engine.stage import stage
from tests.engine.test_line import make


def test_a_row_that_lost_against_others_of_its_load_is_not_replayed_alone(tmp_path: Path) -> None:
    """Alone it would be the first of its key, and the most frequent of its group."""
    warehouse = DuckDB(path=str(tmp_path / "w.duckdb"))
    rules: tuple[Check, ...] = (
        Unique.model_validate({"columns": "id", "scope": "row", "severity": "warn", "first": "town"}),
        FunctionalDependency.model_validate({"columns": "zip", "determines": "town", "severity": "warn"}),
        Expression(sql="id > 0", severity="warn"),
    )
    towns = [(1, "89073", "Ulm"), (1, "89073", "Ulmen"), (2, "89073", "Ulm"), (-3, "89073", "Ulm")]
    rows = [{"id": number, "zip": code, "town": town} for number, code, town in towns]
    load = make(warehouse, "append", rows, checks=rules)
    record = publish(stage(load))
    # (1, Ulmen) comes second for its key, and is outvoted; -3 breaks its rule by itself.
    assert (record.rows_loaded, record.rows_quarantined) == (2, 2)
    found = replay(load, Selection(), "me")
    assert found.loaded == 0
    why = "rule unique_id compares it with rows of its load, which are not here any more"
    assert found.refused == {why: 1}
    lenient = replace(load, checks=rules[:2])
    assert replay(lenient, Selection(), "me").loaded == 1  # -3: what it did not break keeps nothing back
    corrected = tmp_path / "rows.csv"
    session = warehouse.session()
    assert export_rows(session, "raw", "p", "t", corrected, None) == 1
    session.close()
    corrected.write_text(corrected.read_text().replace("Ulmen", "Ulm").replace('""id"":""1""', '""id"":""4""'))
    assert replay(load, Selection(edited=corrected), "me").loaded == 1
    with warehouse.reader() as connection:
        wanted = [(-3, "Ulm"), (1, "Ulm"), (2, "Ulm"), (4, "Ulm")]
        assert connection.execute("SELECT id, town FROM raw.t ORDER BY id").fetchall() == wanted
