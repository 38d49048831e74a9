"""Any string as name of a column, table, schema or stream: it loads under that very name, or is refused in words."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflow_platform.connectors.files import Files, FilesStream
from dataflow_platform.connectors.postgres import Postgres, PostgresStream
from dataflow_platform.core.base import Destination, Stream, Table
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError
from dataflow_platform.demo.postgres import PostgresServer
from tests.fixtures.rows import Rows, RowsOptions
from tests.types.conftest import ARRIVALS
from tests.types.destinations import Arrival
from tests.types.matrix import load_from
from tests.types.naughty import FEW, OURS, big_list

NAMES = [*dict.fromkeys([*OURS, *(big_list() or [])])]
TAKEN = {"id", "ctid", "xmin", "tableoid", "rowid", ""}
MEMBERS = pa.array([1, 2])


@pytest.fixture(params=ARRIVALS)
def arrival(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer, database: str) -> Arrival:
    return ARRIVALS[request.param](tmp_path, postgres_server, database)


def distinct(names: Sequence[str]) -> list[str]:
    """Without those that differ from an earlier one only in case: a table cannot have both."""
    kept: dict[str, str] = {}
    for name in names:
        kept.setdefault(name.lower(), name)
    return list(kept.values())


def offered(names: Sequence[str], stream: str = "s") -> tuple[Rows, Stream]:
    rows = pa.table({"id": MEMBERS, **{name: pa.array([f"v {name}", None]) for name in names}})
    return Rows().with_rows(rows), Stream(stream, RowsOptions())


def refused(destination: Destination, names: Sequence[str], target: Table) -> Iterator[tuple[str, DataflowError]]:
    """Those of ``names`` that cannot be columns, each with its error; the others were loaded together, or in halves."""
    try:
        load_from(*offered(names), destination, target)
    except DataflowError as error:
        if len(names) == 1:
            yield names[0], error
            return
        half = len(names) // 2
        yield from refused(destination, names[:half], Table(target.schema, f"{target.name}0"))
        yield from refused(destination, names[half:], Table(target.schema, f"{target.name}1"))


@pytest.mark.timeout(600)
def test_as_columns(arrival: Arrival) -> None:
    names = [name for name in distinct(NAMES) if name.lower() != "id"]
    short = [name for name in names if name and len(name.encode()) <= arrival.destination.facts.identifier_limit]
    long = [name for name in names if name and name not in short]
    long = long or ["x" * (arrival.destination.facts.identifier_limit + 1)]
    found = dict(refused(arrival.destination, short, Table("names", "wide")))
    # Columns every table of the server has of its own.
    taken = {"ctid", "xmin", "tableoid"} if arrival.title == "PostgreSQL" else set()
    assert set(found) <= taken | {"rowid"}, {name: str(error) for name, error in found.items()}
    for name in long[:2]:
        with pytest.raises(DataflowError):
            load_from(*offered([name]), arrival.destination, Table("names", "refused"))


def test_loaded_columns_hold_their_own_values(arrival: Arrival) -> None:
    limit = arrival.destination.facts.identifier_limit
    names = [name for name in distinct(NAMES) if name.lower() not in TAKEN and len(name.encode()) <= limit]
    target = Table("names", "all")
    for _ in (1, 2):
        load_from(*offered(names), arrival.destination, target)
    columns = arrival.columns(target)
    assert list(columns) == ["id", *names]
    for name in OURS:
        if name in columns:
            assert arrival.values(target, name, columns[name], "text") == [f"v {name}"] * 2 + [None] * 2


def test_as_tables_schemas_and_streams(arrival: Arrival) -> None:
    """One load a name, in all three roles; a name that is no schema's is tried as a table's alone."""
    limit = arrival.destination.facts.identifier_limit
    # The database file of the test is called matrix; PostgreSQL keeps pg_ for itself.
    engines = {"information_schema", "temp", "system"}
    own = {"pg_catalog"} | {"PostgreSQL": set(), "DuckDB": engines | {"matrix"}}.get(arrival.title, engines)
    for name in FEW:
        target = Table(name, name)
        if name in own or len(name.encode()) > limit:
            with pytest.raises(DataflowError):
                load_from(*offered(["v"], stream=name), arrival.destination, target)
            target = Table("names", name)
        if len(name.encode()) > limit:
            with pytest.raises(DataflowError):
                load_from(*offered(["v"]), arrival.destination, target)
            continue
        load_from(*offered(["v"], stream=name), arrival.destination, target)
        assert arrival.values(target, "v", arrival.columns(target)["v"], "text") == ["v v", None]


def test_columns_that_differ_only_in_case(postgres_server: PostgresServer, database: str, tmp_path: Path) -> None:
    postgres_server.execute('CREATE TABLE alike (id int, a int, "A" int); CREATE TABLE empty ()', database)
    source = Postgres(
        host="127.0.0.1", port=postgres_server.port, database=database, user="postgres",
        password=postgres_server.password,
    )  # fmt: skip
    arrival = ARRIVALS["DuckDB"](tmp_path, postgres_server, database)
    for table, code in (("alike", "postgres.columns"), ("empty", "postgres.columns")):
        with pytest.raises(ConfigError) as caught:
            load_from(source, Stream(table, PostgresStream(table=table)), arrival.destination, Table("names", table))
        assert caught.value.code == code


@pytest.mark.parametrize("other", [Table("Alike", "orders"), Table("alike", "Orders")])
def test_tables_that_differ_only_in_case_are_two_or_the_second_is_refused(arrival: Arrival, other: Table) -> None:
    first = Table("alike", "orders")
    load_from(*offered(["first"]), arrival.destination, first)
    if arrival.title == "PostgreSQL":
        load_from(*offered(["second"]), arrival.destination, other)
        assert list(arrival.columns(other)) == ["id", "second"]
    else:
        with pytest.raises(ConfigError, match="differs only in case") as caught:
            load_from(*offered(["second"]), arrival.destination, other)
        assert caught.value.code in ("duckdb.alike", "lake.alike")
    assert list(arrival.columns(first)) == ["id", "first"]
    # Small and capital letters beyond ASCII are letters of their own everywhere.
    for name in ("ä", "Ä"):
        load_from(*offered([name]), arrival.destination, Table("alike", name))
        assert list(arrival.columns(Table("alike", name))) == ["id", name]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_names_of_files_columns_arrive_as_they_are(tmp_path: Path, ending: str, arrival: Arrival) -> None:
    import csv
    import json

    limit = arrival.destination.facts.identifier_limit
    # DuckDB leaves the blanks round a name of a CSV file out, and takes no line break in one.
    known = [name.strip() for name in NAMES if "\n" not in name] if ending == "csv" else NAMES
    names = [
        name for name in distinct(known)
        if name.strip() and name.lower() not in TAKEN and len(name.encode()) <= limit
    ]  # fmt: skip
    path = tmp_path / f"a.{ending}"
    values = [f"v {name}" for name in names]
    if ending == "parquet":
        pq.write_table(pa.table({"id": [1], **dict(zip(names, ([value] for value in values), strict=True))}), path)
    elif ending == "jsonl":
        path.write_text(json.dumps({"id": 1, **dict(zip(names, values, strict=True))}) + "\n")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["id", *names], ["1", *values]])
    target = Table("names", f"from_{ending}")
    load_from(Files(root=str(tmp_path)), Stream("a", FilesStream(path=path.name)), arrival.destination, target)
    columns = arrival.columns(target)
    assert list(columns) == ["id", *names]
    for name in OURS:
        if name in columns:
            assert arrival.values(target, name, columns[name], "text") == [f"v {name}"]


def test_no_column_at_all_is_refused(arrival: Arrival) -> None:
    with pytest.raises((ConfigError, DataError)):
        load_from(Rows().with_rows(pa.table({})), Stream("s", RowsOptions()), arrival.destination, Table("names", "no"))
