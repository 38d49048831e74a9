"""Quoting, literals and the expression language."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from dataflow_platform.core import expression as language
from dataflow_platform.core import sql
from dataflow_platform.core.errors import ConfigError
from tests.core.expressions import AGGREGATES, ATTACKS, COLUMNS, LEGITIMATE, TABLE, lines

MISSING = "SELECTED_NOT_A_KEYWORD"


@pytest.fixture(scope="module")
def table() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(TABLE)
        connection.execute(f"ALTER TABLE input ADD COLUMN {MISSING} INTEGER")
        yield connection


def values(connection: duckdb.DuckDBPyConnection, expression: str, order: str = " ORDER BY id") -> list[str]:
    # As text: NaN equals NaN and 1 differs from 1.0 and from '1'.
    query = f"SELECT ({expression}\n) FROM input{order}"
    return [repr(row) for row in connection.execute(query).fetchall()]


def functions(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[set[str], set[str]]:
    """The functions DuckDB's own parser finds in ``statement``, and the kinds of its nodes."""
    (text,) = connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchone() or ("",)
    tree = json.loads(text)
    assert not tree["error"], tree
    names: set[str] = set()
    kinds: set[str] = set()
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            kinds.add(str(node.get("class") or node.get("type")))
            if node.get("function_name"):
                names.add(str(node["function_name"]).lower())
                # The grammar puts what it makes of operators into main; a call of ours never names a schema.
                assert node.get("schema") in ("", "main")
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return names, kinds


def test_the_corpora_are_as_large_as_they_claim() -> None:
    attacks, legitimate = lines(ATTACKS), lines(LEGITIMATE) + lines(AGGREGATES)
    assert len(set(attacks)) == len(attacks) > 200
    assert len(set(legitimate)) == len(legitimate) > 200


@pytest.mark.parametrize("text", lines(LEGITIMATE))
def test_a_legitimate_expression_means_what_it_says(table: duckdb.DuckDBPyConnection, text: str) -> None:
    written = language.expression(text, columns=[*COLUMNS, MISSING], scope="window")
    expected = values(table, text)
    assert values(table, written) == expected
    # The engine composes steps through sqlglot's own dialect once more; that may not change them either.
    (again,) = sqlglot.transpile(written, read="duckdb", write="duckdb")
    assert values(table, again) == expected
    assert language.expression(language.expression(written)) == language.expression(written)


@pytest.mark.parametrize("text", lines(AGGREGATES))
def test_a_legitimate_aggregate_means_what_it_says(table: duckdb.DuckDBPyConnection, text: str) -> None:
    assert values(table, language.expression(text, columns=COLUMNS), "") == values(table, text, "")
    with pytest.raises(ConfigError, match="aggregate"):
        language.expression(text, scope="window")


@pytest.mark.parametrize("text", lines(ATTACKS))
def test_an_attack_is_refused_before_duckdb_sees_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        language.expression(text)
    assert caught.value.code in ("expression.syntax", "expression.refused")
    assert caught.value.fix


@pytest.mark.parametrize(
    "text", ["VACUUM", "CHECKPOINT", "BEGIN", "COMMIT", "user", "DEFAULT", "ROW", "rowid", "current_role"]
)
def test_a_bare_word_is_only_ever_a_column(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        language.expression(text, columns=COLUMNS)
    assert caught.value.code in ("column.unknown", "expression.refused")


@pytest.mark.parametrize("text", lines(LEGITIMATE) + lines(AGGREGATES))
def test_duckdbs_own_parser_finds_only_listed_functions(table: duckdb.DuckDBPyConnection, text: str) -> None:
    listed = (
        language.SCALAR_FUNCTIONS | language.AGGREGATE_FUNCTIONS | language.WINDOW_FUNCTIONS | language.SYNTAX_FUNCTIONS
    )
    # What DuckDB's grammar makes of operators and of literals for lists, structs and INTERVAL.
    by_grammar = {"struct_pack", "row", "array_slice", "count_star", "list_value", "timezone", "not_like_escape"}
    operators = {"like_escape", "~~~", "regexp_full_match", "struct_extract", "array_extract", "date_part"}
    written = language.expression(text)
    (again,) = sqlglot.transpile(written, read="duckdb", write="duckdb")
    for statement in (written, again):
        names, kinds = functions(table, f"SELECT {statement} FROM input")
        words = {name for name in names if name[0].isalpha()}
        extra = words - listed - by_grammar - operators
        assert not extra
        assert "SUBQUERY" not in kinds


def test_every_listed_function_is_one_of_duckdbs(table: duckdb.DuckDBPyConnection) -> None:
    rows = table.execute("SELECT DISTINCT function_name, function_type FROM duckdb_functions()").fetchall()
    known = {name for name, kind in rows if kind in ("scalar", "macro", "aggregate")}
    listed = language.SCALAR_FUNCTIONS | language.AGGREGATE_FUNCTIONS | language.WINDOW_FUNCTIONS
    assert listed - known == set()
    assert language.SYNTAX_FUNCTIONS & known == set()


@pytest.mark.parametrize(
    "text",
    ["(" * 2000 + "id" + ")" * 2000, "not " * 2000 + "b", "[" * 2000 + "]" * 2000, "-(" * 800 + "1" + ")" * 800],
)
def test_deep_nesting_is_refused_not_a_crash(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        language.expression(text)
    assert caught.value.code == "expression.refused"


def test_a_text_that_is_too_long_or_holds_nul_is_refused() -> None:
    for text in ("id + " * 3000 + "1", "id\0 = 1"):
        with pytest.raises(ConfigError, match="NUL"):
            language.expression(text)


def test_a_syntax_error_names_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        language.expression("dest is null and and origin = 'JFK'")
    assert caught.value.code == "expression.syntax"
    # The second `and` ends in column 20.
    assert "line 1, column 20, near 'and'" in caught.value.what
    assert caught.value.where.excerpt == "dest is null and and origin = 'JFK'"


def test_an_unknown_function_or_column_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"did you mean coalesce\(\)"):
        language.expression("coalese(a, b)")
    with pytest.raises(ConfigError) as caught:
        language.expression("dist > 1 and distnce > 2", columns=["dist", "distance"])
    assert caught.value.code == "column.unknown"
    assert "'distance'" in caught.value.fix


def test_names_come_out_as_the_table_spells_them() -> None:
    assert language.expression("DEST = origin", columns=["Dest", "Origin"]) == '"Dest" = "Origin"'
    assert language.expression("Addr.city", columns=["addr"]) == '"addr"."city"'


def test_scopes() -> None:
    # A row stands alone, a window looks along the rows, an aggregate folds them.
    for text, smallest in (("n + 1", "row"), ("sum(n) over ()", "window"), ("sum(n)", "aggregate")):
        scopes: list[sql.Scope] = ["row", "window", "aggregate"]
        for scope in scopes:
            if scopes.index(scope) >= scopes.index(smallest):  # type: ignore[arg-type]
                assert language.expression(text, scope=scope)
            else:
                with pytest.raises(ConfigError, match=r"expression\.refused"):
                    language.expression(text, scope=scope)


def test_columns_used_leaves_out_lambda_parameters() -> None:
    # x belongs to the lambda, factor and l are columns; addr is the root of addr.city.
    assert language.columns_used("list_transform(l, lambda x: x * factor)") == {"l", "factor"}
    assert language.columns_used("addr.city || upper(Name)") == {"addr", "Name"}
    assert language.columns_used("1 + 1") == set()


def test_ordering() -> None:
    assert language.ordering("Updated desc, lower(b) nulls first", columns=["updated", "b"]) == (
        '"updated" DESC, lower("b") NULLS FIRST'
    )
    for attack in ("a) , (select 1", "a limit 1", "(select 1)", "a; b", "count(*)", "1) from input --", ""):
        with pytest.raises(ConfigError):
            language.ordering(attack)


@pytest.mark.parametrize(
    ("text", "duckdb_name"),
    [
        ("integer", "INTEGER"),
        ("bigint", "BIGINT"),
        ("hugeint", "HUGEINT"),
        ("utinyint", "UTINYINT"),
        ("decimal(10,2)", "DECIMAL(10,2)"),
        ("numeric", "DECIMAL(18,3)"),
        ("double", "DOUBLE"),
        ("float", "FLOAT"),
        ("varchar(10)", "VARCHAR"),
        ("text", "VARCHAR"),
        ("boolean", "BOOLEAN"),
        ("date", "DATE"),
        ("time", "TIME"),
        ("timestamp", "TIMESTAMP"),
        ("timestamptz", "TIMESTAMP WITH TIME ZONE"),
        ("timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
        ("timestamp_ns", "TIMESTAMP_NS"),
        ("timestamp_ms", "TIMESTAMP_MS"),
        ("timestamp_s", "TIMESTAMP_S"),
        ("interval", "INTERVAL"),
        ("uuid", "UUID"),
        ("blob", "BLOB"),
        ("bit", "BIT"),
        ("json", "JSON"),
        ("integer[]", "INTEGER[]"),
        ("varchar[][]", "VARCHAR[][]"),
        ("double[3]", "DOUBLE[3]"),
        ("map(varchar, integer)", "MAP(VARCHAR, INTEGER)"),
        ("struct(a integer, b varchar[])", 'STRUCT(a INTEGER, b VARCHAR[])'),
    ],
)  # fmt: skip
def test_types_are_those_of_duckdb(table: duckdb.DuckDBPyConnection, text: str, duckdb_name: str) -> None:
    found = table.execute(f"SELECT typeof(CAST(NULL AS {language.data_type(text)}))").fetchone()
    assert found is not None
    assert str(found[0]).replace('"', "") == duckdb_name


@pytest.mark.parametrize(
    "text",
    [
        "intger",
        "foo",
        "int) + (1",
        "int) -- x",
        "int; x",
        "enum('a')",
        "main.int",
        "struct(a)",
        "map",
        "list",
        "int AS x",
    ],
)
def test_other_types_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        language.data_type(text)
    assert caught.value.code == "type.unknown"


LITERALS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**127) + 1, 2**127 - 1),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**30), max_value=10**30),
    st.text().filter(lambda text: "\0" not in text and text.isprintable()),
    st.dates(min_value=date(1, 1, 1)),
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)),
)


@given(LITERALS)
def test_a_literal_comes_back_as_it_went_in(value: object) -> None:
    (found,) = duckdb.execute(f"SELECT {sql.literal(value)}").fetchone() or ()
    assert found == value
    assert type(found) is type(value) or isinstance(value, Decimal)


def test_literals_of_special_values() -> None:
    (found,) = duckdb.execute(f"SELECT isnan({sql.literal(float('nan'))})").fetchone() or ()
    assert found is True
    aware = datetime(2013, 1, 1, 5, tzinfo=UTC)
    (seconds,) = duckdb.execute(f"SELECT epoch({sql.literal(aware)})").fetchone() or ()
    assert seconds == aware.timestamp()
    for value in (object(), b"x", [1], 2**127, Decimal("NaN"), Decimal("1." + "1" * 39), "a\0b"):
        with pytest.raises(ConfigError):
            sql.literal(value)


@given(st.text(min_size=1).filter(lambda text: "\0" not in text and text.isprintable()))
def test_a_quoted_identifier_names_exactly_that_column(name: str) -> None:
    cursor = duckdb.execute(f"SELECT 1 AS {sql.quote(name)}")
    assert [column[0] for column in cursor.description] == [name]


def test_identifiers_are_always_quoted() -> None:
    assert sql.quote('a"b') == '"a""b"'
    assert sql.qualified("raw", "flights") == '"raw"."flights"'
    for bad in ("", "a\0b"):
        with pytest.raises(ConfigError):
            sql.quote(bad)
