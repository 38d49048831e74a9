"""What a text of each format is, said in Python and by other packages, for the check ``format`` to be held against."""

import ipaddress
import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import phonenumbers
import pycountry
from email_validator import EmailNotValidError, validate_email


def holds(judge: Callable[[str], object], *errors: type[Exception]) -> Callable[[str], bool]:
    """``judge`` as a predicate: false where it says so or raises one of ``errors``."""

    def predicate(text: str) -> bool:
        try:
            return judge(text) is not False
        except errors:
            return False

    return predicate


def email(text: str) -> bool:
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError:
        return False
    # What is not ASCII in a domain the package translates; the check takes an address as servers take it.
    return text.isascii() and "." in found.domain and len(text) <= 254


def url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return False
    allowed = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?#\[\]-]|%[0-9A-Fa-f]{2})*")
    if not allowed.fullmatch(text) or parts.scheme not in ("http", "https", "ftp") or "//" not in text[:9]:
        return False
    rest = text.split("//", 1)[1]
    authority, tail = re.match(r"([^/?#]*)(.*)", rest, re.S).groups()  # type: ignore[union-attr]
    if "[" in tail or "]" in tail or tail.count("#") > 1 or authority.count("@") > 1 or "[" in authority.split("@")[0]:
        if not authority.startswith("["):
            return False
        if "[" in tail or "]" in tail or tail.count("#") > 1:
            return False
    address = authority.rsplit("@", 1)[-1]
    if address.startswith("["):
        inner, _, after = address[1:].partition("]")
        return ipv6(inner) and (after == "" or (bool(re.fullmatch(":[0-9]{1,5}", after)) and 0 <= (port or 0) <= 65535))
    if not re.fullmatch(r"[^:]+(:[0-9]{1,5})?", address) or not 0 <= (port or 0) <= 65535:
        return False
    labels = host.split(".")
    if labels[-1].isdigit():
        return ipv4(host)
    return all(re.fullmatch("(?!-)[a-z0-9-]{1,63}(?<!-)", label) for label in labels)


ipv4 = holds(ipaddress.IPv4Address, ValueError)


def ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def _no_constant(word: str) -> float:
    raise ValueError(word)


def strict_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return text.strip() == text.strip(" \t\r\n")


def luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        total += digit if place % 2 == 0 else sum(divmod(2 * digit, 10))
    return total % 10 == 0


def credit_card(text: str) -> bool:
    digits = re.sub("[ -]", "", text)
    form = re.fullmatch("[1-9]([ -]?[0-9])*", text) and 12 <= len(digits) <= 19
    return bool(form) and luhn(digits)


def npi(text: str) -> bool:
    return bool(re.fullmatch("[12][0-9]{9}", text)) and luhn("80840" + text)


LENGTHS = {"DE": 22, "GB": 22, "NO": 15, "MT": 31, "FR": 27, "RU": 33}


def iban(text: str) -> bool:
    """Right for the countries of ``LENGTHS``, whatever kinds of signs their banks use."""
    bare = text
    if " " in text:
        groups = text.split(" ")
        if any(len(group) != 4 for group in groups[:-1]) or not 1 <= len(groups[-1]) <= 4:
            return False
        bare = "".join(groups)
    if not re.fullmatch("[A-Z]{2}[0-9]{2}[A-Z0-9]+", bare) or len(bare) != LENGTHS.get(bare[:2], -1):
        return False
    return int("".join(str(int(sign, 36)) for sign in bare[4:] + bare[:4])) % 97 == 1


def by_formats(*formats: str) -> Callable[[str], bool]:
    def judge(text: str) -> bool:
        for each in formats:
            try:
                # strptime takes a blank in place of a day's first digit.
                if datetime.strptime(text, each).year >= 1000 and text.split() == [text]:
                    return True
            except ValueError:
                continue
        return False

    return judge


def phone_of(region: str) -> Callable[[str], bool]:
    def judge(text: str) -> bool:
        try:
            return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
        except phonenumbers.NumberParseException:
            return False

    return judge


def listed(where: str, field: str) -> Callable[[str], bool]:
    return lambda text: (
        getattr(pycountry, where).get(**{field: text}) is not None
        and text == (text.lower() if where == "languages" else text.upper())
    )


def canonical_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
