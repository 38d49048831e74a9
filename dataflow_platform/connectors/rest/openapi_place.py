"""Where a written address stands in a description: which operation it is, and whether the host is the vendor's."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from dataflow_platform.connectors.rest.openapi import Description, Operation

_NAME = re.compile(r"\{\+?([^{}]*)\}")
_NOWHERE = re.compile(r"(^|\.)(local|localhost|test|invalid|example(\.(com|org|net))?)(:\d+)?$|^127\.|^$|apiblueprint")


@dataclass(frozen=True)
class Address:
    """A written address in its parts; names in braces stay. An empty host is one nobody told."""

    host: str
    segments: tuple[str, ...]


@cache
def address(url: str) -> Address:
    """``https://{site}.example.com/v1/users`` in its parts; the query is left away."""
    marked = _NAME.sub(lambda match: match[0].replace("/", "\x00"), url)
    _scheme, found, rest = marked.partition("://")
    if not found:
        host, rest = rest_of(marked[2:]) if marked.startswith("//") else ("", marked)
    else:
        host, rest = rest_of(rest)
    path = rest.partition("?")[0].partition("#")[0]
    return Address(host.lower(), tuple(part.replace("\x00", "/") for part in path.lstrip("/").split("/")))


def rest_of(text: str) -> tuple[str, str]:
    """Host and what follows it."""
    host, slash, path = text.partition("/")
    return host, slash + path


def joined(base: str, path: str) -> str:
    """An address below ``base``; a path that is an address itself stays as it is."""
    return path if urlsplit(path).scheme else f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base


@dataclass(frozen=True)
class Located:
    """The operation an address is; None where the document has none, with what comes nearest.

    ``methods`` are those the path takes instead; ``free`` the parts of the path that the document leaves to the
    caller and the address fixes.
    """

    operation: Operation | None
    methods: tuple[str, ...] = ()
    nearest: str | None = None
    free: tuple[str, ...] = ()


def locate(description: Description, method: str, url: str, defaults: Mapping[str, str]) -> Located:
    """The operation of ``description`` that ``method`` and ``url`` ask for. ``defaults`` are values of variables."""
    wanted = address(url)
    filled = address(_NAME.sub(lambda match: defaults.get(match[1], match[0]), url))
    best: tuple[int, str, str] | None = None
    others: dict[str, int] = {}
    for key_method, path, servers in description.keys:
        score = max(_score(wanted.segments, path, servers), _score(filled.segments, path, servers))
        if score < 0:
            continue
        if key_method != method:
            others[key_method] = max(score, others.get(key_method, -1))
        elif best is None or score > best[0]:
            best = (score, key_method, path)
    exact = max(others.values(), default=-1)
    if best is not None and best[0] >= exact:
        operation = description.operation(best[1], best[2])
        return Located(operation, free=_free(wanted.segments, operation))
    if others:
        return Located(None, methods=tuple(sorted(name for name, score in others.items() if score == exact)))
    return Located(None, nearest=_nearest(description, method, filled))


def _score(wanted: tuple[str, ...], path: str, servers: Iterable[str]) -> int:
    """How many parts are the same to the letter; -1 where the address is another."""
    return max((_match(wanted, told) for server in servers for told in _told(server, path)), default=-1)


@cache
def _told(server: str, path: str) -> tuple[tuple[str, ...], ...]:
    """The paths that a server and a path below it may mean: some documents write the server's path in both."""
    base = "/" + "/".join(address(server).segments).strip("/")
    if len(base) > 1 and path.startswith(f"{base}/"):
        return address(joined(server, path)).segments, address(path).segments
    return (address(joined(server, path)).segments,)


def _match(wanted: tuple[str, ...], told: tuple[str, ...]) -> int:
    # A server without a host and path (`/`) leaves an empty part before the path.
    told = told[1:] if told[:1] == ("",) and len(told) > 1 else told
    if len(wanted) != len(told):
        return -1
    same = 0
    for ours, theirs in zip(wanted, told, strict=True):
        if _NAME.sub("{}", ours) == _NAME.sub("{}", theirs):
            same += 1
        elif "{" in ours or not _fits(theirs, ours):
            return -1
    return same


def _fits(told: str, text: str) -> bool:
    return "{" in told and bool(text) and _pattern(told, "[^/]+").fullmatch(text) is not None


@cache
def _pattern(told: str, inside: str) -> re.Pattern[str]:
    parts = _NAME.split(told)
    return re.compile("".join(inside if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def _free(wanted: tuple[str, ...], operation: Operation) -> tuple[str, ...]:
    for told in (each for server in operation.servers for each in _told(server, operation.path)):
        told = told[1:] if told[:1] == ("",) and len(told) > 1 else told
        if _match(wanted, told) >= 0:
            return tuple(ours for ours, theirs in zip(wanted, told, strict=True) if "{" in theirs and "{" not in ours)
    return ()


def _nearest(description: Description, method: str, wanted: Address) -> str | None:
    import difflib

    paths = {
        "/".join(_NAME.sub("{}", part) for part in address(joined(server, path)).segments): path
        for key_method, path, servers in description.keys
        if key_method == method
        for server in servers
    }
    text = "/".join(_NAME.sub("{}", part) for part in wanted.segments)
    found = difflib.get_close_matches(text, list(paths), n=1, cutoff=0.5)
    return paths[found[0]] if found else None


def told_hosts(servers: Iterable[str]) -> list[str]:
    """The hosts that ``servers`` name; `example.com`, `*.local` and what is nothing but names in braces tell none."""
    hosts = (address(server).host for server in servers)
    told = [host for host in dict.fromkeys(hosts) if not _NOWHERE.search(host)]
    return [host for host in told if _NAME.sub("", host).strip(".:")]


def same_host(ours: str, theirs: str, defaults: Mapping[str, str]) -> bool:
    """Whether two written hosts can be the same one; a name in braces stands for any text."""
    filled = _NAME.sub(lambda match: defaults.get(match[1], match[0]), ours)
    if _NAME.sub("{}", ours) == _NAME.sub("{}", theirs):
        return True
    sample = _NAME.sub("x", filled)
    if "{" in theirs and _pattern(theirs, "[^/]+").fullmatch(sample):
        return True
    return "{" in ours and _pattern(ours, "[^/]+").fullmatch(_NAME.sub("x", theirs)) is not None
