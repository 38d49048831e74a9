"""Texts of a connector with names in braces: `/repos/{owner}/{repo}`, `updated>{cursor}`."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)\}")

CURSOR_NAMES = ("cursor", "cursor_end")
"""Set by the reading: where it begins, and where it ends."""


class AbsentError(Exception):
    """A text names a value that is not there (yet): a cursor before the first load."""


def names(value: Any) -> Iterator[str]:
    """The names in braces anywhere in ``value``: a text, or lists and maps of such."""
    if isinstance(value, str):
        yield from (match[1] for match in _NAME.finditer(value))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from names(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from names(each)


def fill(text: str, values: Mapping[str, Any], encode: Callable[[str], str] = str) -> str:
    """``text`` with each name replaced by its value, written by ``encode``; AbsentError where a value is None."""

    def replace(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if value is None:
            raise AbsentError(match[1])
        return encode(as_text(value))

    return _NAME.sub(replace, text)


def fill_path(text: str, values: Mapping[str, Any]) -> str:
    """A path with its names replaced: a value is one segment, whatever characters it holds.

    A path that is one name stands for a whole address where its value is one; a name for a name is left in braces.
    """
    whole = _NAME.fullmatch(text)
    address = str(values.get(whole[1])) if whole else ""
    if address.startswith(("http://", "https://")):
        return address
    return fill(text, values, lambda value: value if _NAME.fullmatch(value) else quote(value, safe=""))


def fill_all(value: Any, values: Mapping[str, Any]) -> Any:
    """``value`` with the texts in it filled; what is exactly `{name}` keeps the value's type.

    Entries of maps and lists that name what is absent are left out.
    """
    if isinstance(value, str):
        whole = _NAME.fullmatch(value)
        if whole and values.get(whole[1]) is not None:
            return values[whole[1]]
        return fill(value, values)
    if isinstance(value, Mapping):
        return dict(_filled(value, values))
    if isinstance(value, list):
        return [filled for _, filled in _filled(dict(enumerate(value)), values)]
    return value


def _filled(entries: Mapping[Any, Any], values: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    for name, each in entries.items():
        try:
            yield name, fill_all(each, values)
        except AbsentError:
            continue


def as_text(value: Any) -> str:
    """How a value is written into a text: true and false as JSON has them."""
    return str(value).lower() if isinstance(value, bool) else str(value)
