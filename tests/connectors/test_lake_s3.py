"""A lake on an S3-compatible store: moto's server, which checks no credentials and no rights."""

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
from botocore.exceptions import EndpointConnectionError
from deltalake import DeltaTable

from dataflow_platform.connectors._lake.s3 import S3Store
from dataflow_platform.connectors._lake.s3_errors import meaning
from dataflow_platform.connectors._lake.writing import PendingFiles
from dataflow_platform.connectors.delta import Delta
from dataflow_platform.connectors.delta.source import DeltaStream
from dataflow_platform.core import registry
from dataflow_platform.core.base import Destination, State, Stream
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from tests.engine.test_line import ONE, TWO, make, run, table
from tests.fixtures.lake import everything
from tests.reliability import workload

FORMATS = ["delta", "parquet_dataset"]
KEY = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "hunter2/secret"}


@pytest.fixture
def client(s3_endpoint: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=s3_endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"lake-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    return name


def lake(kind: str, endpoint: str, path: str, **fields: Any) -> Destination:
    return registry.destination(kind)(path=path, endpoint=endpoint, **KEY, **fields)


@pytest.fixture(params=FORMATS)
def warehouse(request: pytest.FixtureRequest, s3_endpoint: str, bucket: str) -> Destination:
    return lake(request.param, s3_endpoint, f"s3://{bucket}/a prefix/ä")


def keys(client: Any, bucket: str) -> list[str]:
    return [found["Key"] for found in client.list_objects_v2(Bucket=bucket).get("Contents", ())]


def test_two_loads_leave_what_they_leave_on_a_folder(s3_endpoint: str, bucket: str, tmp_path: Path) -> None:
    found = []
    for place in ({"path": str(tmp_path / "lake")}, {"path": f"s3://{bucket}/x", "endpoint": s3_endpoint, **KEY}):
        where = {"type": "delta", **place}
        workload.load(where, "merge", 0)
        workload.load(where, "merge", 1)
        found.append(everything(workload.destination(where)))
    assert found[0] == found[1]
    options = {"AWS_ENDPOINT_URL": s3_endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    options |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    theirs = DeltaTable(f"s3://{bucket}/x/raw/t", storage_options=options)
    assert Counter(duckdb.from_arrow(theirs.to_pyarrow_table()).fetchall()) == Counter(found[0]["rows"])
    source = Delta(path=f"s3://{bucket}/x", endpoint=s3_endpoint, **KEY)
    assert source.discover() == ["raw/t"]
    with duckdb.connect() as connection:
        rows = source.scan(connection, Stream("t", DeltaStream(table="raw/t")), State()).relation.fetchall()
    assert Counter(rows) == Counter(found[0]["rows"])


def test_a_committed_load_id_is_a_no_op(warehouse: Destination) -> None:
    run(warehouse, "append", ONE)
    assert run(warehouse, "append", TWO).rows_loaded == 2
    assert len(table(warehouse)) == 2


def test_of_two_writers_the_later_publishes_nothing(warehouse: Destination, client: Any, bucket: str) -> None:
    run(warehouse, "append", ONE)
    first, second = stage(make(warehouse, "append", TWO, "2")), stage(make(warehouse, "append", TWO, "3"))
    publish(first)
    before = keys(client, bucket)
    with pytest.raises(TransientError, match=r"lake\.overtaken"):
        publish(second)
    assert len(table(warehouse)) == 5
    assert keys(client, bucket) == before


def test_partitions_with_any_text(s3_endpoint: str, bucket: str) -> None:
    warehouse = lake("delta", s3_endpoint, f"s3://{bucket}", partition_by={"t": ["v"]})
    run(warehouse, "append", [{"id": n, "at": n, "v": text} for n, text in enumerate(["a b", "ä/=%+&", None, "🛩"])])
    run(warehouse, "merge", [{"id": 0, "at": 9, "v": "moved"}], "2", cursor="at")
    assert {value for (value,) in table(warehouse, "SELECT v FROM raw.t")} == {"moved", "ä/=%+&", None, "🛩"}


def test_the_answer_to_the_commit_is_lost(warehouse: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    put = S3Store.put_if_absent

    def lost(self: S3Store, path: str, content: bytes, draft: str) -> bool:
        put(self, path, content, draft)
        with self._told():
            raise EndpointConnectionError(endpoint_url="http://store")

    load = stage(make(warehouse, "append", ONE))
    monkeypatch.setattr(S3Store, "put_if_absent", lost)
    assert publish(load).rows_loaded == 2
    monkeypatch.undo()
    assert len(table(warehouse)) == 2


def test_the_commit_and_the_question_for_it_are_lost(
    warehouse: Destination, monkeypatch: pytest.MonkeyPatch, client: Any, bucket: str
) -> None:
    put = S3Store.put_if_absent

    def unreachable(self: S3Store, *_: object) -> bool:
        with self._told():
            raise EndpointConnectionError(endpoint_url="http://store")

    def lost(self: S3Store, path: str, content: bytes, draft: str) -> bool:
        put(self, path, content, draft)
        monkeypatch.setattr(S3Store, "read", unreachable)
        return unreachable(self)

    load = stage(make(warehouse, "append", ONE))
    monkeypatch.setattr(S3Store, "put_if_absent", lost)
    with pytest.raises(TransientError, match=r"s3\.unreachable"):
        publish(load)
    monkeypatch.undo()
    # It was committed: its files must be there, and a rerun finds its id. The next load clears the marker away.
    assert len(table(warehouse)) == 2
    assert run(warehouse, "append", ONE).rows_loaded == 2
    run(warehouse, "append", TWO, "2")
    assert len(table(warehouse)) == 5
    assert not [key for key in keys(client, bucket) if "pending" in key]


def test_files_of_a_killed_load_go_with_the_next_one(
    warehouse: Destination, monkeypatch: pytest.MonkeyPatch, client: Any, bucket: str
) -> None:
    run(warehouse, "append", ONE)
    before = set(keys(client, bucket))
    load = stage(make(warehouse, "append", TWO, "2"))
    with monkeypatch.context() as patch:
        # A killed process removes nothing and sends no commit.
        patch.setattr(PendingFiles, "discard", lambda _: None)
        patch.setattr(S3Store, "put_if_absent", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(load)
    left = set(keys(client, bucket)) - before
    assert any("pending" in key for key in left)
    run(warehouse, "append", TWO, "2")
    assert not left & set(keys(client, bucket))
    assert len(table(warehouse)) == 5


def test_a_store_without_conditional_puts_is_refused(warehouse: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    def overwrites(self: S3Store, path: str, content: bytes, draft: str) -> bool:
        self.put(path, content)
        return True

    monkeypatch.setattr(S3Store, "put_if_absent", overwrites)
    with pytest.raises(ConfigError, match=r"s3\.no_conditional_put"):
        stage(make(warehouse, "append", ONE))


def test_no_bucket_and_nobody_there(s3_endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"s3\.no_bucket") as caught:
        run(lake("delta", s3_endpoint, "s3://nobody-made-it/x"), "append", ONE)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(TransientError, match=r"s3\.unreachable") as gone:
        run(lake("delta", "http://127.0.0.1:9", "s3://bucket/x"), "append", ONE)
    assert "hunter2" not in str(gone.value)
    with pytest.raises(ConfigError, match=r"lake\.path"):
        lake("delta", s3_endpoint, "s3://").session()


def test_no_key_anywhere(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"s3\.no_credentials"):
        registry.destination("delta")(path="s3://b/x", endpoint=s3_endpoint).session()


# moto accepts every key: what stores answer to a wrong one is told from their documented words alone.
ANSWERS = {
    "An error occurred (InvalidAccessKeyId) when calling the PutObject operation": "s3.credentials",
    "An error occurred (SignatureDoesNotMatch) when calling the PutObject operation": "s3.credentials",
    "An error occurred (AccessDenied) when calling the ListObjectsV2 operation": "s3.access_denied",
    "HTTP Error: HTTP GET error on 'http://store/b/x' (HTTP 403)": "s3.access_denied",
    "An error occurred (SlowDown) when calling the PutObject operation": "s3.busy",
    "An error occurred (PermanentRedirect) when calling the GetObject operation": "s3.region",
    "An error occurred (NotImplemented) when calling the PutObject operation": "s3.not_implemented",
}


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_of_stores(text: str) -> None:
    found = meaning(RuntimeError(text), text, "s3://b", "b")
    assert isinstance(found, DataflowError)
    assert found.code == ANSWERS[text]


def test_an_error_of_somebody_else_is_not_the_stores() -> None:
    assert meaning(RuntimeError("column 500 is bad"), "Conversion Error: 'a' is no number", "s3://b", "b") is None
