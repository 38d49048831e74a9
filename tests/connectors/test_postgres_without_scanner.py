"""Where DuckDB's scanner does not load, rows come as text: slower, with the same types and the same values."""

import uuid
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors.postgres import Postgres, source
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError
from dataflow_platform.demo.postgres import PostgresServer
from tests.connectors import test_postgres as with_scanner
from tests.fixtures.postgres_shop import changed, ids, rows, stream
from tests.types.case import Case
from tests.types.from_postgres import CASES, FromPostgres

FOUND = source.load_scanner
# Values DuckDB does not hold: reading them is an error by either way.
REFUSED = (("decimal", "NaN"), ("interval", "infinity"))


@pytest.fixture(autouse=True)
def no_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: duckdb.DuckDBPyConnection) -> str:
        raise ConfigError("postgres.scanner", "not here", fix="none")

    monkeypatch.setattr(source, "load_scanner", absent)


@pytest.fixture
def cases(postgres_server: PostgresServer) -> Iterator[FromPostgres]:
    name = f"texts_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield FromPostgres(postgres_server, name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_every_type_arrives_exactly(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    with_scanner.every_type_arrives_exactly(shop, connection)
    with_scanner.test_python_values(shop, connection)


def outcome(offered: tuple[Any, Stream], connection: duckdb.DuckDBPyConnection) -> Any:
    """Types and values, or the error that tells why there are none."""
    reader, wanted = offered
    try:
        scan = reader.scan(connection, wanted, State())
        kinds = list(map(str, scan.relation.types))
        return kinds, rows(connection, scan, "CAST(COLUMNS(*) AS VARCHAR)")
    except duckdb.Error as error:
        meant = reader.explain(error)
        try:
            scan.rows_read and scan.rows_read()
        except DataflowError as told:
            meant = told
        return type(meant), meant and meant.code


def test_the_matrix_of_types_comes_out_the_same(
    cases: FromPostgres, connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [case for case in CASES if (case.family, case.note) in REFUSED]
    assert len(bad) == 2
    groups: list[list[Case]] = [[case for case in CASES if case not in bad], *([case] for case in bad)]
    offered = [cases.offer(group) for group in groups]
    texts = [outcome(each, connection) for each in offered]
    monkeypatch.setattr(source, "load_scanner", FOUND)
    scanned = [outcome(each, connection) for each in offered]
    assert texts == scanned
    assert len(texts[0][0]) == len(groups[0]) + 1  # and the column `id`
    assert texts[1:] == [(DataError, "postgres.value")] * 2


def test_what_it_costs_is_said(shop: Postgres, connection: duckdb.DuckDBPyConnection) -> None:
    way = "psycopg2 as text, which is slow: DuckDB's scanner does not load (none)"
    assert shop.test_connection().endswith(f"rows come by {way}")
    scan = shop.scan(connection, stream("orders"), State())
    assert scan.notes == {"rows came by": way}
    assert scan.relation.fetchall()
    assert scan.rows_read is not None
    assert scan.rows_read() == 1000


def test_cursor_snapshot_and_errors(
    shop: Postgres, connection: duckdb.DuckDBPyConnection, postgres_server: PostgresServer
) -> None:
    assert ids(shop, connection, stream("orders", cursor="id"), State("990")) == list(range(990, 1001))
    postgres_server.execute("CREATE TABLE grown (id int); GRANT SELECT ON grown TO reader", shop.database)
    try:
        with shop.consistent():
            assert ids(shop, connection, stream("grown"), State()) == []
            postgres_server.execute("INSERT INTO grown VALUES (1)", shop.database)
            assert ids(shop, connection, stream("grown"), State()) == []
        assert ids(shop, connection, stream("grown"), State()) == [1]
    finally:
        postgres_server.execute("DROP TABLE grown", shop.database)
    # An array of two dimensions in a column declared with one: no list of texts, but a refusal.
    scan = shop.scan(connection, stream("wide"), State())
    with pytest.raises(duckdb.Error):
        scan.relation.fetchall()
    assert scan.rows_read is not None
    with pytest.raises(DataError, match=r"\[postgres.value\].*several dimensions(.|\n)*as_text"):
        scan.rows_read()
    with pytest.raises(DataflowError, match=r"\[postgres.login\]"):
        changed(shop, password="wrong").scan(connection, stream("orders"), State())
