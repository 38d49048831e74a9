"""Invariant 7: of 1,000 values that steps mask none is anywhere on disk, whatever becomes of the load."""

import json
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.files import FilesStream
from dataflow_platform.connectors.postgres import Postgres
from dataflow_platform.connectors.rest import Rest
from dataflow_platform.core import masking, registry
from dataflow_platform.core.base import Destination, Stream
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError
from dataflow_platform.demo.environment import free_ports
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine import quarantine, replay
from dataflow_platform.engine.contract import Contract
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.masking import LEFT_OUT, encrypt_spills
from dataflow_platform.engine.stage import stage
from tests.fixtures import masked_loads, planted
from tests.fixtures.masked_loads import KEY, Made, load
from tests.fixtures.rest_api import Stub, reply
from tests.reliability import processes

SYSTEM = tempfile.gettempdir()
"""Where pytest's own folders are closed to other users, and root's server runs as nobody."""
KINDS = ["duckdb", "postgres", "delta", "parquet_dataset"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that no planted value is given to: its folder, logs and WAL may hold none."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-masked-", dir=SYSTEM))
    folder.chmod(0o755)
    server = PostgresServer(folder, free_ports(1)[0], "masked", folder / "server.log", ("log_statement=all",))
    try:
        process = server.start()
        try:
            yield server
        finally:
            server.stop(process)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Where sources lie: the only place with planted values."""
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where everything else is written, temporary files among it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    if kind != "postgres":
        return {}
    cluster: PostgresServer = request.getfixturevalue("cluster")
    cluster.execute("DROP SCHEMA IF EXISTS raw CASCADE")
    return {"host": "127.0.0.1", "port": cluster.port, "database": "postgres", "user": "postgres", "password": "masked"}


@pytest.fixture
def everything(kind: str, home: Path, request: pytest.FixtureRequest) -> Callable[[], dict[str, list[str]]]:
    """Searches all that is on disk but the sources."""

    def search() -> dict[str, list[str]]:
        if kind != "postgres":
            return planted.search(home)
        cluster: PostgresServer = request.getfixturevalue("cluster")
        cluster.execute("CHECKPOINT")
        return planted.search(home, cluster.folder)

    return search


def postgres_rows(server: PostgresServer) -> Made:
    columns = list(planted.rows()[0])
    server.execute("DROP TABLE IF EXISTS planted")
    server.execute(
        "CREATE TABLE planted (id int, email text, name text, iban text, phone bigint, amount text, city text)"
    )
    rows = json.dumps(planted.rows())
    server.execute(
        f"INSERT INTO planted SELECT {', '.join(columns)} FROM json_populate_recordset(NULL::planted, '{rows}')"
    )
    source = Postgres(
        host="127.0.0.1", port=server.port, database="postgres", user="postgres", password=server.password
    )
    return source, Stream("rows", Postgres.StreamOptions.model_validate({"table": "planted"}))


def rest_rows(stub: Stub) -> Made:
    stub.on("/rows", lambda seen: planted.rows())
    return Rest(base_url=stub.url), Stream("rows", Rest.StreamOptions.model_validate({"path": "rows"}))


def bad_rows(into: Destination, stream: str = "rows", limit: int = 1000) -> list[dict[str, Any]]:
    session = into.session()
    try:
        return quarantine.rows_of(session, "raw", "p", stream, limit)
    finally:
        session.close()


@pytest.mark.parametrize("kind", KINDS)
def test_no_planted_value_is_on_disk(
    kind: str, inbox: Path, home: Path, server: dict[str, Any], everything: Any,
    postgres_server: PostgresServer, stub: Stub,
) -> None:  # fmt: skip
    into = masked_loads.destination(kind, home, **server)
    made = {name: make(inbox) for name, make in masked_loads.SOURCES.items()}
    made |= {"postgres": postgres_rows(postgres_server), "rest": rest_rows(stub)}
    tokens = set()
    for name, each in made.items():
        record = publish(stage(load(each, into, f"from_{name}")))
        assert (record.rows_read, record.rows_quarantined) == (planted.COUNT, len(planted.BAD)), name
        assert record.rows_loaded == planted.COUNT - len(planted.BAD)
        with into.reader() as reader:
            tokens.add(str(reader.execute(f"SELECT email, phone FROM raw.from_{name} ORDER BY id").fetchall()))
            iban, fake = reader.execute(f"SELECT min(iban), count(DISTINCT name) FROM raw.from_{name}").fetchall()[0]
            # 'DE' + 'qzplant' + four digits are hidden, eight are left and four of them shown.
            assert iban == "*" * 17 + "0532"
            assert fake > 150
    # The same values have the same hashes and tokens wherever they come from.
    assert len(tokens) == 1
    assert everything() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_rows_are_kept_masked_with_their_place(
    kind: str, inbox: Path, home: Path, server: dict[str, Any], everything: Any
) -> None:
    into, made = masked_loads.destination(kind, home, **server), masked_loads.csv_rows(inbox)
    publish(stage(load(made, into, "t")))
    kept = {int(row["values"]["id"]): row for row in bad_rows(into)}
    assert sorted(kept) == planted.BAD
    for number, row in kept.items():
        # The header is line 1.
        assert row["position"] == {"file": "rows.csv", "line": number + 2}
        assert row["values"]["email"] == masking.hashed(KEY)(planted.rows()[number]["email"])
        assert sorted(row["source"]) == ["amount", "city", "id"]
        assert "its clear value is not kept: read them again from the source" in row["cannot_be_replayed"]
    done = replay.replay(load(made, into, "t"), replay.Selection(), "test")
    assert (done.loaded, done.selected) == (0, len(planted.BAD))
    assert everything() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_contract_sets_aside_is_masked(
    kind: str, inbox: Path, home: Path, server: dict[str, Any], everything: Any
) -> None:
    into = masked_loads.destination(kind, home, **server)
    made = masked_loads.arrow_rows(inbox)
    publish(stage(load(made, into, "t")))
    steps = masked_loads.steps((*masked_loads.STEPS, ("derive", {"extra": "if(id < 8, email, NULL)"})))
    record = publish(stage(load(made, into, "t", steps=steps, contract=Contract(new_columns="quarantine"))))
    # Beside those that are bad anyway: 1 to 7.
    assert record.rows_quarantined == len(planted.BAD) + 7
    assert everything() == {}


def broken_csv(folder: Path, line: str, columns: dict[str, str] | None = None) -> Made:
    source, _ = masked_loads.csv_rows(folder)
    with (folder / "rows.csv").open("a") as file:
        file.write(line + "\n")
    return source, Stream("rows", FilesStream(path="rows.csv", columns=columns or {}))


def broken_json(folder: Path, line: str) -> Made:
    made = masked_loads.json_rows(folder)
    with (folder / "rows.jsonl").open("a") as file:
        file.write(line + "\n")
    return made


MASK = ("mask", {"key": KEY, "columns": planted.MASKS})
FAILING: dict[str, Callable[[Path], tuple[Made, dict[str, Any]]]] = {
    "a strict cast": lambda inbox: (
        masked_loads.csv_rows(inbox), {"steps": masked_loads.steps([("cast", {"email": "integer"}), MASK])}
    ),
    "a cast of a stream that passes once": lambda inbox: (
        masked_loads.arrow_rows(inbox), {"steps": masked_loads.steps([("cast", {"name": "date"}), MASK])}
    ),
    "an expression": lambda inbox: (
        masked_loads.json_rows(inbox),
        {"steps": masked_loads.steps([("filter", "CAST(iban AS BIGINT) > 0"), MASK])},
    ),
    "a value that is none of its type": lambda inbox: (
        broken_csv(inbox, "250,qzplantx@y.z,n,i,qzplant,1,Bonn", {"phone": "bigint"}), {}
    ),
    "a line with too many fields": lambda inbox: (broken_csv(inbox, "250,qzplantx@y.z,n,i,7,1,Bonn,qzplant"), {}),
    "an open quote": lambda inbox: (broken_csv(inbox, '250,"qzplantx@y.z,n,i,7,1,Bonn'), {}),
    "a line that is no JSON": lambda inbox: (broken_json(inbox, '{"id": 250, "email": "qzplantx@y.z'), {}),
    "a check that blocks": lambda inbox: (
        masked_loads.csv_rows(inbox), {"checks": [registry.check("unique").model_validate({"columns": ["city"]})]}
    ),
}  # fmt: skip


def test_a_merge_by_a_masked_key(inbox: Path, home: Path) -> None:
    """Hashed keys find their rows again; keys that would become equal are refused before anything is read."""
    into = masked_loads.destination("duckdb", home)
    source, stream = masked_loads.arrow_rows(inbox)
    made = source, replace(stream, primary_key=("email",))
    merge: dict[str, Any] = {"strategy": registry.load_strategy("merge")(), "strategy_name": "merge"}
    for rows in (planted.COUNT - len(planted.BAD), 0):
        assert publish(stage(load(made, into, "t", **merge))).rows_inserted == rows
    for written, key in (
        ([("mask", {"email": "partial"})], "email"),
        ([("mask", {"email": "redact"}), ("rename", {"email": "e"})], "e"),
    ):
        made = source, replace(stream, primary_key=(key,))
        with pytest.raises(ConfigError) as caught:
            stage(load(made, into, "other", **merge, steps=masked_loads.steps(written)))
        assert caught.value.code == "mask.primary_key"
    assert planted.search(home) == {}


def test_errors_of_servers_tell_no_planted_value(
    inbox: Path, home: Path, postgres_server: PostgresServer, stub: Stub
) -> None:
    source, _ = postgres_rows(postgres_server)
    query = {"query": "SELECT id, email::int AS email, name, iban, phone FROM planted"}
    stub.on("/rows", lambda seen: reply(200, b"<html>qzplant is not JSON</html>"))
    steps = masked_loads.steps([MASK])
    for made in (
        (source, Stream("rows", Postgres.StreamOptions.model_validate(query))),
        (Rest(base_url=stub.url), Stream("rows", Rest.StreamOptions.model_validate({"path": "rows"}))),
    ):
        with pytest.raises(DataflowError) as caught:
            publish(stage(load(made, masked_loads.destination("duckdb", home), "t", steps=steps, checks=[])))
        told = "".join("".join(traceback.format_exception(each)) for each in chain(caught.value))
        assert planted.planted_in(told.encode()) == []
        assert LEFT_OUT in told
    assert planted.search(home) == {}


def test_without_encryption_nothing_is_read(inbox: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> str:
        raise ConfigError("x", "no wheel, no network", fix="install it")

    monkeypatch.setattr("dataflow_platform.engine.masking.load_extension", absent)
    with pytest.raises(ConfigError, match="nothing is there to encrypt them") as caught:
        stage(load(masked_loads.csv_rows(inbox), masked_loads.destination("duckdb", home), "t"))
    assert caught.value.code == "mask.spill"


def test_an_engine_that_spilled_unencrypted_takes_no_clear_values(home: Path) -> None:
    """Another load of the process may share it: DuckDB encrypts all of its spilled files or none."""
    settings: dict[str, Any] = {"memory_limit": "20MB", "threads": 1, "temp_directory": str(home / "spill")}
    with duckdb.connect(config=settings) as engine:
        engine.execute("CREATE TEMP TABLE much AS SELECT md5(range::VARCHAR) AS text FROM range(2000000)")
        assert list((home / "spill").iterdir())
        with pytest.raises(TransientError, match="has spilled unencrypted"):
            encrypt_spills(engine)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all it was raised from, shown or not."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("failing", FAILING)
def test_a_failing_load_tells_no_planted_value(failing: str, inbox: Path, home: Path) -> None:
    made, changed = FAILING[failing](inbox)
    with pytest.raises(DataflowError) as caught:
        publish(stage(load(made, masked_loads.destination("duckdb", home), "t", **changed)))
    told = "".join(
        str(each) + repr(each.args) + "".join(traceback.format_exception(each)) for each in chain(caught.value)
    )
    assert planted.planted_in(told.encode()) == []
    assert LEFT_OUT in told or failing == "a check that blocks"
    assert caught.value.fix
    assert planted.search(home) == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ["staged", "record_written"])
@pytest.mark.kill
def test_a_killed_load_leaves_no_planted_value(
    kind: str, point: str, inbox: Path, home: Path, server: dict[str, Any], everything: Any
) -> None:
    was_killed, _ = processes.fork(masked_loads.killed, ("csv", kind, inbox, home, server, {"point": point}))
    assert was_killed
    assert everything() == {}


@pytest.mark.kill
def test_what_is_spilled_is_encrypted(inbox: Path, home: Path) -> None:
    """400,000 rows of about 100 bytes that pass once do not fit into 30 MB; the process is killed while they wait."""
    fields = {"point": "landed", "repeats": 1600, "memory_limit": "30MB", "threads": 1}
    was_killed, _ = processes.fork(masked_loads.killed, ("arrow", "duckdb", inbox, home, {}, fields))
    assert was_killed
    spilled = [file for file in home.rglob("*.tmp") if "spill" in str(file)]
    assert sum(file.stat().st_size for file in spilled) > 1_000_000
    assert planted.search(home) == {}
