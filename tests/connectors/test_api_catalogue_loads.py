"""Every connector of the catalogue loads into DuckDB exactly once, from an API that fails in every way it may."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.rest import declared, template
from dataflow_platform.connectors.rest.spec import ConnectorSpec
from dataflow_platform.core.base import LoadStrategy, Stream, Table
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.http import RetryPolicy
from dataflow_platform.core.registry import CATALOG
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.replace import Replace
from tests.fixtures.api_descriptions import NAMES, spec_of
from tests.fixtures.api_stand_in import (
    CHILD_ROWS,
    FAULTS,
    ROWS,
    StandIn,
    Visit,
    rsa_key,
    stand_in,
    values_for,
    written_for,
)


@pytest.fixture(scope="module")
def apis() -> Iterator[StandIn]:
    with stand_in({name: spec_of(name) for name in NAMES}) as server:
        yield server


@pytest.fixture(scope="module")
def private_key() -> str:
    return rsa_key()


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDB]:
    made = DuckDB(path=str(tmp_path / "w.duckdb"), threads=1)
    # Held open: opening and closing the file for each of a thousand loads would take longer than the loads.
    with made.reader():
        yield made


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "RetryPolicy", partial(RetryPolicy, first_wait=0.001))


def connection(name: str, fault: str, apis: StandIn, private_key: str, folder: Path) -> declared.DeclaredApi:
    url = f"{apis.url}/{name}/{fault}"
    file = folder / f"{name}.yaml"
    written = yaml.safe_load((CATALOG / f"{name}.yaml").read_text())
    file.write_text(yaml.safe_dump(written_for(written, url)))
    made = declared.connector(name, file)
    return made(base_url=url, max_retries=len(FAULTS), **values_for(made.spec, private_key))


def load(source: declared.DeclaredApi, stream: str, warehouse: DuckDB, table: str, load_id: str) -> LoadRecord:
    options = declared.CatalogueStream(stream=stream)
    known = type(source).declares(options)
    key = tuple(known.primary_key)
    strategy: LoadStrategy = Merge() if key else Replace()
    made = StreamLoad(
        pipeline="catalogue",
        stream=Stream(table, options, known.cursor, key),
        source=source,
        destination=warehouse,
        target=Table("raw", table),
        strategy=strategy,
        strategy_name="merge" if key else "replace",
        load_id=f"{table}-{load_id}",
    )
    return publish(stage(made))


def rows_of(spec: ConnectorSpec, stream: str) -> int:
    """Seven rows; three for each row of the parent."""
    parent = spec.streams[stream].parent
    return CHILD_ROWS * rows_of(spec, parent.stream) if parent and parent.stream else ROWS


def told(warehouse: DuckDB, table: str, key: list[str]) -> tuple[int, int, int]:
    """Rows, distinct keys, and keys of which a part is missing."""
    columns = ", ".join(f'"{each}"' for each in key) or "*"
    missing = " OR ".join(f'"{each}" IS NULL' for each in key) or "FALSE"
    with warehouse.reader() as reader:
        found: Any = reader.execute(
            f"SELECT count(*), count(DISTINCT ({columns})), count(*) FILTER ({missing}) FROM raw.{table}"
        ).fetchone()
    return tuple(found)  # type: ignore[return-value]


@pytest.mark.parametrize("name", NAMES)
def test_every_stream_is_loaded_whole_and_once(
    name: str, apis: StandIn, warehouse: DuckDB, private_key: str, tmp_path: Path
) -> None:
    spec = spec_of(name)
    source = connection(name, "none", apis, private_key, tmp_path)
    for stream, said in spec.streams.items():
        table = f"{name}_{stream}"
        expected = rows_of(spec, stream)
        record = load(source, stream, warehouse, table, "1")
        assert (record.rows_read, record.rows_loaded) == (expected, expected), stream
        if said.primary_key:
            assert told(warehouse, table, said.primary_key) == (expected, expected, 0), stream
            asks_for_new = said.delta or (
                said.cursor and (said.cursor.param or "cursor" in template.names([said.params, said.body]))
            )
            if not asks_for_new and not said.graphql and stream != next(iter(spec.streams)):
                continue
            # Asked again from where it ended, the API answers nothing that is not there already.
            load(source, stream, warehouse, table, "2")
            assert told(warehouse, table, said.primary_key) == (expected, expected, 0), stream


def first_paged(spec: ConnectorSpec) -> str:
    """The stream a fault is tried on: one with pages where there is one, without a parent."""
    names = [name for name, each in spec.streams.items() if not each.parent]
    return next((name for name in names if spec.streams[name].paging.type != "none"), names[0])


@pytest.mark.parametrize("name", NAMES)
def test_no_fault_loses_or_repeats_a_row(
    name: str, apis: StandIn, warehouse: DuckDB, private_key: str, tmp_path: Path
) -> None:
    spec = spec_of(name)
    stream = first_paged(spec)
    source = connection(name, "faults", apis, private_key, tmp_path)
    gets_tokens = any(way.type.startswith("oauth2_") for way in source.spec.auths)
    # Nothing tells that lines of a CSV text are missing; and a token that is always the same cannot be renewed.
    possible = {"half": spec.streams[stream].format != "csv", "expired": gets_tokens}
    visit = apis.visits[f"{name}/faults"] = Visit(faults=[each for each in FAULTS if possible.get(each, True)])
    record = load(source, stream, warehouse, "t", "1")
    assert visit.faults == [], "these never happened"
    assert record.rows_loaded == ROWS
    if spec.streams[stream].primary_key:
        assert told(warehouse, "t", spec.streams[stream].primary_key) == (ROWS, ROWS, 0)


PAGED = [name for name in NAMES if spec_of(name).streams[first_paged(spec_of(name))].paging.type != "none"]


@pytest.mark.parametrize("name", PAGED)
def test_an_api_that_answers_the_same_page_for_ever_is_left(
    name: str, apis: StandIn, warehouse: DuckDB, private_key: str, tmp_path: Path
) -> None:
    spec = spec_of(name)
    stream = first_paged(spec)
    source = connection(name, "ring", apis, private_key, tmp_path)
    visit = apis.visits[f"{name}/ring"] = Visit(ring=True)
    with pytest.raises(DataflowError) as stopped:
        load(source, stream, warehouse, "t", "1")
    assert stopped.value.code == "rest.loop"
    visit.ring = False
    # Nothing of the broken run is there; once the API behaves, everything is.
    assert load(source, stream, warehouse, "t", "2").rows_loaded == ROWS
    assert told(warehouse, "t", spec.streams[stream].primary_key)[0] == ROWS
