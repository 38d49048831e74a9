"""The forms that ``normalise`` brings values into: what a person declares, and how one value gets there."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, model_validator

from dataflow_platform.core.base import Spec
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.extra import require

Converter = Callable[[str], str | None]
"""A text without blanks around it to its form; None where it has none."""
_EXTRA = "normalise"
_SHARED_SYMBOLS = frozenset({"$", "£", "¥", "₩", "FCFA", "F\u202fCFA", "¤"})
"""Signs of several currencies, though English texts mostly mean one of them."""


class _Judged(Spec):
    misfit: Literal["fail", "quarantine", "null"] = Field(
        default="fail",
        description="What becomes of a value that cannot be brought into the form: the run fails, the row goes to "
        "quarantine, or the value becomes NULL.",
    )


class AsDate(_Judged):
    """Texts to dates."""

    as_: Literal["date"] = Field(alias="as", description="`date`: a text in one of several formats, to a date.")
    formats: list[str] = Field(
        min_length=1, description="The formats that occur, such as `['%d.%m.%Y', '%Y-%m-%d']`. A `%Y` has four digits."
    )
    ambiguous: Literal["misfit", "first"] = Field(
        default="misfit",
        description="What becomes of a text that two formats read as different dates, such as 03/04/2024 by `%d/%m/%Y` "
        "and `%m/%d/%Y`: it is a misfit, or the first format that reads it wins.",
    )


class AsPhone(_Judged):
    """Phone numbers to E.164."""

    as_: Literal["phone"] = Field(alias="as", description="`phone`: a phone number, to E.164, such as +493012345678.")
    region: str | None = Field(
        default=None,
        description="Country (two letters, such as `DE`) of the numbers that do not begin with + and a country code; "
        "without it they are misfits.",
    )

    @model_validator(mode="after")
    def _check(self) -> "AsPhone":
        require("phonenumbers", _EXTRA, "normalise to phone")
        if self.region is not None:
            import phonenumbers

            if self.region not in phonenumbers.SUPPORTED_REGIONS:
                raise ConfigError(
                    "normalise.region", f"no phone numbers are known of '{self.region}'", where="region",
                    fix="two capital letters, such as DE",
                )  # fmt: skip
        return self

    def converter(self) -> Converter:
        """Numbers that are valid in their numbering plan."""
        import phonenumbers

        def convert(text: str) -> str | None:
            try:
                number = phonenumbers.parse(text, self.region)
            except phonenumbers.NumberParseException:
                return None
            if not phonenumbers.is_valid_number(number):
                return None
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

        return convert


class AsCountry(_Judged):
    """Countries to one of their codes, or to their name."""

    as_: Literal["country"] = Field(
        alias="as", description="`country`: a country's name or ISO 3166 code (letters or number), to one of them."
    )
    to: Literal["alpha_2", "alpha_3", "numeric", "name"] = Field(
        default="alpha_2", description="What it becomes; `name` is ISO's English name."
    )
    languages: list[str] = Field(
        default_factory=list, description="Languages, beside English, whose names of countries occur, such as `[de]`."
    )
    names: dict[str, str] = Field(
        default_factory=dict, description="More names to two-letter codes, such as `{UK: GB, Turkey: TR}`."
    )

    @model_validator(mode="after")
    def _check(self) -> "AsCountry":
        require("pycountry", _EXTRA, "normalise to country")
        import pycountry

        for name, code in self.names.items():
            if pycountry.countries.get(alpha_2=code) is None:
                raise ConfigError(
                    "normalise.country", f"'{code}' is no country", where=f"names.{name}",
                    fix="use a code of ISO 3166, two capital letters",
                )  # fmt: skip
        if self.languages:
            require("babel", _EXTRA, "normalise to country by languages")
            list(_territories(self.languages))
        return self

    def converter(self) -> Converter:
        """By an index of all names; one that two countries share is none."""
        import pycountry

        index: dict[str, set[str]] = {}
        for country in pycountry.countries:
            for field in ("alpha_2", "alpha_3", "numeric", "name", "official_name", "common_name"):
                if word := getattr(country, field, None):
                    index.setdefault(_folded(word), set()).add(country.alpha_2)
        for code, name in _territories(self.languages):
            index.setdefault(_folded(name), set()).add(code)
        index |= {_folded(name): {code} for name, code in self.names.items()}
        wanted = {country.alpha_2: str(getattr(country, self.to)) for country in pycountry.countries}

        def convert(text: str) -> str | None:
            folded = _folded(text)
            known = index.get(folded.zfill(3) if folded.isdecimal() else folded, set())
            return wanted[next(iter(known))] if len(known) == 1 else None

        return convert


class AsCurrency(_Judged):
    """Currencies to their ISO 4217 code."""

    as_: Literal["currency"] = Field(
        alias="as", description="`currency`: a code, an English name or a sign of one currency only, to ISO 4217."
    )
    names: dict[str, str] = Field(
        default_factory=dict,
        description="More names and signs to codes. Signs of several currencies are known by this alone, such as "
        "`{$: USD, £: GBP}`.",
    )

    @model_validator(mode="after")
    def _check(self) -> "AsCurrency":
        require("pycountry", _EXTRA, "normalise to currency")
        require("babel", _EXTRA, "normalise to currency")
        import pycountry

        for name, code in self.names.items():
            if pycountry.currencies.get(alpha_3=code) is None:
                raise ConfigError(
                    "normalise.currency", f"'{code}' is no currency", where=f"names.{name}",
                    fix="use a code of ISO 4217, three capital letters",
                )  # fmt: skip
        return self

    def converter(self) -> Converter:
        """By an index of codes, names and signs; one that two currencies share is none."""
        import pycountry
        from babel.numbers import get_currency_name, get_currency_symbol

        index: dict[str, set[str]] = {}
        for currency in pycountry.currencies:
            code = currency.alpha_3
            names = [get_currency_name(code, count, "en") for count in (None, 1, 2)]
            signs = {get_currency_symbol(code, locale) for locale in ("en", "en_001")} - _SHARED_SYMBOLS
            for word in {code, currency.numeric, currency.name, *names, *signs}:
                index.setdefault(_folded(word), set()).add(code)
        index |= {_folded(name): {code} for name, code in self.names.items()}

        def convert(text: str) -> str | None:
            known = index.get(_folded(text), set())
            return next(iter(known)) if len(known) == 1 else None

        return convert


class AsEmail(_Judged):
    """E-mail addresses."""

    as_: Literal["email"] = Field(
        alias="as",
        description="`email`: an address with its domain in lower case. Nothing is asked of the network: whether "
        "the mailbox is there is not known.",
    )

    @model_validator(mode="after")
    def _check(self) -> "AsEmail":
        require("email_validator", _EXTRA, "normalise to email")
        return self

    def converter(self) -> Converter:
        """By syntax."""
        from email_validator import EmailNotValidError, validate_email

        def convert(text: str) -> str | None:
            try:
                return str(validate_email(text, check_deliverability=False).normalized)
            except EmailNotValidError:
                return None

        return convert


class AsUrl(_Judged):
    """Addresses of the web."""

    as_: Literal["url"] = Field(
        alias="as",
        description="`url`: an http or https address; scheme and host in lower case, without the scheme's own port, "
        "with a path. What stands behind the host is left as it is.",
    )
    scheme: Literal["http", "https"] | None = Field(
        default=None, description="The scheme of addresses that have none; without it they are misfits."
    )

    def converter(self) -> Converter:
        """By syntax."""

        def convert(text: str) -> str | None:
            whole = text if "://" in text or self.scheme is None else f"{self.scheme}://{text}"
            try:
                parts = urlsplit(whole)
                port, host = parts.port, parts.hostname
            except ValueError:
                return None
            scheme = parts.scheme.lower()
            if scheme not in ("http", "https") or not host or re.search(r"\s", whole):
                return None
            place = f"[{host}]" if ":" in host else host
            if port is not None and port != {"http": 80, "https": 443}[scheme]:
                place += f":{port}"
            login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
            return urlunsplit((scheme, login + place, parts.path or "/", parts.query, parts.fragment))

        return convert


class AsMinMax(Spec):
    """Numbers to their place between the least and the greatest."""

    as_: Literal["min_max"] = Field(
        alias="as",
        description="`min_max`: a number, to its place between the least (0) and the greatest (1) of all rows; 0 where "
        "all are equal. It needs all rows: the stream has no cursor.",
    )


class AsZScore(Spec):
    """Numbers to their distance from the mean."""

    as_: Literal["z_score"] = Field(
        alias="as",
        description="`z_score`: a number, to its distance from the mean of all rows in (population) standard "
        "deviations; 0 where all are equal. It needs all rows: the stream has no cursor.",
    )


ByValue = AsPhone | AsCountry | AsCurrency | AsEmail | AsUrl
BY_VALUE = (AsPhone, AsCountry, AsCurrency, AsEmail, AsUrl)
"""The forms that a library knows."""
Form = Annotated[
    AsDate | AsPhone | AsCountry | AsCurrency | AsEmail | AsUrl | AsMinMax | AsZScore, Field(discriminator="as_")
]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _territories(languages: list[str]) -> Iterator[tuple[str, str]]:
    """Two-letter code and name of each country in each of the languages."""
    if not languages:
        return
    import pycountry
    from babel import Locale, UnknownLocaleError

    codes = {country.alpha_2 for country in pycountry.countries}
    for language in languages:
        try:
            names = Locale.parse(language).territories
        except (UnknownLocaleError, ValueError):
            raise ConfigError(
                "normalise.language", f"unknown language '{language}'", where="languages", fix="such as de, fr or pt_BR"
            ) from None
        yield from ((code, name) for code, name in names.items() if code in codes)
