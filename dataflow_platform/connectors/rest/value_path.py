"""Where a value stands in a decoded answer: `data.items`, `list[].customer`, `[1]`, `link[relation=next].url`."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from dataflow_platform.core.errors import ConfigError

_STEP = re.compile(r'\.?(?:"([^"]+)"|([^.\[\]"]+)|\[([^\[\]]*)\])')
_TEST = re.compile(r"([^=]+)=(.*)")

Step = str | int | tuple[str, str] | None
"""A key, a position in a list, a key and the text it must equal (the first item that does), or None: every item."""


@cache
def steps(path: str) -> tuple[Step, ...]:
    """The steps of a written path; ``$`` and the empty path are the value itself. ConfigError where it is none."""
    rest = path.strip().removeprefix("$")
    found: list[Step] = []
    while rest:
        match = _STEP.match(rest)
        if not match:
            raise ConfigError(
                "rest.path",
                f"'{path}' is no path of a value",
                fix='write keys with dots, a.b; items as [0], [] for each or [key=text]; odd keys in quotes: a."b.c"',
            )
        found.append(match[1] or match[2] or _bracket(match[3]))
        rest = rest[match.end() :]
    return tuple(found)


def _bracket(text: str) -> Step:
    if not text:
        return None
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    test = _TEST.fullmatch(text)
    return (test[1], test[2]) if test else text


def find(value: Any, path: str) -> Any:
    """The first value at ``path``; None where there is none."""
    return next(_walk(value, steps(path)), None)


def find_all(value: Any, path: str) -> list[Any]:
    """Every value at ``path``; of a path without ``[]`` there is one at most."""
    return list(_walk(value, steps(path)))


def _walk(value: Any, left: tuple[Step, ...]) -> Iterator[Any]:
    for position, step in enumerate(left):
        if step is None:
            for item in value if isinstance(value, list) else ():
                yield from _walk(item, left[position + 1 :])
            return
        if isinstance(step, int):
            if not isinstance(value, list) or not -len(value) <= step < len(value):
                return
            value = value[step]
        elif isinstance(step, tuple):
            items = value if isinstance(value, list) else ()
            value = next((each for each in items if isinstance(each, Mapping) and _equals(each, step)), None)
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is None:
            return
    yield value


def _equals(item: Mapping[str, Any], test: tuple[str, str]) -> bool:
    return str(item.get(test[0])) == test[1]


def put(body: Any, path: str, value: Any) -> Any:
    """``body`` (an object) with ``value`` at dotted ``path``; the original is left as it is."""
    keys = [str(step) for step in steps(path)]
    return _put(body, keys, value)


def _put(body: Any, keys: list[str], value: Any) -> Any:
    whole = dict(body) if isinstance(body, Mapping) else {}
    whole[keys[0]] = value if len(keys) == 1 else _put(whole.get(keys[0]), keys[1:], value)
    return whole
