"""Values brought into one form."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from dataflow_platform.core import extra
from dataflow_platform.core.base import Column
from dataflow_platform.core.distinct_values import per_distinct
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.engine import transform
from tests.transformations.stepping import over, refusal, step

TEXT = [Column("v", "VARCHAR")]
NULL = {"misfit": "null"}


def made(form: dict[str, Any], *values: str) -> list[Any]:
    """The values in their form."""
    rows = ", ".join(f"({place}, '{value}')" for place, value in enumerate(values))
    names, found = over(f"SELECT * FROM (VALUES {rows}) AS t(n, v)", step("normalise", {"v": form}))
    assert names == ["n", "v"]
    return [row[1] for row in sorted(found)]


def test_dates_of_several_formats() -> None:
    form = {"as": "date", "formats": ["%d.%m.%Y", "%Y-%m-%d"], **NULL}
    # A year of two digits is none of %Y, and February has no 30th.
    given = made(form, "1.2.2024", " 2024-02-29 ", "01.02.24", "30.02.2024", "soon")
    assert given == [date(2024, 2, 1), date(2024, 2, 29), None, None, None]


@pytest.mark.parametrize(("ambiguous", "fourth"), [("misfit", None), ("first", date(2024, 4, 3))])
def test_a_day_that_may_be_a_month_is_not_guessed(ambiguous: str, fourth: date | None) -> None:
    form = {"as": "date", "formats": ["%d/%m/%Y", "%m/%d/%Y"], "ambiguous": ambiguous, **NULL}
    # 04/04 is the same date either way; there is no 13th month.
    assert made(form, "13/04/2024", "04/13/2024", "04/04/2024", "03/04/2024") == [
        date(2024, 4, 13), date(2024, 4, 13), date(2024, 4, 4), fourth,
    ]  # fmt: skip


def test_phone_numbers() -> None:
    # Numbers of the format's own documentation: Berlin, and Google's in California. 110 is no number abroad can dial.
    values = ("030 123456", "+49 (0)30/123456", "001 650-253-0000", "110", "call me")
    assert made({"as": "phone", "region": "DE", **NULL}, *values) == [
        "+4930123456", "+4930123456", "+16502530000", None, None,
    ]  # fmt: skip
    assert made({"as": "phone", **NULL}, *values) == [None, "+4930123456", None, None, None]


@pytest.mark.parametrize(
    ("to", "germany"), [("alpha_2", "DE"), ("alpha_3", "DEU"), ("numeric", "276"), ("name", "Germany")]
)
def test_countries_by_any_of_their_names(to: str, germany: str) -> None:
    form = {"as": "country", "to": to, "languages": ["de"], "names": {"Old Germany": "DE"}, **NULL}
    words = ("DE", "deu", "276", " germany ", "Federal Republic of Germany", "Deutschland", "old germany", "Atlantis")
    assert made(form, *words) == [germany] * 7 + [None]
    assert made({**form, "languages": []}, "Deutschland") == [None]


def test_a_number_of_a_country_may_lack_its_zeros() -> None:
    assert made({"as": "country", **NULL}, "004", "4", "40") == ["AF", "AF", "AT"]  # ISO: 004 and 040


def test_currencies_where_a_sign_has_one() -> None:
    words = ("eur", "Euro", "euros", "€", "₹", "A$", "$", "£", "978", "Taler")
    assert made({"as": "currency", **NULL}, *words) == [
        "EUR", "EUR", "EUR", "EUR", "INR", "AUD", None, None, "EUR", None,
    ]  # fmt: skip
    assert made({"as": "currency", "names": {"$": "CAD"}, **NULL}, "$", "US Dollar") == ["CAD", "USD"]


def test_addresses_of_mail_and_web() -> None:
    assert made({"as": "email", **NULL}, "Ada.L@Example.ORG", "ada@", "ada at example.org") == [
        "Ada.L@example.org", None, None,
    ]  # fmt: skip
    given = ("HTTP://Example.ORG:80", "https://example.org:8443/A?b=C#d", "example.org/x", "ftp://example.org", "x y")
    assert made({"as": "url", **NULL}, *given) == [
        "http://example.org/", "https://example.org:8443/A?b=C#d", None, None, None,
    ]  # fmt: skip
    assert made({"as": "url", "scheme": "https", **NULL}, "example.org/x", "x y") == ["https://example.org/x", None]


def test_numbers_by_all_rows() -> None:
    _, rows = over(
        "SELECT x, x AS y, 7 AS z FROM (VALUES (2), (4), (4), (4), (5), (5), (7), (9), (NULL)) AS t(x)",
        step("normalise", {"x": {"as": "z_score"}, "y": {"as": "min_max"}, "z": {"as": "z_score"}}),
    )
    # The textbook's example: mean 5, standard deviation 2. Least 2, greatest 9.
    assert sorted(rows, key=str)[:2] == [(-0.5, 2 / 7, 0.0), (-0.5, 2 / 7, 0.0)]
    assert (2.0, 1.0, 0.0) in rows
    assert (None, None, 0.0) in rows


def test_a_statistic_of_new_rows_alone_is_refused() -> None:
    for form in ("min_max", "z_score"):
        with pytest.raises(ConfigError) as raised:
            transform.refuse_unfit([step("normalise", {"v": {"as": form}})], "id")
        assert raised.value.code == "transform.needs_all"
    transform.refuse_unfit([step("normalise", {"v": {"as": "url"}})], "id")


def test_a_misfit_fails_or_is_set_aside() -> None:
    rows = "SELECT * FROM (VALUES ('DE'), ('Atlantis'), (NULL)) AS t(v)"
    with pytest.raises(Exception, match="a value of v is no country") as raised:
        over(rows, step("normalise", {"v": {"as": "country"}}))
    assert "Atlantis" not in str(raised.value)
    judged = step("normalise", {"v": {"as": "country", "misfit": "quarantine"}})
    assert judged.rules() == {"normalise_v": "v is no country"}
    connection_rows = over(rows, judged)[1]
    assert sorted(connection_rows, key=str) == [("DE", False), (None, False), (None, True)]


def test_a_library_is_asked_once_for_each_value() -> None:
    asked: list[str] = []

    def upper(text: str) -> str:
        asked.append(text)
        return text.upper()

    call = per_distinct(upper, pa.string)
    for _ in range(3):  # three batches
        assert call(pa.array(["a", "b", None, "a"])).to_pylist() == ["A", "B", None, "A"]
    assert asked == ["a", "b"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"as": "phone", "region": "Germany"}, "normalise.region"),
        ({"as": "country", "names": {"UK": "UK"}}, "normalise.country"),
        ({"as": "country", "languages": ["elvish"]}, "normalise.language"),
        ({"as": "currency", "names": {"$": "USX"}}, "normalise.currency"),
        ({"as": "min_max"}, "column.type"),
    ],
)
def test_a_mistake_is_found_before_a_row_is_read(form: dict[str, Any], code: str) -> None:
    assert refusal("normalise", {"v": form}, TEXT).code == code


def test_a_package_that_is_absent_is_named_with_its_extra() -> None:
    with pytest.raises(ConfigError) as raised:
        extra.require("no_such_package", "normalise", "the step")
    assert raised.value.fix == "pip install 'dataflow-platform[normalise]'"
    assert not isinstance(raised.value, DataError)
