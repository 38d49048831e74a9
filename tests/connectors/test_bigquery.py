"""The BigQuery source against bqemulator; how to install it: tests/fixtures/bigquery_emulator.py."""

import datetime as dt
import shutil
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.bigquery import BigQuery
from dataflow_platform.core.base import State, Stream, Window
from dataflow_platform.core.catalogue import CatalogueTable, matches
from dataflow_platform.core.errors import ConfigError
from tests.fixtures.bigquery_emulator import Emulator, service_account
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, rows, stream

NEEDED = "needs the command bqemulator, and here pip install 'sqlalchemy-bigquery>=1.12,<2'"
pytest.importorskip("sqlalchemy_bigquery", reason=NEEDED)
COMMAND = shutil.which("bqemulator") or pytest.skip(NEEDED, allow_module_level=True)

FIELDS: dict[str, dict[str, Any]] = {
    "id": {"field_type": "INT64"},
    "price": {"field_type": "NUMERIC"},
    "ratio": {"field_type": "FLOAT64"},
    "yes": {"field_type": "BOOL"},
    "word": {"field_type": "STRING"},
    "odd name": {"field_type": "STRING"},
    "day": {"field_type": "DATE"},
    "clock": {"field_type": "TIME"},
    "wall": {"field_type": "DATETIME"},
    "moment": {"field_type": "TIMESTAMP"},
    "bytes": {"field_type": "BYTES"},
    "doc": {"field_type": "JSON"},
    "many": {"field_type": "INT64", "mode": "REPEATED"},
    "person": {"field_type": "STRUCT", "fields": ("name", "age")},
    "place": {"field_type": "GEOGRAPHY"},
    "span": {"field_type": "INTERVAL"},
}
ROW = {
    "id": "9223372036854775807", "price": "12345678901234567890123456789.123456789", "ratio": 0.1, "yes": True,
    "odd name": "a'b", "day": "2020-02-29", "clock": "12:34:56.500000", "wall": "9999-12-31 23:59:59.999999",
    "moment": "2013-01-01 10:00:00.123456+00", "bytes": "AP8Q", "doc": '{"a": [1, null]}', "many": [1, 2],
    "person": {"name": "x", "age": 5},
}  # fmt: skip
# By hand from the row above.
EXPECTED = {
    "id": ("BIGINT", "9223372036854775807"),
    "price": ("DECIMAL(38,9)", "12345678901234567890123456789.123456789"),
    "ratio": ("DOUBLE", "0.1"),
    "yes": ("BOOLEAN", "true"),
    "word": ("VARCHAR", None),
    "odd name": ("VARCHAR", "a'b"),
    "day": ("DATE", "2020-02-29"),
    "clock": ("TIME", "12:34:56.5"),
    "wall": ("TIMESTAMP", "9999-12-31 23:59:59.999999"),
    "moment": ("TIMESTAMP WITH TIME ZONE", "2013-01-01 10:00:00.123456+00"),
    "bytes": ("BLOB", "\\x00\\xFF\\x10"),
    "doc": ("JSON", '{"a":[1,null]}'),
    "many": ("JSON", "[1,2]"),
    "person": ("JSON", '{"name":"x","age":5}'),
}
# Minute n after 2020-01-01 is row n; 20,000 rows are four of the service's answers.
STATEMENTS = [
    "CREATE TABLE sales.orders AS SELECT id, CONCAT('k', CAST(id AS STRING)) AS code, CAST(id AS NUMERIC) AS price, "
    "CAST(id AS FLOAT64) AS ratio, TIMESTAMP_ADD(TIMESTAMP '2020-01-01 00:00:00+00', INTERVAL id MINUTE) AS seen, "
    "DATETIME_ADD(DATETIME '2020-01-01 00:00:00', INTERVAL id MINUTE) AS wall FROM UNNEST(GENERATE_ARRAY(1, 20000)) "
    "AS id",
    "CREATE VIEW sales.recent AS SELECT id FROM sales.orders WHERE id > 19990",
    "CREATE TABLE archive.empty (id INT64)",
]


def fill(address: str) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    def field(name: str, given: dict[str, Any]) -> Any:
        inner = given.get("fields", ())
        types = {"name": "STRING", "age": "INT64"}
        nested = {"fields": [bigquery.SchemaField(each, types[each]) for each in inner]} if inner else {}
        return bigquery.SchemaField(name, **{**given, **nested})

    client = bigquery.Client(
        project="shop", credentials=AnonymousCredentials(), client_options={"api_endpoint": address}
    )
    # Without these the client would try for ten minutes what the emulator cannot do.
    once: dict[str, Any] = {"retry": None, "timeout": 60}
    client.create_dataset("sales", **once)
    client.create_dataset("archive", **once)
    table = bigquery.Table("shop.sales.types", schema=[field(*each) for each in FIELDS.items()])
    client.create_table(table, **once)
    assert client.insert_rows_json("shop.sales.types", [ROW, {"id": 2}], **once) == []
    for statement in STATEMENTS:
        client.query(statement, job_retry=None, **once).result(job_retry=None, **once)
    client.close()


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator(COMMAND)


@pytest.fixture(scope="module")
def server(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQuery]:
    """The emulator stands where the variable of Google's own client leads; the rest is the connector's own way."""
    home = tmp_path_factory.mktemp("bqemulator")
    with (
        emulator.running(home) as address,
        service_account(home / "account.json") as account,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("BIGQUERY_EMULATOR_HOST", address)
        # Of a service account Google's library asks in the background, on the internet, where it may be used.
        where_allowed = "google.auth.credentials.CredentialsWithRegionalAccessBoundary.{}"
        required = where_allowed.format("_is_regional_access_boundary_lookup_required")
        patch.setattr(required, lambda self: False, raising=False)
        fill(address)
        yield BigQuery(project="shop", credentials_file=str(account))


@pytest.mark.evidence("bigquery", "source", "community_emulator")
def test_every_type_arrives_exactly(
    server: BigQuery, engine: duckdb.DuckDBPyConnection, emulator: Emulator, ran_against: RanAgainst
) -> None:
    scan = server.scan(engine, stream("sales.types", columns=tuple(EXPECTED)), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: kind for name, (kind, _) in EXPECTED.items()}
    texts = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in EXPECTED)
    empty, full = sorted(rows(scan, texts), key=lambda row: len(row[0]))
    assert dict(zip(EXPECTED, full, strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    # An ARRAY cannot be NULL in BigQuery; the emulator says it is.
    assert (empty[0], set(empty[1:])) == ("2", {None})
    with pytest.raises(ConfigError, match=r"place \(geography\), span \(interval\)") as refused:
        server.scan(engine, stream("sales.types"), State())
    assert refused.value.code == "sql.type"
    ran_against(server, f"bqemulator {emulator.version}")


MOMENT = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=19_999)
ASKED = {
    "integer": (stream("sales.orders", "id", columns=("id",)), State("19999"), [19_999, 20_000]),
    "integer below": (stream("sales.orders", "id", columns=("id",)), State("5", until=Decimal(7)), [5, 6]),
    "numeric": (stream("sales.orders", "price", columns=("id",)), State("19998.5"), [19_999, 20_000]),
    "float": (stream("sales.orders", "ratio", columns=("id",)), State("19998.5"), [19_999, 20_000]),
    # As bytes k9999 is the greatest of all.
    "text": (stream("sales.orders", "code", columns=("id",)), State("k9999"), [9_999]),
    # 19,999 minutes are 13 days, 21 hours and 19 minutes; written in another zone.
    "timestamp": (stream("sales.orders", "seen", columns=("id",)), State("2020-01-14 23:19:00+02"), [19_999, 20_000]),
    "timestamp below": (
        stream("sales.orders", "seen", columns=("id",)),
        State("2020-01-14 21:19:00+00", until=MOMENT + dt.timedelta(minutes=1)),
        [19_999],
    ),
    "datetime": (stream("sales.orders", "wall", columns=("id",)), State("2020-01-14 21:19:00"), [19_999, 20_000]),
    "window": (
        stream("sales.orders", columns=("id",)),
        State(window=Window("seen", MOMENT - dt.timedelta(minutes=2), MOMENT)),
        [19_997, 19_998],
    ),
}


@pytest.mark.parametrize("case", ASKED)
@pytest.mark.evidence("bigquery", "source", "community_emulator")
def test_cursors_bounds_and_windows_are_the_servers(
    server: BigQuery, engine: duckdb.DuckDBPyConnection, emulator: Emulator, ran_against: RanAgainst, case: str
) -> None:
    wanted, state, expected = ASKED[case]
    assert [each for (each,) in read(server, engine, wanted, state)] == expected
    ran_against(server, f"bqemulator {emulator.version}")


@pytest.mark.evidence("bigquery", "source", "community_emulator")
def test_what_is_discovered_is_read(
    server: BigQuery, engine: duckdb.DuckDBPyConnection, emulator: Emulator, ran_against: RanAgainst
) -> None:
    assert server.test_connection() == "Google BigQuery at bigquery://shop"
    names = ["archive.empty", "sales.orders", "sales.recent", "sales.types"]
    assert server.discover() == names
    found = server.catalogue()
    assert [(table.name, table.kind) for table in found] == list(
        zip(names, ["table", "table", "view", "table"], strict=True)
    )
    # The fields inside of `person` are no columns.
    assert [column.name for column in found[3].columns] == list(FIELDS)

    def chosen(table: CatalogueTable) -> bool:
        return matches("sales.*", table) and not matches("types", table)

    # 20,000 * 20,001 / 2, and 19,991 to 20,000
    sums = [
        rows(server.scan(engine, stream(table.name), State()), "count(*), sum(id)") for table in found if chosen(table)
    ]
    assert sums == [[(20_000, 200_010_000)], [(10, 199_955)]]
    within = server.model_copy(update={"dataset": "archive"})
    assert read(within, engine, stream("empty")) == []
    ran_against(server, f"bqemulator {emulator.version}")


@pytest.mark.evidence("bigquery", "source", "community_emulator")
def test_a_query_has_the_types_of_its_dry_run(
    server: BigQuery, engine: duckdb.DuckDBPyConnection, emulator: Emulator, ran_against: RanAgainst
) -> None:
    asked = "SELECT id, price, 'a:b' AS word, [id, 1] AS many, seen FROM sales.orders WHERE MOD(id, 10000) = 0"
    scan = server.scan(engine, Stream("q", stream(query=asked).options, "id"), State("15000"))
    assert [str(kind) for kind in scan.relation.types] == [
        "BIGINT", "DECIMAL(38,9)", "VARCHAR", "JSON", "TIMESTAMP WITH TIME ZONE",
    ]  # fmt: skip
    moment = dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=20_000)
    (found,) = rows(scan)
    assert (*found[:4], found[4].astimezone(dt.UTC)) == (20_000, Decimal(20_000), "a:b", "[20000,1]", moment)
    ran_against(server, f"bqemulator {emulator.version}")


def test_what_is_not_there_is_told(server: BigQuery, engine: duckdb.DuckDBPyConnection) -> None:
    for wanted in ("sales.order", "orders"):
        with pytest.raises(ConfigError) as unknown:
            server.scan(engine, stream(wanted), State())
        assert unknown.value.code == "table.unknown"
        assert "did you mean 'sales.orders'" in unknown.value.fix
    with pytest.raises(ConfigError):
        server.scan(engine, stream(query="SELECT nothing FROM sales.orders"), State())
