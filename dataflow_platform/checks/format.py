"""Check ``format``."""

from collections.abc import Sequence
from functools import cache
from typing import Literal

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, column_of, require_text, rule, rule_names
from dataflow_platform.checks._formats import COMPUTED, PATTERNS, matches, numbering_plan, phone
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rule
from dataflow_platform.core.errors import ConfigError

Known = Literal[
    "country", "country_alpha_2", "country_alpha_3", "credit_card", "currency", "date", "email", "iban", "icd10", "ip",
    "ipv4", "ipv6", "json", "language", "language_alpha_3", "npi", "phone", "url", "uuid",
]  # fmt: skip
_WORDS: dict[str, str] = {
    "country": "a country code of ISO 3166",
    "country_alpha_2": "a country code of two letters",
    "country_alpha_3": "a country code of three letters",
    "credit_card": "a card number",
    "currency": "a currency code of ISO 4217",
    "email": "an e-mail address",
    "iban": "an IBAN",
    "icd10": "a code of the form of ICD-10",
    "ip": "an IP address",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "json": "JSON",
    "language": "a language code of two letters",
    "language_alpha_3": "a language code of three letters",
    "npi": "a National Provider Identifier",
    "phone": "a phone number",
    "url": "a URL",
    "uuid": "a UUID",
}


class Format(RowCheck):
    """A text column whose values all have a known format.

    - `email`: an address in ASCII as mail servers take it, with a dot in its domain; nothing is sent.
    - `phone`: E.164 (`+493012345678`); with `region` also as written and dialled there, blanks, brackets, dots, dashes
      and slashes left out, in the numbering plan as the package phonenumbers knows it.
    - `url`: http, https or ftp by RFC 3986, with a host. `uuid`: 32 hexadecimal digits with dashes. `json`: RFC 8259.
    - `ip`, `ipv4`, `ipv6`: an address without prefix length and zone.
    - `date`: a date that exists, in one of `formats`.
    - `iban`: in one piece or in groups of four, in capitals; country, form and the check by mod 97.
    - `credit_card`: 12 to 19 digits, dashes and blanks between them, the check by Luhn.
    - `npi`: ten digits, the check by Luhn. `icd10`: the form of a code, with or without its dot; not that it exists.
    - `country`, `country_alpha_2`, `country_alpha_3`, `currency`, `language`, `language_alpha_3`: codes of ISO 3166,
      4217 and 639 as the package pycountry lists them, upper and lower case as ISO writes them.
    """

    column: str = Field(description="The column. NULL breaks nothing; add not_null for that.")
    as_: Known = Field(alias="as", description="The format.")
    formats: list[str] = Field(
        default_factory=list,
        description="Of `date`: the formats that occur, such as `['%d.%m.%Y']`; without them `%Y-%m-%d`. A `%Y` has "
        "four digits.",
    )
    region: str | None = Field(
        default=None, description="Of `phone`: the country (two letters, such as `DE`) of numbers that name none."
    )

    @model_validator(mode="after")
    def _check(self) -> "Format":
        for field, kind in (("formats", "date"), ("region", "phone")):
            if getattr(self, field) and self.as_ != kind:
                raise ConfigError(
                    "check.format", f"'{field}' says nothing of {self.as_}", where=field, fix=f"leave it out: of {kind}"
                )
        for pattern in self.formats:
            _refuse_no_date(pattern)
        if self.region is not None:
            numbering_plan(self.region)
        if self.as_ in COMPUTED:
            COMPUTED[self.as_]("''")  # a list of codes that is not installed is told when the pipeline is read
        return self

    def names(self) -> list[str]:
        """``format_<column>``."""
        return rule_names(self, [f"format_{self.column}"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One row rule."""
        column = column_of(self.column, columns)
        require_text(column)
        message = f"{column.name} is not {self._words()}"
        value = sql.quote(column.name)
        violation = f"{value} IS NOT NULL AND NOT ({self._valid(value)})"
        return [rule(self, self.names()[0], message, column=column.name, violation=violation)]

    def _words(self) -> str:
        if self.as_ == "date":
            return f"a date in the format {' or '.join(self.formats or ['%Y-%m-%d'])}"
        return _WORDS[self.as_] + (f" of {self.region}" if self.region else "")

    def _valid(self, value: str) -> str:
        if self.as_ == "date":
            return " OR ".join(_reads(value, each) for each in self.formats or ["%Y-%m-%d"])
        if self.as_ == "phone":
            return phone(value, self.region)
        return matches(value, PATTERNS[self.as_]) if self.as_ in PATTERNS else COMPUTED[self.as_](value)


def _reads(value: str, pattern: str) -> str:
    read = f"try_strptime({value}, {sql.literal(pattern)})"
    # DuckDB reads 24 by %Y as the year 24, and passes over blanks in front.
    whole = f"year({read}) >= 1000" if "%Y" in pattern else f"{read} IS NOT NULL"
    return f"(coalesce({whole}, FALSE) AND {value} = trim({value}))"


@cache
def _refuse_no_date(pattern: str) -> None:
    """ConfigError ``check.format`` where DuckDB reads no date by ``pattern``."""
    import duckdb

    try:
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"SELECT try_strptime('', {sql.literal(pattern)})").fetchall()
    except duckdb.Error as error:
        raise ConfigError(
            "check.format", f"the format {pattern!r} cannot be read by: {str(error).splitlines()[0]}", where="formats",
            fix="write it like %d.%m.%Y",
        ) from None  # fmt: skip
