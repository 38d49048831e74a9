"""Keyed functions of texts: a hash, a token and the way back, an invented value.

One key serves all: each function but the hash works with a key derived from it, so none tells what another needs.
"""

import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from dataflow_platform.core.errors import ConfigError, DataError

LEAST = 16
"""Characters a key has at least."""
_BLOCK = 64  # bytes of a block of SHA-256
_PREFIX = "tok_"  # so that no token begins with a sign that a shell or a spreadsheet takes for its own
_VERSION = b"\x01"  # first byte of what a token holds; what is behind it is the text
_REMEMBERED = 50_000  # invented values kept at hand: making one takes a hundred times as long as finding it

FAKES: dict[str, str] = {
    "name": "name", "first_name": "first_name", "last_name": "last_name", "email": "ascii_safe_email",
    "phone": "phone_number", "address": "address", "street": "street_address", "city": "city",
    "postcode": "postcode", "country": "country", "company": "company", "job": "job", "user_name": "user_name",
    "iban": "iban",
}  # fmt: skip
"""What can be invented, and Faker's word for it. Its safe e-mail addresses are in domains that nobody can own."""


def hashed(key: str) -> Callable[[str], str]:
    """HMAC-SHA-256 of a text (UTF-8) under ``key``, in 64 hexadecimal digits."""
    _refuse_short(key)
    raw = key.encode()
    block = (hashlib.sha256(raw).digest() if len(raw) > _BLOCK else raw).ljust(_BLOCK, b"\0")
    # Both halves of the HMAC begin with the key alone. Begun once and copied, a value takes 1.3 us, by the module
    # hmac 3.3 us; the same in DuckDB's SQL 1.5 us, with the key in the plan of the query.
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))

    def value(text: str) -> str:
        first, second = inner.copy(), outer.copy()
        first.update(text.encode())
        second.update(first.digest())
        return second.hexdigest()

    return value


def tokenised(key: str) -> Callable[[str], str]:
    """AES-SIV (RFC 5297, 512 bits) of a text under ``key``, in URL-safe base64: equal texts have equal tokens."""
    cipher = _cipher(key)

    def value(text: str) -> str:
        raw: bytes = cipher.encrypt(_VERSION + text.encode(), None)
        return _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    return value


def detokenised(key: str) -> Callable[[str], str]:
    """The text behind a token of ``tokenised``; DataError for what was not made with ``key``."""
    cipher = _cipher(key)

    def text(token: str) -> str:
        from cryptography.exceptions import InvalidTag

        try:
            bare = token.removeprefix(_PREFIX)
            raw = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
            plain: bytes = cipher.decrypt(raw, None)
            if plain[:1] == _VERSION:
                return plain[1:].decode()
        except (ValueError, InvalidTag):
            pass
        raise DataError(
            "mask.token",
            "this is no token made with this key",
            fix="take the key it was made with, and the whole token",
        )

    return text


def invented(key: str, kind: str, locale: str) -> Callable[[str], str]:
    """A value of ``kind`` (see ``FAKES``) for a text: the same for the same text, key, kind, locale and Faker."""
    maker = _faker(locale)
    make, seeds = getattr(maker, FAKES[kind]), hashed(_derived(key, f"fake {kind} {locale}").hex())
    known: OrderedDict[str, str] = OrderedDict()

    def value(text: str) -> str:
        if text in known:
            known.move_to_end(text)
            return known[text]
        maker.seed_instance(int(seeds(text), 16))
        known[text] = str(make())
        if len(known) > _REMEMBERED:
            known.popitem(last=False)
        return known[text]

    return value


def _faker(locale: str) -> Any:
    try:
        from faker import Faker
    except ImportError as error:
        raise ConfigError(
            "mask.faker", "invented values are made by Faker, which is not installed",
            fix="pip install 'dataflow-platform[masking]'",
        ) from error  # fmt: skip
    try:
        return Faker(locale)[locale]
    except (AttributeError, KeyError, ValueError):
        raise ConfigError(
            "mask.locale", f"Faker has no locale '{locale}'", where="locale", fix="write it like en_US or de_DE"
        ) from None


def _derived(key: str, purpose: str) -> bytes:
    """64 bytes that ``key`` gives for one purpose and no other."""
    _refuse_short(key)
    return hmac.digest(key.encode(), f"dataflow_platform mask {purpose}".encode(), "sha512")


def _cipher(key: str) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    except ImportError as error:
        raise ConfigError(
            "mask.cryptography", "tokens are made by cryptography, which is not installed",
            fix="pip install 'dataflow-platform[masking]'",
        ) from error  # fmt: skip
    return AESSIV(_derived(key, "tokenise"))


def _refuse_short(key: str) -> None:
    if len(key) < LEAST:
        raise ConfigError(
            "mask.key_short", f"the key has fewer than {LEAST} characters", where="key",
            fix="make one that nobody can guess, such as by: openssl rand -hex 32",
        )  # fmt: skip
