"""Every error the platform raises on purpose; the type carries the recovery.

DataflowError
├── ConfigError       a person has to change something; never retried
├── TransientError    the same call may succeed later; retried with back-off
└── DataError         the data broke a declared rule; quarantine or failure by policy

Each prints in one pattern::

    [connector.unknown] unknown connector 'postgress'
      at defs/orders/defs.yaml:3 attributes.source.type
      fix: did you mean 'postgres'?   (dataflow connectors list)
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Location:
    """Where a person finds the cause: a file and line, a path inside it, or a system."""

    file: str | None = None
    line: int | None = None
    path: str | None = None
    excerpt: str | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if self.file and self.line:
            place = f"{self.file}:{self.line}"
        return " ".join(part for part in (place, self.path) if part)

    def inside(self, outer: "Location") -> "Location":
        """This location with what it lacks taken from ``outer``; paths are joined by a dot."""
        path = ".".join(part for part in (outer.path, self.path) if part) or None
        return Location(self.file or outer.file, self.line or outer.line, path, self.excerpt or outer.excerpt)


class DataflowError(Exception):
    """Base of all errors of the platform.

    ``code`` is stable and searchable (``area.problem``), ``what`` says what happened without any
    secret, ``where`` is a place a person can open, ``fix`` is the next thing to do.
    """

    def __init__(self, code: str, what: str, *, where: Location | str | None = None, fix: str) -> None:
        self.code = code
        self.what = what
        self.where = Location(path=where) if isinstance(where, str) else (where or Location())
        self.fix = fix
        super().__init__(code, what)

    def at(self, outer: Location) -> Self:
        """The same error, placed inside ``outer`` (a file, a line, a longer path)."""
        self.where = self.where.inside(outer)
        return self

    def at_path(self, path: str) -> Self:
        """The same error, placed at ``path`` (dots and brackets) of what is being read."""
        return self.at(Location(path=path))

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.what}"]
        if str(self.where):
            lines.append(f"  at {self.where}")
        if self.where.excerpt:
            lines.extend(f"    {line}" for line in self.where.excerpt.splitlines())
        lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class ConfigError(DataflowError):
    """Somebody has to change a setting, a variable or a permission. Never retried."""


class TransientError(DataflowError):
    """The outside world was not ready. Retried; ``retry_after`` is in seconds when it told us."""

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: Location | str | None = None,
        fix: str,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, what, where=where, fix=fix)
        self.retry_after = retry_after


class DataError(DataflowError):
    """The data broke a declared rule. Nothing was published; never retried by itself."""


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate a person most likely meant, or None when nothing is near."""
    known = sorted(candidates)
    folded = {candidate.lower(): candidate for candidate in reversed(known)}
    found = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(name: str, candidates: Iterable[str], otherwise: str) -> str:
    """The ``fix`` text for a name nobody knows: the nearest valid one, else ``otherwise``."""
    known = sorted(candidates)
    found = nearest(name, known)
    if found:
        return f"did you mean '{found}'?   ({otherwise})"
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"{otherwise}; known: {listed}" if known else otherwise


def unknown_name(kind: str, name: str, known: Iterable[str], otherwise: str) -> ConfigError:
    """The ConfigError for a ``kind`` ('column', 'stream', ...) that is not among ``known``."""
    fix = did_you_mean(name, known, otherwise)
    return ConfigError(f"{kind.replace(' ', '_')}.unknown", f"unknown {kind} '{name}'", fix=fix)
