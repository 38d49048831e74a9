"""The Pinot source on a stub of broker and controller: types, pages, filters, and answers that are not whole."""

import base64
import datetime as dt
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.pinot import Pinot
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.core.predicate import Predicate
from tests.fixtures.certificates import certificates
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.pinot_stub import PinotStub, pinot_stub
from tests.fixtures.sqlite_shop import rows, stream

MILLISECONDS = 1_583_020_799_123  # 2020-02-29 23:59:59.123 UTC, by `date -d @1583020799 -u`
ORDERS = 2_500  # three pages: the first of 1,000, and one that holds the rest, which is asked for 4,000


@pytest.fixture
def stub() -> Iterator[PinotStub]:
    with pinot_stub() as running:
        running.table(
            "orders", {"id": "LONG", "at": "TIMESTAMP", "code": "STRING"},
            f"SELECT i, i * 60000, 'k' || i FROM range({ORDERS}) t(i)",
        )  # fmt: skip
        yield running


def pinot(stub: PinotStub, **given: Any) -> Pinot:
    return Pinot(**{"host": "127.0.0.1", "port": stub.port, "controller_port": stub.port, "tls": False} | given)


def read(source: Pinot, engine: duckdb.DuckDBPyConnection, wanted: Stream, state: State | None = None) -> list[Any]:
    return rows(source.scan(engine, wanted, state or State()))


@pytest.mark.evidence("pinot", "source", "own_stub")
def test_every_type(stub: PinotStub, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst) -> None:
    columns = {
        "i": "INT", "l": "LONG", "f": "FLOAT", "d": "DOUBLE", "n": "BIG_DECIMAL", "b": "BOOLEAN", "t": "TIMESTAMP",
        "s": "STRING", "j": "JSON", "y": "BYTES", "many": "LONG_ARRAY", "select": "STRING",
    }  # fmt: skip
    stub.table(
        "types", columns,
        "VALUES (-2147483648, 9223372036854775807, 0.1, 0.30000000000000004, "
        f"'1234567890123456789012345678.0123456789', true, {MILLISECONDS}, '', "
        "'{\"a\": 1.10}', '\\x00\\xFF'::BLOB, [1, 9007199254740993], 'naïve'), "
        "(NULL, NULL, 'NaN', '-Infinity', NULL, NULL, NULL, NULL, NULL, NULL, [], NULL)",
    )  # fmt: skip
    source = pinot(stub)
    scan = source.scan(engine, stream("types"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {
        "i": "INTEGER", "l": "BIGINT", "f": "FLOAT", "d": "DOUBLE", "n": "VARCHAR", "b": "BOOLEAN",
        "t": "TIMESTAMP WITH TIME ZONE", "s": "VARCHAR", "j": "JSON", "y": "BLOB", "many": "JSON", "select": "VARCHAR",
    }  # fmt: skip
    full, empty = sorted(rows(scan, 'i, l, f::VARCHAR, d, n, b, epoch_ms(t), s, j, y, many, "select"'), key=str)
    assert full == (
        -(2**31), 2**63 - 1, "0.1", 0.30000000000000004, "1234567890123456789012345678.0123456789", True,
        MILLISECONDS, "", '{"a": 1.10}', b"\x00\xff", "[1,9007199254740993]", "naïve",
    )  # fmt: skip
    assert empty == (None, None, "nan", -math.inf, None, None, None, None, None, None, "[]", None)
    ran_against(source, "a stub of ours")


@pytest.mark.evidence("pinot", "source", "own_stub")
def test_every_row_page_by_page(stub: PinotStub, engine: duckdb.DuckDBPyConnection, ran_against: RanAgainst) -> None:
    source = pinot(stub)
    scan = source.scan(engine, stream("orders"), State())
    # 0 + ... + 2,499; the stub answers ten rows where the SELECT has no LIMIT.
    assert rows(scan, "count(*), sum(id), max(\"at\")") == [
        (2_500, 3_123_750, dt.datetime(1970, 1, 2, 17, 39, tzinfo=dt.UTC)),
    ]  # fmt: skip
    # Twice what was counted, and room for as many as may come meanwhile.
    assert stub.sql() == [
        'SELECT count(*) FROM "orders" LIMIT 1',
        'SELECT "id", "code", CAST("at" AS BIGINT) FROM "orders" LIMIT 105000',
    ]
    asked = [(method, path.partition("?")) for method, path, _ in stub.asked[-3:]]
    assert [(method, path[2]) for method, path in asked] == [
        ("POST", "getCursor=true&numRows=1000"), ("GET", "offset=1000&numRows=4000"), ("DELETE", ""),
    ]  # fmt: skip
    assert stub.results == {}
    ran_against(source, "a stub of ours")


def test_whole_numbers_are_filtered_by_the_broker(stub: PinotStub, engine: duckdb.DuckDBPyConnection) -> None:
    source = pinot(stub)
    found = read(source, engine, stream("orders", "id", columns=("id", "at")), State("2498"))
    assert [each[0] for each in found] == [2_498, 2_499]
    assert stub.sql()[-1] == 'SELECT "id", CAST("at" AS BIGINT) FROM "orders" WHERE "id" >= 2498 LIMIT 100004'
    kept = Stream(
        name="orders",
        options=stream("orders").options,
        keeps=(Predicate("id", "<", (3,)), Predicate("code", "=", ("k1",)), Predicate("at", "is not null", ())),
    )
    assert len(read(source, engine, kept)) == 3  # of texts and times the engine judges
    assert stub.sql()[-1].endswith('WHERE "id" < 3 AND "at" IS NOT NULL LIMIT 100006')
    # A cursor of another type: every row is read, and the engine filters.
    assert len(read(source, engine, stream("orders", "at"), State("2020-01-01 00:00:00+00"))) == ORDERS


def test_a_query(stub: PinotStub, engine: duckdb.DuckDBPyConnection) -> None:
    asked = stream(query="SELECT id % 2 AS odd, count(*) AS n FROM orders GROUP BY 1 -- halves", cursor="n")
    assert read(pinot(stub), engine, asked, State("1")) == [(0, 1_250), (1, 1_250)]
    assert all("useMultistageEngine=true" in body["queryOptions"] for method, _, body in stub.asked if body)
    assert all("enableNullHandling=true" in body["queryOptions"] for method, _, body in stub.asked if body)
    schema = {"columnNames": ["id", "ID"], "columnDataTypes": ["LONG", "LONG"]}
    stub.change = _changed("question", resultTable={"dataSchema": schema, "rows": []})
    with pytest.raises(ConfigError, match="two columns"):
        read(pinot(stub), engine, stream(query="SELECT id, code AS ID FROM orders"))


def test_an_empty_table(stub: PinotStub, engine: duckdb.DuckDBPyConnection) -> None:
    stub.table("empty", {"id": "LONG"}, "SELECT 1 WHERE false")
    scan = pinot(stub).scan(engine, stream("empty"), State())
    assert [str(kind) for kind in scan.relation.types] == ["BIGINT"]
    assert rows(scan) == []


def test_catalogue(stub: PinotStub) -> None:
    source = pinot(stub)
    assert source.discover() == ["orders"]
    (told,) = source.catalogue()
    assert [(column.name, column.type) for column in told.columns] == [
        ("id", "long"), ("code", "string"), ("at", "timestamp"),
    ]  # fmt: skip
    assert source.test_connection() == f"1 tables in Apache Pinot at http://127.0.0.1:{stub.port}"


def test_what_is_not_there(stub: PinotStub, engine: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ConfigError, match="did you mean 'orders'"):
        read(pinot(stub), engine, stream("order"))
    stub.table("odd", {"id": "LONG", "when": "TIMESTAMP_ARRAY"}, "SELECT 1, [1]")
    with pytest.raises(ConfigError, match=r"when \(timestamp_array\)"):
        read(pinot(stub), engine, stream("odd"))
    stub.schemas["orders"]["code"] = "LONG"  # the schema was altered, the rows were not
    with pytest.raises(DataError, match="column 'code'"):
        read(pinot(stub), engine, stream("orders"))


def _failing(code: int) -> Any:
    return lambda step, answer: answer | {"exceptions": [{"errorCode": code, "message": "told\nby Pinot"}]}


def _changed(wanted: str, **said: Any) -> Any:
    return lambda step, answer: answer | said if step == wanted else answer


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        (_failing(150), ConfigError, "sql.query"),
        (_failing(180), ConfigError, "sql.permission"),
        (_failing(200), ConfigError, "sql.failed"),
        (_failing(427), TransientError, "pinot.partial"),
        (_failing(99_999), TransientError, "pinot.partial"),
        (_changed("count", numServersResponded=1), TransientError, "pinot.partial"),
        (_changed("select", numServersResponded=1), TransientError, "pinot.partial"),
        (_changed("select", partialResult=True), TransientError, "pinot.partial"),
        (_changed("select", numGroupsLimitReached=True), TransientError, "pinot.partial"),
        (_changed("select", maxRowsInJoinReached=True), TransientError, "pinot.partial"),
        (_changed("count", resultTable={"rows": [[ORDERS + 1]]}), TransientError, "pinot.result"),
        (_changed("select", brokerHost=None), TransientError, "pinot.result"),
        (_changed("page", brokerHost="broker-2"), TransientError, "pinot.result"),
        (_changed("page", offset=0), TransientError, "pinot.result"),
        (_changed("page", numRowsResultSet=ORDERS + 1), TransientError, "pinot.result"),
        (_changed("page", resultTable=None), TransientError, "pinot.result"),
        (_changed("page", exceptions=[{"errorCode": 450, "message": ""}]), TransientError, "pinot.partial"),
        (lambda step, answer: None if step == "page" else answer, TransientError, "pinot.result"),
        (lambda step, answer: 0 if step == "page" else answer, TransientError, "sql.lost"),
        (lambda step, answer: b"<html>" if step == "page" else answer, TransientError, "pinot.answer"),
        (lambda step, answer: 503, TransientError, "pinot.refused"),
        (lambda step, answer: 429, TransientError, "pinot.refused"),
        (lambda step, answer: 400, ConfigError, "pinot.refused"),
        (lambda step, answer: None, ConfigError, "pinot.refused"),
        (lambda step, answer: 403, ConfigError, "sql.permission"),
    ],
)
def test_an_answer_that_is_not_whole_is_never_taken_for_all(
    stub: PinotStub, engine: duckdb.DuckDBPyConnection, change: Any, kind: type[DataflowError], code: str
) -> None:
    stub.change = change
    with pytest.raises(kind) as caught:
        read(pinot(stub), engine, stream("orders"))
    assert caught.value.code == code


def test_as_many_rows_as_the_limit_are_not_taken_for_all(
    stub: PinotStub, engine: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The table grew from nothing to more than the room that is left for it while it is read.
    stub.change = _changed("count", resultTable={"rows": [[0]]})
    monkeypatch.setattr("dataflow_platform.connectors.pinot.source._ROOM", ORDERS)
    with pytest.raises(TransientError, match="has 2500 rows, where 0 were counted"):
        read(pinot(stub), engine, stream("orders"))


def test_a_connection_that_was_idle_too_long_is_opened_again(
    stub: PinotStub, engine: duckdb.DuckDBPyConnection
) -> None:
    broken: list[str] = []

    def change(step: str, answer: dict[str, Any]) -> Any:
        if step != "page" or broken:
            return answer
        broken.append(step)
        return 0

    stub.change = change
    assert len(read(pinot(stub), engine, stream("orders"))) == ORDERS
    assert broken == ["page"]


def test_a_result_is_taken_away_when_reading_ends_early(stub: PinotStub, engine: duckdb.DuckDBPyConnection) -> None:
    source = pinot(stub)
    columns, statement = source.plan(stream("orders"), State())
    reading = source.reading(source.engine(), statement, columns)
    assert reading.next(1_000) is not None
    assert len(stub.results) == 1
    reading.close()
    reading.close()
    assert stub.results == {}
    assert reading.next(1_000) is None


@pytest.mark.parametrize(
    ("given", "header"),
    [
        ({"user": "reader", "password": "hush/ü"}, "Basic " + base64.b64encode("reader:hush/ü".encode()).decode()),
        ({"token": "hush-hush"}, "Bearer hush-hush"),
    ],
)
def test_login(stub: PinotStub, engine: duckdb.DuckDBPyConnection, given: dict[str, str], header: str) -> None:
    stub.authorization = header
    assert len(read(pinot(stub, **given), engine, stream("orders"))) == ORDERS
    for wrong in ({"user": "reader", "password": "wrong"}, {"token": "wrong"}):
        with pytest.raises(ConfigError, match="you are") as caught:  # the stub repeats the header
            pinot(stub, **wrong).test_connection()
        assert caught.value.code == "sql.login"
        assert not {"wrong", base64.b64encode(b"reader:wrong").decode()} & set(str(caught.value).split())


def test_no_secret_in_what_a_broker_says(stub: PinotStub, engine: duckdb.DuckDBPyConnection) -> None:
    stub.change = lambda step, answer: 503
    with pytest.raises(TransientError, match=r"you are Bearer \*\*\*"):
        read(pinot(stub, token="hush-hush"), engine, stream("orders"))


def test_tls(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> None:
    for name, content in certificates().items():
        (tmp_path / name).write_bytes(content)
    with pinot_stub(tmp_path / "server.pem") as stub:
        stub.table("orders", {"id": "LONG"}, "SELECT 1")
        trusting = pinot(stub, tls=True, ca_file=str(tmp_path / "ca.pem"))
        assert read(trusting, engine, stream("orders")) == [(1,)]
        with pytest.raises(ConfigError) as caught:
            pinot(stub, tls=True).discover()
        assert caught.value.code == "sql.tls"
    with pytest.raises(ConfigError, match="cannot be read"):
        pinot(stub, tls=True, ca_file=str(tmp_path / "none.pem")).discover()


def test_nobody_answers(stub: PinotStub) -> None:
    with pytest.raises(TransientError) as caught:
        pinot(stub, controller_port=1).discover()
    assert caught.value.code == "sql.tcp"
