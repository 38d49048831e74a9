"""The MySQL source against a real MariaDB 10.11: exact values, what the server filters, many rows."""

import datetime as dt
import resource
import sys
from decimal import Decimal

import duckdb
import pytest

from dataflow_platform.connectors.mysql import MySQL, MySQLStream
from dataflow_platform.core.base import State, Stream, Window
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.mariadb_shop import EXPECTED, ids, rows, stream

pytestmark = pytest.mark.mariadb


def test_every_type_arrives_exactly(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    scan = mysql_shop.scan(engine, stream("types"), State())
    assert dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True)) == {
        name: kind for name, (kind, _) in EXPECTED.items()
    }
    written = ", ".join('"' + name.replace('"', '""') + '"::VARCHAR' for name in EXPECTED)
    found = rows(engine, scan, written)
    assert dict(zip(EXPECTED, found[0], strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    # Row 2 has nothing but its key and what is computed from it.
    assert dict(zip(EXPECTED, found[1], strict=True)) == dict.fromkeys(EXPECTED) | {"id": "2", "made": "3"}


def test_python_values(mysql_shop: MySQL, engine: duckdb.DuckDBPyConnection) -> None:
    """The same row as Python sees it, without DuckDB's text in between."""
    row = rows(engine, mysql_shop.scan(engine, stream("types"), State()), "n_38, ts, t_neg, vb, u8")[0]
    assert row == (
        Decimal("-1234567890123456789012345678.0123456789"),
        dt.datetime(2013, 1, 1, 10, 0, 0, 123456, tzinfo=dt.UTC),
        dt.timedelta(microseconds=-500_000),
        b"\x00\xff\x10",
        2**64 - 1,
    )
