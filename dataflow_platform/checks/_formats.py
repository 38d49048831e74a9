"""What each format of the check ``format`` means, as SQL over a text: patterns, check digits and lists of codes."""

from collections.abc import Callable, Iterable
from functools import cache

from dataflow_platform.core import sql
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.extra import require

_EXTRA = "normalise"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# The last label is no number: 1.2.3 is no host.
_LAST = "(?:[A-Za-z]|[0-9]+[A-Za-z-])(?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_TOP = f"(?:{_LAST}|[0-9]+[A-Za-z])"
_HOST = rf"(?:{_LABEL}\.)*{_TOP}"
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = rf"{_BYTE}(?:\.{_BYTE}){{3}}"
_H16 = "[0-9A-Fa-f]{1,4}"
_LS32 = f"(?:{_H16}:{_H16}|{IPV4})"
IPV6 = "|".join(
    # RFC 3986: what may stand on either side of `::`, from no `::` at all to nothing behind it.
    [
        f"(?:{_H16}:){{6}}{_LS32}",
        f"::(?:{_H16}:){{5}}{_LS32}",
        *(f"(?:(?:{_H16}:){{0,{n}}}{_H16})?::(?:{_H16}:){{{4 - n}}}{_LS32}" for n in range(5)),
        f"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
        f"(?:(?:{_H16}:){{0,6}}{_H16})?::",
    ]
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
# No top level domain ends with a digit.
_EMAIL = rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?:[A-Za-z0-9][A-Za-z0-9-]{{0,61}})?[A-Za-z]"
_PORT = "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})"
_PCT = "%[0-9A-Fa-f]{2}"
_UNRESERVED = r"A-Za-z0-9._~!$&'()*+,;=\-"
_URL = (
    rf"(?i:https?|ftp)://(?:(?:[{_UNRESERVED}:]|{_PCT})*@)?(?:{IPV4}|{_HOST}|\[(?:{IPV6})\])(?::{_PORT})?"
    rf"(?:/(?:[{_UNRESERVED}:@/]|{_PCT})*)?(?:\?(?:[{_UNRESERVED}:@/?]|{_PCT})*)?(?:#(?:[{_UNRESERVED}:@/?]|{_PCT})*)?"
)
_E164 = r"\+[1-9][0-9]{6,14}"

PATTERNS = {
    "icd10": r"[A-Z][0-9][0-9AB](?:\.?[0-9A-Z]{1,4})?",
    "ip": f"{IPV4}|{IPV6}",
    "ipv4": IPV4,
    "ipv6": IPV6,
    "url": _URL,
    "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
}
"""The formats that a pattern says whole."""

IBANS = (
    "AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BI23n BR23n1a1c BY4c4n16c CH5n12c CR18n CY8n16c "
    "CZ20n DE18n DJ23n DK14n DO4c20n EE16n EG25n ES20n FI14n FK2a12n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n "
    "GR7n16c GT24c HN4a20n HR17n HU24n IE4a14n IL19n IQ4a15n IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c "
    "LC4a24c LI5n12c LT16n LU3n13c LV4a13c LY21n MC10n11c2n MD20c ME18n MK3n10c2n MN16n MR23n MT4a5n18c MU4a19n3a "
    "NI4a20n NL4a10n NO11n OM3n16c PK4a16c PL24n PS4a21c PT21n QA4a21c RO4a16c RS18n RU14n15c SA2n18c SC4a20n3a "
    "SD14n SE20n SI15n SK20n SM1a10n12c SO19n ST21n SV4a20n TL19n TN20n TR6n16c UA6n19c VA18n VG4a16n XK16n YE4a4n18c"
)
"""What follows country and check digits of an IBAN, by SWIFT's registry: n digits, a letters, c either (capitals)."""
_KINDS = {"n": "[0-9]", "a": "[A-Z]", "c": "[0-9A-Z]"}


@cache
def _iban_pattern() -> str:
    import re

    countries = []
    for entry in IBANS.split():
        parts = re.findall(r"(\d+)([nac])", entry[2:])
        countries.append(f"{entry[:2]}[0-9]{{2}}" + "".join(f"{_KINDS[kind]}{{{count}}}" for count, kind in parts))
    return "|".join(countries)


def matches(value: str, pattern: str) -> str:
    """SQL: the whole of the text ``value`` matches."""
    return f"regexp_full_match({value}, {sql.literal(pattern)})"


def _bound(value: str, name: str, expression: str) -> str:
    """SQL of ``expression`` over ``name``, which stands for ``value``: computed once, however often it is read."""
    return f"list_transform([{value}], lambda {name}: {expression})[1]"


def email(value: str) -> str:
    """SQL: an address of RFC 5321 in ASCII, its local part unquoted, its domain with a dot."""
    return f"length({value}) <= 254 AND strpos({value}, '@') <= 65 AND {matches(value, _EMAIL)}"


def iban(value: str) -> str:
    """SQL: an IBAN as machines or people write it (groups of four), right in country, form and mod-97 check."""
    bare = (
        f"CASE WHEN {matches(value, '(?:[0-9A-Z]{4} )+[0-9A-Z]{1,4}')} THEN replace({value}, ' ', '') ELSE {value} END"
    )
    number = "lambda sign: CASE WHEN sign <= '9' THEN ord(sign) - 48 ELSE ord(sign) - 55 END"
    rest = "lambda rest, next: (rest * CASE WHEN next > 9 THEN 100 ELSE 10 END + next) % 97"
    turned = "substr(iban, 5) || substr(iban, 1, 4)"
    remainder = f"list_reduce(list_transform(string_split({turned}, ''), {number}), {rest})"
    return _bound(bare, "iban", f"CASE WHEN {matches('iban', _iban_pattern())} THEN {remainder} = 1 ELSE FALSE END")


def luhn(digits: str) -> str:
    """SQL: the check digit of a text of at most 19 digits is right by Luhn."""
    # Two digits at once; of the left one, doubled, 2d + d // 5 has the same last digit as the sum of its digits.
    pairs = [
        f"(n // {100**place}) % 10 + 2 * ((n // {10 * 100**place}) % 10) + ((n // {100**place}) % 100) // 50"
        for place in range(9)
    ]
    last = f"n // {100**9} + 2 * (n // {10 * 100**9})"
    return _bound(f"CAST({digits} AS UBIGINT)", "n", f"({' + '.join([*pairs, last])}) % 10 = 0")


def credit_card(value: str) -> str:
    """SQL: 12 to 19 digits, in groups or not, right by Luhn."""
    digits = f"regexp_replace({value}, '[ -]', '', 'g')"
    form = matches(value, "[1-9](?:[ -]?[0-9]){11,18}")
    return f"CASE WHEN {form} THEN {luhn(digits)} ELSE FALSE END"


def npi(value: str) -> str:
    """SQL: a National Provider Identifier of the USA: ten digits, right by Luhn behind 80840."""
    form = matches(value, "[12][0-9]{9}")
    prefixed = f"'80840' || {value}"
    return f"CASE WHEN {form} THEN {luhn(prefixed)} ELSE FALSE END"


def json(value: str) -> str:
    """SQL: JSON by RFC 8259."""
    # DuckDB also takes a comma before a closing bracket, NaN and Infinity; none of them can hide outside of a string.
    bare = f"""regexp_replace({value}, '"(?:[^"\\\\]|\\\\.)*"', '""', 'g')"""
    return f"json_valid({value}) AND NOT regexp_matches({bare}, ',\\s*[\\]}}]|(?i:nan|inf)')"


def phone(value: str, region: str | None) -> str:
    """SQL: a number in E.164; of ``region``, where one is given, also as people write and dial it there."""
    if region is None:
        return matches(value, _E164)
    digits = f"regexp_replace({value}, '[ ()./-]', '', 'g')"
    code, prefix, national, abroad = numbering_plan(region)
    own = matches("digits", rf"\+{code}(?:{abroad})|{f'(?:{prefix})?' if prefix else ''}(?:{national})")
    other = f"NOT starts_with(digits, '+{code}') AND {matches('digits', _E164)}"
    return _bound(digits, "digits", f"({own}) OR ({other})")


@cache
def numbering_plan(region: str) -> tuple[int, str, str, str]:
    """Of a region: country code, national prefix, pattern of its numbers, and of all numbers behind its code."""
    require("phonenumbers", _EXTRA, "format: phone with a region")
    import phonenumbers

    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ConfigError(
            "check.region", f"no phone numbers are known of '{region}'", where="region",
            fix="two capital letters, such as DE",
        )  # fmt: skip
    code = int(phonenumbers.country_code_for_region(region))
    sharing = phonenumbers.region_codes_for_country_code(code)
    known = phonenumbers.PhoneMetadata.metadata_for_region(region)
    prefix = str(getattr(known, "national_prefix", None) or "")
    return code, prefix, _numbers_of(region), "|".join(_numbers_of(each) for each in sharing if each != "001")


def _numbers_of(region: str) -> str:
    import phonenumbers

    known = phonenumbers.PhoneMetadata.metadata_for_region(region)
    kinds = (
        *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
        *("personal_number", "voip", "pager", "uan", "voicemail"),
    )
    found = {str(kind.national_number_pattern) for name in kinds if (kind := getattr(known, name)) is not None}
    return "|".join(sorted(pattern for pattern in found if pattern not in ("", "None", "NA")))


def one_of(codes: Callable[[], Iterable[str]]) -> Callable[[str], str]:
    """SQL over a text: it is one of the codes."""
    # A million rows against 7,900 codes: 13 CPU seconds by IN, 0.05 by a pattern.
    return lambda value: matches(value, "|".join(codes()))


@cache
def codes_of(listed: str, field: str) -> tuple[str, ...]:
    """The codes in ``field`` of what the package pycountry lists, sorted."""
    require("pycountry", _EXTRA, f"format: {listed}")
    import pycountry

    return tuple(sorted(code for each in getattr(pycountry, listed) if (code := getattr(each, field, None))))


COMPUTED: dict[str, Callable[[str], str]] = {
    "country": one_of(lambda: (*codes_of("countries", "alpha_2"), *codes_of("countries", "alpha_3"))),
    "country_alpha_2": one_of(lambda: codes_of("countries", "alpha_2")),
    "country_alpha_3": one_of(lambda: codes_of("countries", "alpha_3")),
    "credit_card": credit_card,
    "currency": one_of(lambda: codes_of("currencies", "alpha_3")),
    "email": email,
    "iban": iban,
    "json": json,
    "language": one_of(lambda: codes_of("languages", "alpha_2")),
    "language_alpha_3": one_of(lambda: codes_of("languages", "alpha_3")),
    "npi": npi,
}
"""The formats that take more than a pattern."""
