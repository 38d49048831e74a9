"""The check ``format``, held against other implementations over texts that are right, nearly right and wrong."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import literal
from tests.checks import format_models as models
from tests.checks.verdicts import check

EMAILS = ["a@b.de", "first.last+tag@sub.example.com", "x_y-z@1and1.co.uk", "a'b@b-c.de", "a@b.c1", "a@1.2"]
URLS = [
    "https://a.de", "http://user:pw@www.example.com:8080/a/b?c=d&e=%20f#g", "ftp://1.2.3.4/x", "http://localhost:3000",
    "https://[2001:db8::1]:443/", "http://a.b.c.d-e.fr/(x)!*;,", "http://1.2.3", "http://a.de?q", "https://a.de#f",
]  # fmt: skip
CARDS = ["4111 1111 1111 1111", "378282246310005", "6011-0009-9013-9424", "5555555555554444", "4222222222222",
         "6304000000000000000"]  # fmt: skip
IBANS = ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "NO9386011117947", "FR1420041010050500013M02606",
         "MT84MALT011000012345MTLCAST001S", "RU0304452522540817810538091310419"]  # fmt: skip
IPS = ["1.2.3.4", "255.255.255.255", "0.0.0.0", "::", "::1", "2001:db8:85a3::8a2e:370:7334", "1:2:3:4:5:6:7:8",
       "1::", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8"]  # fmt: skip
JSON = ['{"a": [1, 2.5e3, null, true]}', '"x\\u00e9\\n,]"', "[]", " [1, {}]\n", "-0.5", '"NaN"', '{"a":1,"a":{"b":[]}}']
UUIDS = ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "00000000-0000-0000-0000-000000000000"]
PHONES = ["+4930123456", "030 123456", "+49 (0)30 123456", "0171-1234567", "+1 650-253-0000", "1712345678", "110"]
DATES = ["31.12.2024", "2024-02-29", "2023-02-29", "1.2.2024", "24-01-01", "0024-01-01", "31.04.2024"]

CASES: dict[str, tuple[dict[str, Any], Callable[[str], bool], list[str], str]] = {
    "email": ({}, models.email, EMAILS, "a1.-_@+ \"é'"),
    "url": ({}, models.url, URLS, "a1.:/?#[]@%- é"),
    "credit_card": ({}, models.credit_card, CARDS, "0123459- "),
    "npi": ({}, models.npi, ["1234567893", "1245319599", "2000000002"], "0123459"),
    "iban": ({}, models.iban, IBANS, "0129AZ a"),
    "ip": ({}, lambda text: models.ipv4(text) or models.ipv6(text), IPS, "0125f:.%"),
    "ipv4": ({}, models.ipv4, IPS, "0125."),
    "ipv6": ({}, models.ipv6, IPS, "0125f:."),
    "json": ({}, models.strict_json, JSON, '{}[],:"\\1-.eNul \n'),
    "uuid": ({}, models.canonical_uuid, UUIDS, "09afAFg-{"),
    "date": ({"formats": ["%d.%m.%Y", "%Y-%m-%d"]}, models.by_formats("%d.%m.%Y", "%Y-%m-%d"), DATES, "0123459.- "),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        yield connection


def judged(engine: duckdb.DuckDBPyConnection, violation: str, texts: Sequence[str | None]) -> list[bool]:
    """Of each text whether it passes, in one query."""
    listed = ", ".join("NULL" if text is None else literal(text) for text in texts)
    rows = f"SELECT unnest(range({len(texts)})) AS place, unnest([{listed}]) AS x"
    marked = f"SELECT place, CASE WHEN {violation} THEN FALSE ELSE TRUE END AS passes FROM ({rows}) ORDER BY place"
    return [passes for _, passes in engine.execute(marked).fetchall()]


def violation_of(name: str, **options: Any) -> str:
    (rule,) = check("format", {"column": "x", "as": name, **options}).rules([Column("x", "VARCHAR")])
    assert rule.violation is not None
    return rule.violation


def nearly(seeds: list[str], signs: str) -> st.SearchStrategy[list[str]]:
    """Right texts with up to three signs replaced, left out or put in: most are just right or just wrong."""
    edit = st.tuples(st.floats(0, 1), st.sampled_from(["replace", "remove", "insert"]), st.sampled_from(signs))

    def edited(seed: str, edits: list[tuple[float, str, str]]) -> str:
        text = list(seed)
        for where, what, sign in edits:
            place = int(where * len(text))
            if what == "insert":
                text.insert(place, sign)
            elif place < len(text):
                text[place : place + 1] = [sign] if what == "replace" else []
        return "".join(text)

    one = st.builds(edited, st.sampled_from(seeds), st.lists(edit, max_size=3))
    return st.lists(one, min_size=20, max_size=40)


@pytest.mark.parametrize("name", CASES)
def test_a_format_is_what_others_say_it_is(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    options, model, seeds, signs = CASES[name]
    violation = violation_of(name, **options)
    # Some of the seeds are right: a check that refused everything would be seen.
    assert any(judged(engine, violation, seeds))

    @settings(max_examples=25, deadline=None)
    @given(nearly(seeds, signs))
    def agree(texts: list[str]) -> None:
        found = zip(texts, judged(engine, violation, texts), strict=True)
        assert {(text, passes) for text, passes in found if passes is not model(text)} == set()

    agree()


def test_phone_numbers_are_e164_unless_a_region_is_named(engine: duckdb.DuckDBPyConnection) -> None:
    texts = ["+493012345678", "+4930 12345678", "493012345678", "+0123456789", "+123456", "+1234567890123456", None]
    # Only the first has a plus, 7 to 15 digits of which the first is no 0, and nothing else; NULL breaks nothing.
    assert judged(engine, violation_of("phone"), texts) == [True, False, False, False, False, False, True]


@pytest.mark.parametrize("region", ["DE", "US", "FR", "GB"])
def test_phone_numbers_of_a_region_are_those_its_numbering_plan_knows(
    engine: duckdb.DuckDBPyConnection, region: str
) -> None:
    violation, model = violation_of("phone", region=region), models.phone_of(region)
    kinds = [models.phonenumbers.PhoneNumberType.MOBILE, models.phonenumbers.PhoneNumberType.FIXED_LINE]
    examples = [models.phonenumbers.example_number_for_type(region, kind) for kind in kinds]
    form = models.phonenumbers.PhoneNumberFormat
    written = [
        models.phonenumbers.format_number(number, how)
        for number in examples
        for how in (form.E164, form.INTERNATIONAL, form.NATIONAL)
    ]
    assert all(judged(engine, violation, written))
    # A digit more, a digit less, another first digit: numbers that the plan knows or not.
    texts = [f"{first}{text[1:]}{last}" for text in written for first in (text[0], "9") for last in ("", "0", "00")]
    texts += [text[:-cut] for text in written for cut in (1, 2, 3)]
    found = zip(texts, judged(engine, violation, texts), strict=True)
    assert {(text, passes) for text, passes in found if passes is not model(text)} == set()


@pytest.mark.parametrize(
    ("name", "where", "field"),
    [
        ("country_alpha_2", "countries", "alpha_2"),
        ("country_alpha_3", "countries", "alpha_3"),
        ("currency", "currencies", "alpha_3"),
        ("language", "languages", "alpha_2"),
        ("language_alpha_3", "languages", "alpha_3"),
    ],
)
def test_codes_are_those_of_iso(engine: duckdb.DuckDBPyConnection, name: str, where: str, field: str) -> None:
    texts = ["DE", "de", "DEU", "deu", "EUR", "eur", "XX", "", " DE", "ZZZ", "CHF", "en", "eng", "UK", "GB", "GBR"]
    assert judged(engine, violation_of(name), texts) == [models.listed(where, field)(text) for text in texts]
    assert judged(engine, violation_of("country"), ["DE", "DEU", "XX", None]) == [True, True, False, True]


def test_icd10_is_a_form(engine: duckdb.DuckDBPyConnection) -> None:
    right = ["A00", "E11.9", "E119", "S72.001A", "U07.1", "C7A.00", None]
    wrong = ["a00", "A0", "A00.", "11.9", "A00.12345", "AAA", "E11 9"]
    assert judged(engine, violation_of("icd10"), [*right, *wrong]) == [True] * len(right) + [False] * len(wrong)


@pytest.mark.parametrize("name", sorted({*CASES, "country", "icd10", "phone", "language_alpha_3"}))
def test_null_breaks_no_format_and_an_empty_text_breaks_every(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    assert judged(engine, violation_of(name), [None, ""]) == [True, False]


def test_a_date_is_read_strictly(engine: duckdb.DuckDBPyConnection) -> None:
    # The default format; a year of two digits is the year 24, which %Y never means; blanks are no part of a date.
    texts = ["2024-02-29", "2023-02-29", "24-01-01", " 2024-01-01", "2024-01-01 ", "2024-1-1", "20240101"]
    assert judged(engine, violation_of("date"), texts) == [True, False, False, False, False, True, False]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"as": "email", "formats": ["%Y"]}, "check.format"),
        ({"as": "date", "region": "DE"}, "check.format"),
        ({"as": "date", "formats": ["%Q"]}, "check.format"),
        ({"as": "phone", "region": "Germany"}, "check.region"),
    ],
)
def test_options_that_say_nothing_are_refused(value: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("format", {"column": "x", **value})
    assert caught.value.code == code


def test_a_format_is_asked_of_text() -> None:
    with pytest.raises(ConfigError, match="not text"):
        check("format", {"column": "x", "as": "email"}).rules([Column("x", "BIGINT")])


def test_every_iban_of_the_registry_has_a_country_and_a_length() -> None:
    # SWIFT's registry 101 lists 89 countries; the lengths below are published with it.
    from dataflow_platform.checks._formats import IBANS as REGISTRY

    lengths = {entry[:2]: 4 + sum(map(int, re.findall(r"\d+", entry[2:]))) for entry in REGISTRY.split()}
    assert len(lengths) == 89
    assert {country: lengths[country] for country in models.LENGTHS} == models.LENGTHS
