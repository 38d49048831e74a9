"""What speaks MySQL's protocol, read by a plain cursor: the way itself on MariaDB, as none of the products is here."""

import datetime as dt
import ssl
from typing import Any

import duckdb
import pytest

from dataflow_platform.connectors._sql import mysql_protocol
from dataflow_platform.connectors.aurora_mysql import AuroraMySQL
from dataflow_platform.connectors.mysql import MySQL
from dataflow_platform.connectors.planetscale import PlanetScale
from dataflow_platform.connectors.singlestore import SingleStore
from dataflow_platform.connectors.tidb import TiDb
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError
from tests.fixtures.mariadb_shop import EXPECTED, PASSWORD
from tests.fixtures.sqlite_shop import read, rows, stream

PLAIN = (
    "id", "i1", "u1", "yes", "flag", "i2", "i3", "u3", "u4", "i8", "u8", "n_10", "n_pos", "n_38", "n_65", "f4", "f8",
    "d", "dt", "dt0", "ts", "fixed", "short", "old", "bin", "b3", "vb", "y",
)  # fmt: skip


@pytest.fixture
def tidb(mysql_shop: MySQL) -> TiDb:
    return TiDb(host="127.0.0.1", port=mysql_shop.port, database="shop", user="reader", password=PASSWORD, tls=False)


@pytest.mark.mariadb
def test_mysqls_types_arrive_exactly_by_a_plain_cursor(tidb: TiDb, engine: duckdb.DuckDBPyConnection) -> None:
    scan = tidb.scan(engine, stream("types", columns=PLAIN), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: EXPECTED[name][0] for name in PLAIN}
    texts = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in PLAIN)
    first, second = rows(scan, texts)
    assert dict(zip(PLAIN, first, strict=True)) == {name: EXPECTED[name][1] for name in PLAIN}
    assert second == ("2", *[None] * (len(PLAIN) - 1))


@pytest.mark.mariadb
def test_what_cannot_be_kept_is_refused(tidb: TiDb, engine: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(DataError) as late:
        read(tidb, engine, stream("types", columns=("t",)))
    assert late.value.code == "sql.value"  # 838 hours
    asked = stream(query="SELECT CAST('12:34:56.5' AS TIME(6)) AS at", types={"at": "TIME"})
    assert read(tidb, engine, asked) == [(dt.time(12, 34, 56, 500_000),)]
    assert read(tidb, engine, stream("types", columns=("t",), as_text=("t",)))[0] == ("838:59:58.123456",)
    with pytest.raises(ConfigError) as unknown:
        tidb.scan(engine, stream("types", columns=("bit12",)), State())
    assert "bit12 (bit(12))" in unknown.value.what


@pytest.mark.mariadb
def test_a_server_without_tls_is_refused_by_default(mysql_shop: MySQL) -> None:
    source = SingleStore(host="127.0.0.1", port=mysql_shop.port, database="shop", user="reader", password=PASSWORD)
    with pytest.raises(DataflowError) as refused:
        source.test_connection()
    assert "SSL" in refused.value.what
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("kind", [TiDb, PlanetScale, SingleStore])
def test_by_default_certificate_and_name_are_verified(kind: type[mysql_protocol.MySqlOverTls]) -> None:
    given: dict[str, Any] = kind(host="h", user="u").connect_args()
    assert given["ssl"].check_hostname
    assert given["ssl"].verify_mode == ssl.CERT_REQUIRED
    assert AuroraMySQL(host="h", database="d", user="u").ssl_mode == "verify_identity"
