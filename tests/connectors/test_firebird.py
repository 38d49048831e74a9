"""The Firebird source against a real server; how to install it: `apt-get install firebird3.0-server`."""

from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest

from dataflow_platform.connectors.firebird import Firebird
from dataflow_platform.core.base import State
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import quote
from tests.fixtures import firebird
from tests.fixtures.evidence import RanAgainst
from tests.fixtures.sqlite_shop import read, rows, stream

NEEDED = "needs Debian's firebird3.0-server, and here pip install 'sqlalchemy-firebird>=2.2,<3'"
pytest.importorskip("sqlalchemy_firebird", reason=NEEDED)
COMMAND = firebird.server_command() or pytest.skip(NEEDED, allow_module_level=True)

STATEMENTS = [
    "CREATE TABLE types (id BIGINT NOT NULL PRIMARY KEY, s SMALLINT, i INTEGER, price DECIMAL(10,2), big NUMERIC(18,4),"
    ' f FLOAT, d DOUBLE PRECISION, yes BOOLEAN, word VARCHAR(20), "odd ""name: 100%" VARCHAR(20), ch CHAR(5), '
    "born DATE, clock TIME, seen TIMESTAMP, bytes BLOB, words BLOB SUB_TYPE TEXT, "
    '"raw" VARCHAR(5) CHARACTER SET OCTETS)',
    "INSERT INTO types VALUES (9223372036854775807, -32768, -2147483648, 12.30, 12345678901234.5678, 1.1, 0.1, TRUE, "
    "NULL, 'a''b ünï', 'ab', '2020-02-29', '12:34:56.5', '2013-01-01 05:00:00.1234', x'00ff10', 'ünï', x'00ff')",
    "INSERT INTO types (id) VALUES (2)",
    "CREATE TABLE orders (id BIGINT, code VARCHAR(10), price NUMERIC(18,2), seen TIMESTAMP)",
    # Minute n after 2020-01-01 is row n.
    "EXECUTE BLOCK AS DECLARE n INT = 1; BEGIN WHILE (n <= 20000) DO BEGIN INSERT INTO orders VALUES "
    "(:n, 'k' || :n, :n, DATEADD(:n MINUTE TO TIMESTAMP '2020-01-01 00:00:00')); n = n + 1; END END",
    "CREATE VIEW recent AS SELECT id FROM orders WHERE id > 19990",
    'CREATE TABLE "Mixed.Case" (id INTEGER)',
    "CREATE TABLE large (body BLOB SUB_TYPE TEXT)",
    # 15 * 8,000 letters: more than the 64 KiB up to which the driver hands out values by itself.
    f"INSERT INTO large SELECT {' || '.join(15 * 'a')} FROM (SELECT CAST(RPAD('x', 8000, 'x') AS BLOB SUB_TYPE TEXT) "
    "AS a FROM rdb$database)",
    *(f"GRANT SELECT ON {table} TO reader" for table in ("types", "orders", "recent", '"Mixed.Case"', "large")),
]
# By hand from the INSERT above.
EXPECTED = {
    "id": ("BIGINT", "9223372036854775807"),
    "s": ("SMALLINT", "-32768"),
    "i": ("INTEGER", "-2147483648"),
    "price": ("DECIMAL(10,2)", "12.30"),
    "big": ("DECIMAL(18,4)", "12345678901234.5678"),
    "f": ("FLOAT", "1.1"),
    "d": ("DOUBLE", "0.1"),
    "yes": ("BOOLEAN", "true"),
    "word": ("VARCHAR", None),
    'odd "name: 100%': ("VARCHAR", "a'b ünï"),
    "ch": ("VARCHAR", "ab   "),
    "born": ("DATE", "2020-02-29"),
    "clock": ("TIME", "12:34:56.5"),
    "seen": ("TIMESTAMP", "2013-01-01 05:00:00.1234"),
    "bytes": ("BLOB", "\\x00\\xFF\\x10"),
    "words": ("VARCHAR", "ünï"),
    "raw": ("BLOB", "\\x00\\xFF"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firebird]:
    with firebird.firebird(COMMAND, tmp_path_factory.mktemp("firebird"), STATEMENTS) as port:
        yield Firebird(host="127.0.0.1", port=port, user="READER", password=firebird.PASSWORD, database="shop")


@pytest.fixture(scope="module")
def version(server: Firebird) -> str:
    import sqlalchemy as sa

    asked = "SELECT rdb$get_context('SYSTEM', 'ENGINE_VERSION') FROM rdb$database"
    with server.connected() as connection:
        return f"Firebird {connection.execute(sa.text(asked)).scalar_one()}"


@pytest.mark.evidence("firebird", "source", "real_server")
def test_every_type_arrives_exactly(
    server: Firebird, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    scan = server.scan(engine, stream("types"), State())
    told = dict(zip(scan.relation.columns, map(str, scan.relation.types), strict=True))
    assert told == {name: kind for name, (kind, _) in EXPECTED.items()}
    texts = ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in EXPECTED)
    empty, full = sorted(rows(scan, texts), key=lambda row: len(row[0]))
    assert dict(zip(EXPECTED, full, strict=True)) == {name: value for name, (_, value) in EXPECTED.items()}
    assert (empty[0], set(empty[1:])) == ("2", {None})
    assert rows(server.scan(engine, stream("large"), State()), "length(body)") == [(120_000,)]
    ran_against(server, version)


@pytest.mark.parametrize(
    ("cursor", "state", "expected"),
    [
        ("id", State("19999"), [19_999, 20_000]),
        ("id", State("5", until=Decimal(7)), [5, 6]),
        ("price", State("19998.5"), [19_999, 20_000]),
        # 19,999 minutes are 13 days, 21 hours and 19 minutes.
        ("seen", State("2020-01-14 21:19:00"), [19_999, 20_000]),
    ],
)
@pytest.mark.evidence("firebird", "source", "real_server")
def test_cursors_are_the_servers(
    server: Firebird,
    engine: duckdb.DuckDBPyConnection,
    version: str,
    ran_against: RanAgainst,
    cursor: str,
    state: State,
    expected: list[int],
) -> None:
    found = read(server, engine, stream("orders", cursor, columns=("id",)), state)
    assert [each for (each,) in found] == expected
    ran_against(server, version)


@pytest.mark.evidence("firebird", "source", "real_server")
def test_what_is_discovered_is_read(
    server: Firebird, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    assert server.test_connection().startswith("Firebird 3")
    names = ['"Mixed.Case"', "large", "orders", "recent", "types"]
    assert server.discover() == names
    found = {table.name: table for table in server.catalogue()}
    assert [(name, found[name].kind) for name in names if found[name].kind != "table"] == [("recent", "view")]
    # 20,000 * 20,001 / 2, and 19,991 to 20,000
    scans = [server.scan(engine, stream(name), State()) for name in ("orders", "recent")]
    assert [rows(scan, "count(*), sum(id)") for scan in scans] == [[(20_000, 200_010_000)], [(10, 199_955)]]
    assert read(server, engine, stream('"Mixed.Case"')) == []
    ran_against(server, version)


@pytest.mark.evidence("firebird", "source", "real_server")
def test_a_query_has_the_types_of_its_cursor(
    server: Firebird, engine: duckdb.DuckDBPyConnection, version: str, ran_against: RanAgainst
) -> None:
    asked = "SELECT max(id) AS top, 'a:b' AS word, max(price) AS price, max(seen) AS seen FROM orders"
    scan = server.scan(engine, stream(query=asked), State())
    assert [str(kind) for kind in scan.relation.types] == ["BIGINT", "VARCHAR", "DECIMAL(19,2)", "TIMESTAMP"]
    # 20,000 minutes are 13 days, 21 hours and 20 minutes.
    assert rows(scan, "top, word, price, CAST(seen AS VARCHAR)") == [
        (20_000, "a:b", Decimal("20000.00"), "2020-01-14 21:20:00")
    ]
    ran_against(server, version)


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"password": "wrong"}, "sql.login"), ({"database": "none"}, "sql.database")],
)
def test_what_keeps_the_door_shut_is_told(server: Firebird, changed: dict[str, str], code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        server.model_copy(update=changed).test_connection()
    assert refused.value.code == code


def test_a_table_that_is_not_there(server: Firebird, engine: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ConfigError) as unknown:
        server.scan(engine, stream("order"), State())
    assert "did you mean 'orders'" in unknown.value.fix
