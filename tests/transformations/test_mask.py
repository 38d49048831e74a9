"""Masks: what each makes of values, that equal ones stay equal, and the way back."""

import hashlib
import hmac
import math
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.core import masking
from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.engine import step_functions, transform
from dataflow_platform.engine.lineage import Origin, is_masked
from tests.transformations.stepping import columns_of, refusal, step

KEY = "a key that nobody knows"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


def masked(connection: duckdb.DuckDBPyConnection, rows: str, *steps: tuple[str, Any]) -> list[tuple[Any, ...]]:
    """What the steps make of a SELECT's rows, in their order."""
    connection.execute(f"CREATE OR REPLACE TABLE input AS {rows}")
    with step_functions.opened(connection) as functions:
        made = [step(name, value) for name, value in steps]
        query = transform.compose("SELECT * FROM input", columns_of(connection), made, None, functions)
        return connection.execute(query.sql).fetchall()


def column_of(connection: duckdb.DuckDBPyConnection, values: Sequence[Any], kind: str, how: Any) -> list[Any]:
    """One masked column of literals."""
    listed = ", ".join("(NULL)" if value is None else f"('{value}')" for value in values).replace("''", "''")
    rows = masked(
        connection, f"SELECT CAST(v AS {kind}) AS v FROM (VALUES {listed}) AS t(v)",
        ("mask", {"key": KEY, "columns": {"v": how}}),
    )  # fmt: skip
    return [value for (value,) in rows]


def test_each_way_to_mask(connection: duckdb.DuckDBPyConnection) -> None:
    ways = {
        "a": "hash", "b": "redact", "c": {"redact": "gone"}, "d": "partial", "e": {"partial": 2}, "f": "tokenise",
        "g": {"generalise": "month"}, "h": {"generalise": 10}, "i": None, "j": {"fake": "email"},
    }  # fmt: skip
    values = (
        "SELECT 'x@y.z' a, 'x' b, 5 c, 'DE89370400440532' d, 'abc' e, 'x@y.z' f, DATE '2026-11-21' g, -7 h, 9 i, 'x' j"
    )
    nothing = "SELECT " + ", ".join(f"NULL {name}" for name in ways)
    first, second = masked(
        connection, f"{values} UNION ALL {nothing} ORDER BY a NULLS LAST", ("mask", {"key": KEY, "columns": ways})
    )
    # The hash is what anybody with the key gets of any library; the token leads back.
    assert first[0] == hmac.new(KEY.encode(), b"x@y.z", hashlib.sha256).hexdigest()
    assert first[1:5] == ("***", "gone", "************0532", "***")
    assert masking.detokenised(KEY)(first[5]) == "x@y.z"
    assert (first[6].isoformat(), first[7], first[8]) == ("2026-11-01", -10, None)
    assert first[9].rpartition("@")[2] in ("example.com", "example.org", "example.net")
    assert second == (None,) * 10


def test_one_value_has_one_hash_in_every_type_with_the_same_text(connection: duckdb.DuckDBPyConnection) -> None:
    rows = "SELECT 5::INTEGER a, 5::BIGINT b, '5' c, 5::DECIMAL(4,1) d, 0.0::DOUBLE e, -0.0::DOUBLE f"
    (row,) = masked(connection, rows, ("mask", {"key": KEY, "columns": dict.fromkeys("abcdef", "hash")}))
    assert row[0] == row[1] == row[2] != row[3]
    assert row[4] == row[5]


def test_another_key_gives_other_values() -> None:
    other = KEY + "!"
    for make in (masking.hashed, masking.tokenised, lambda key: masking.invented(key, "name", "en_US")):
        assert make(KEY)("Ada") == make(KEY)("Ada") != make(other)("Ada")
    with pytest.raises(DataError, match="no token made with this key"):
        masking.detokenised(other)(masking.tokenised(KEY)("Ada"))
    for broken in ("", "ä", "AAAA", masking.tokenised(KEY)("Ada")[:-1], "x" * 40):
        with pytest.raises(DataError):
            masking.detokenised(KEY)(broken)


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=20, unique=True), st.text("abcdefgh", min_size=16, max_size=90))
def test_hashes_and_tokens_keep_apart_what_differs_and_tokens_lead_back(texts: list[str], key: str) -> None:
    hashed, tokenised, back = masking.hashed(key), masking.tokenised(key), masking.detokenised(key)
    for text in texts:
        # RFC 2104, also with keys that are longer than a block.
        assert hashed(text) == hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
        assert back(tokenised(text)) == text
    for make in (hashed, tokenised):
        made = [make(text) for text in texts]
        assert len(set(made)) == len(texts)
        assert made == [make(text) for text in texts]


WHOLE = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_band_holds_every_value_of_it_and_no_other(connection: duckdb.DuckDBPyConnection, data: Any) -> None:
    kind = data.draw(st.sampled_from(sorted(WHOLE)))
    least, most = -(2 ** WHOLE[kind]), 2 ** WHOLE[kind] - 1
    edges = st.sampled_from([least, least + 1, most, 0, -1])
    values = data.draw(st.lists(st.integers(least, most) | edges, min_size=1, max_size=10))
    width = data.draw(st.integers(1, 200))
    made = column_of(connection, values, kind, {"generalise": width})
    # Floor division tells the band; only the lowest one begins at the least value there is.
    assert made == [max(value // width * width, least) for value in values]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.datetimes(), min_size=2, max_size=10),
    st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]),
)
def test_a_time_never_becomes_a_later_or_a_finer_one(
    connection: duckdb.DuckDBPyConnection, times: list[Any], unit: str
) -> None:
    made = column_of(connection, times, "TIMESTAMP", {"generalise": unit})
    assert all(begin <= time for begin, time in zip(made, times, strict=True))
    # What is a begin already stays: a second look shows no more than the first.
    assert column_of(connection, made, "TIMESTAMP", {"generalise": unit}) == made
    assert all((a == b) or (x != y) for a, x in zip(made, times, strict=True) for b, y in zip(made, times, strict=True))


def test_decimals_and_doubles_have_bands_as_well(connection: duckdb.DuckDBPyConnection) -> None:
    assert [str(v) for v in column_of(connection, ["-7.5", "12.25"], "DECIMAL(6,2)", {"generalise": 2.5})] == [
        "-7.50", "10.00",
    ]  # fmt: skip
    made = column_of(connection, ["7.5", "-0.1", "inf", "nan"], "DOUBLE", {"generalise": 5})
    assert made[:3] == [5.0, -5.0, math.inf]
    assert math.isnan(made[3])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("abc1é ", max_size=12), min_size=1, max_size=8), st.integers(1, 5))
def test_of_a_short_text_nothing_is_shown(connection: duckdb.DuckDBPyConnection, texts: list[str], shown: int) -> None:
    for text, made in zip(texts, column_of(connection, texts, "VARCHAR", {"partial": shown}), strict=True):
        hidden = len(text) - shown if len(text) >= 2 * shown else len(text)
        assert made == "*" * hidden + text[hidden:]


def test_types_are_as_told(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE OR REPLACE TABLE input AS SELECT 1::SMALLINT a, now() b, 'x'::ENUM('x') c, 1.5 d, 2 e")
    ways = {"a": {"generalise": 10}, "b": {"generalise": "day"}, "c": None, "d": "hash", "e": None}
    with step_functions.opened(connection) as functions:
        made = [step("mask", {"key": KEY, "columns": ways})]
        query = transform.compose("SELECT * FROM input", columns_of(connection), made, None, functions)
        kinds = [row[1] for row in connection.execute(f"DESCRIBE {query.sql}").fetchall()]
    # The type of an ENUM lists its values: NULL is a text there.
    assert kinds == ["SMALLINT", "TIMESTAMP WITH TIME ZONE", "VARCHAR", "VARCHAR", "INTEGER"]


COLUMNS = [Column("email", "VARCHAR"), Column("born", "DATE"), Column("home", "STRUCT(city VARCHAR)")]


@pytest.mark.parametrize(
    ("value", "code", "where"),
    [
        ({"email": "scramble"}, "mask.how", "columns.email"),
        ({"email": "fake"}, "mask.how", "columns.email"),
        ({"email": {"partial": 4, "redact": "x"}}, "mask.how", "columns.email"),
        ({"email": "hash"}, "mask.key", "columns.email"),
        ({"key": "short", "columns": {"email": "hash"}}, "mask.key_short", "key"),
        ({"key": KEY, "columns": {"email": {"fake": {"kind": "name", "locale": "xx_YY"}}}}, "mask.locale", "locale"),
        ({"born": {"generalise": 0}}, "mask.band", "columns.born.generalise"),
        ({"born": {"generalise": "hour"}}, "mask.generalise", "columns.born"),
        ({"email": {"generalise": "day"}}, "mask.generalise", "columns.email"),
        ({"born": {"generalise": 5}}, "mask.generalise", "columns.born"),
        ({"emial": "redact"}, "column.unknown", ""),
        ({"home.city": "redact"}, "mask.nested", "columns.home.city"),
        ({"columns": {"email": "redact"}, "clear": ["domain"]}, "column.unknown", ""),
    ],
)
def test_what_cannot_be_is_refused_in_words(value: Any, code: str, where: str) -> None:
    error = refusal("mask", value, COLUMNS)
    assert (error.code, str(error.where)) == (code, where)
    assert KEY not in str(error)


def test_a_key_is_shown_nowhere() -> None:
    made = step("mask", {"key": KEY, "columns": {"email": "hash"}})
    assert KEY not in f"{made!r} {made} {made.apply(COLUMNS, {})}"


@pytest.mark.parametrize(
    ("steps", "refused"),
    [
        ([("derive", {"domain": "split_part(email, '@', 2)"}), ("mask", {"email": "redact"})], "domain"),
        ([("derive", {"copy": "email"}), ("drop", ["email"]), ("mask", {"copy": "redact"})], None),
        ([("rename", {"email": "mail"}), ("derive", {"m": "mail"}), ("mask", {"m": "redact"})], "mail"),
        ([("derive", {"copy": "email"}), ("mask", {"email": "redact"}), ("mask", {"copy": "redact"})], None),
        ([("derive", {"copy": "email"}), ("mask", {"email": "redact"}), ("drop", ["copy"])], None),
        ([("mask", {"email": "redact"}), ("derive", {"copy": "email"})], None),
        (
            [
                ("derive", {"domain": "split_part(email, '@', 2)"}),
                ("mask", {"columns": {"email": "redact"}, "clear": ["domain"]}),
                ("derive", {"again": "domain"}),
            ],
            None,
        ),
        # Deduplicating by the clear value leaves nothing of it behind.
        ([("filter", "email LIKE 'a%'"), ("deduplicate", "email"), ("mask", {"email": "redact"})], None),
        (
            [
                ("aggregate", {"by": ["id"], "compute": {"all": "max(email)", "n": "count(*)"}}),
                ("mask", {"all": "redact"}),
            ],
            None,
        ),
    ],
)
def test_a_copy_made_before_the_mask_is_refused(
    connection: duckdb.DuckDBPyConnection, steps: list[tuple[str, Any]], refused: str | None
) -> None:
    rows = "SELECT 1 AS id, 'a@b.c' AS email"
    if refused is None:
        assert "a@b.c" not in str(masked(connection, rows, *steps))
        return
    with pytest.raises(ConfigError) as caught:
        masked(connection, rows, *steps)
    assert caught.value.code == "mask.carried"
    assert f"column '{refused}' carries clear values of 'email'" in str(caught.value)


def composed(connection: duckdb.DuckDBPyConnection, cursor: str | None, *steps: tuple[str, Any]) -> transform.Query:
    connection.execute("CREATE OR REPLACE TABLE input AS SELECT 1 AS id, 'a@b.c' AS email, 2 AS other")
    with step_functions.opened(connection) as functions:
        made = [step(name, value) for name, value in steps]
        return transform.compose("SELECT * FROM input", columns_of(connection), made, cursor, functions, ("email",))


def test_lineage_says_which_columns_are_masked_and_does_not_end_there(connection: duckdb.DuckDBPyConnection) -> None:
    query = composed(
        connection, None, ("mask", {"email": None}), ("derive", {"n": "length(email)"}), ("rename", {"email": "e"})
    )
    email, other = Origin("email"), Origin("other")
    assert {name: is_masked(sources[email]) for name, sources in query.lineage.columns.items() if email in sources} == {
        "e": True, "n": True,
    }  # fmt: skip
    assert not is_masked(query.lineage.columns["other"][other])
    assert query.secret == {"email"}


def test_a_masked_cursor_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ConfigError) as caught:
        composed(connection, "id", ("rename", {"id": "number"}), ("mask", {"number": "redact"}))
    assert (caught.value.code, str(caught.value.where)) == ("mask.cursor", "transform[1]")


def same(reader: Any) -> Any:
    return reader


def test_rows_that_a_step_keeps_in_a_file_are_masked_before(connection: duckdb.DuckDBPyConnection) -> None:
    kept = ("python", {"function": f"{__name__}:same", "takes": "reader", "columns": {"id": "int", "email": "varchar"}})
    mask = ("mask", {"email": "redact"})
    with pytest.raises(ConfigError) as caught:
        composed(connection, None, kept, mask)
    assert (caught.value.code, str(caught.value.where)) == ("mask.late", "transform[0]")
    assert composed(connection, None, ("drop", ["other"]), mask, kept).secret == {"email"}
