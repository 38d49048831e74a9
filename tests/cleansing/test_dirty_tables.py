"""How many wrong cells of two dirty tables the rules of this folder find, through a load with its quarantine.

The tables are those of the Raha benchmark (github.com/BigDaMa/raha, folder datasets): each dirty beside clean. They are
not part of this project: DATAFLOW_DIRTY_TABLES names the folder that holds hospital/ and flights/. docs/cleansing.md
tells the classes of errors and the figures.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dataflow_platform.core import registry
from dataflow_platform.core.base import Check, Column
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.yaml_project import INBOX, Write

TABLES = Path(os.environ.get("DATAFLOW_DIRTY_TABLES") or Path.home() / ".cache" / "dataflow-dirty-tables")
HERE = Path(__file__).parent
Cells = dict[tuple[str, str], tuple[str | None, str | None]]
"""Key of the row and column -> the dirty and the clean value."""


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> duckdb.DuckDBPyConnection:
    """Holds the tables ``dirty`` and ``clean`` of the test's table, all texts."""
    table = str(request.param)
    connection = duckdb.connect(":memory:")
    for side in ("dirty", "clean"):
        file = TABLES / table / f"{side}.csv"
        if not file.is_file():
            pytest.skip(f"needs the Raha benchmark's table {table}: {file} is not there (DATAFLOW_DIRTY_TABLES)")
        connection.execute(f"CREATE TABLE {side} AS FROM read_csv('{file}', all_varchar = true)")
    return connection


def wrong_cells(engine: duckdb.DuckDBPyConnection, key: str) -> Cells:
    found: Cells = {}
    for name, *_ in engine.execute("DESCRIBE dirty").fetchall():
        asked = f'SELECT d."{key}", d."{name}", c."{name}" FROM dirty AS d JOIN clean AS c USING ("{key}")'
        differ = f'{asked} WHERE d."{name}" IS DISTINCT FROM c."{name}"'
        found |= {(row, name): (dirty, clean) for row, dirty, clean in engine.execute(differ).fetchall()}
    return found


def declared(table: str) -> list[dict[str, dict[str, Any]]]:
    """The table's checks, as warnings: what breaks them goes to quarantine."""
    entries = yaml.safe_load((HERE / f"{table}_checks.yaml").read_text())["checks"]
    settings = [(name, value if isinstance(value, Mapping) else {"columns": value}) for ((name, value),) in
                (entry.items() for entry in entries)]  # fmt: skip
    return [{name: {**value, "severity": "warn"}} for name, value in settings]


def marked_cells(project: Path, table: str, key: str, columns: list[str]) -> set[tuple[str, str]]:
    """Load the dirty table; the cells that a row rule has marked, by what quarantine keeps of each row."""
    built = load_folder(project / "defs").built
    assert built.problems == []
    assert built.definitions().resolve_implicit_global_asset_job_def().execute_in_process().success
    about: dict[str, str] = {}
    for ((name, value),) in (entry.items() for entry in declared(table)):
        check: Check = registry.check(name).model_validate(value)
        about |= {rule.name: str(rule.column) for rule in check.rules([Column(each, "VARCHAR") for each in columns])}
    with duckdb.connect(str(project / "w.duckdb")) as connection:
        rows = connection.execute("SELECT row_values, reasons FROM dirty._dataflow_quarantine").fetchall()
    return {
        (str(json.loads(values)[key]), about[reason["rule"]])
        for values, reasons in rows
        for reason in json.loads(reasons)
    }


def load(engine: duckdb.DuckDBPyConnection, yaml_project: Write, table: str, key: str) -> set[tuple[str, str]]:
    columns = [str(name) for name, *_ in engine.execute("DESCRIBE dirty").fetchall()]
    stream = {
        "name": table,
        "from": {"path": "dirty.csv", "columns": dict.fromkeys(columns, "varchar")},
        "checks": declared(table),
    }
    pipeline = {"name": "dirty", "source": "inbox", "streams": [stream]}
    text = yaml.safe_dump({"type": "dataflow_platform.Pipeline", "attributes": pipeline}, sort_keys=False)
    project = yaml_project(INBOX + text)
    (project / "inbox").mkdir()
    (project / "inbox/dirty.csv").write_bytes((TABLES / table / "dirty.csv").read_bytes())
    return marked_cells(project, table, key, columns)


@pytest.mark.parametrize("engine", ["hospital"], indirect=True)
def test_hospital(engine: duckdb.DuckDBPyConnection, yaml_project: Write) -> None:
    wrong = wrong_cells(engine, "index")
    assert len(wrong) == 509  # as the benchmark says
    marked = load(engine, yaml_project, "hospital", "index")
    # Every class is one a rule can know here: columns that a key determines, and forms. 505 of 509, all rightly.
    assert (len(marked & wrong.keys()), len(marked - wrong.keys())) == (505, 0)


@pytest.mark.parametrize("engine", ["flights"], indirect=True)
def test_flights(engine: duckdb.DuckDBPyConnection, yaml_project: Write) -> None:
    wrong = wrong_cells(engine, "tuple_id")
    assert len(wrong) == 4920
    marked = load(engine, yaml_project, "flights", "tuple_id")
    classes = {name: told(wrong, engine, name) for name in ("missing", "malformed", "outvoted", "not told most")}
    # Every wrong cell is of one class.
    assert sum(map(len, classes.values())) == len(wrong)
    found = {name: (len(cells & marked), len(cells)) for name, cells in classes.items()}
    assert found == {
        "missing": (2312, 2312),
        "malformed": (557, 557),
        "outvoted": (916, 916),  # all, by what the class is
        "not told most": (188, 1135),  # what a rule cannot know
    }
    right = len(marked & wrong.keys())
    assert (right, len(marked)) == (3973, 4406)  # precision 0.902


def told(wrong: Cells, engine: duckdb.DuckDBPyConnection, wanted: str) -> set[tuple[str, str]]:
    """The wrong cells of one class."""
    found = set()
    flights = dict(engine.execute("SELECT tuple_id, flight FROM dirty").fetchall())
    form = r"(1[0-2]|[1-9]):[0-5][0-9] [ap]\.m\."
    for column in {name for _, name in wrong}:
        asked = f'SELECT "{column}", regexp_full_match("{column}", \'{form}\') FROM dirty'
        formed = dict(engine.execute(asked).fetchall())
        most = {
            flight: values[0] if len(values) == 1 else None
            for flight, values in engine.execute(
                "SELECT flight, list(value) FROM (SELECT *, rank() OVER (PARTITION BY flight ORDER BY n DESC) AS place "
                f'FROM (SELECT flight, "{column}" AS value, count(*) AS n FROM dirty WHERE value IS NOT NULL '
                "GROUP BY flight, value)) WHERE place = 1 GROUP BY flight"
            ).fetchall()
        }
        for (row, name), (dirty, clean) in wrong.items():
            if name == column:
                right = most.get(flights[row]) == clean
                kind = "missing" if dirty is None else "malformed" if not formed[dirty] else "outvoted"
                kind = kind if kind != "outvoted" or right else "not told most"
                found |= {(row, name)} if kind == wanted else set()
    return found
