"""Regular expressions and date formats that mean the same in every dialect; others are refused.

DuckDB's engine is RE2: the first alternative wins and ``\\d`` is ASCII. PostgreSQL looks for the longest match and
knows Unicode's digits, Java's ``$`` matches before a last line break. What is written here is free of all of them.
"""

import re

from dataflow_platform.core.transformation import Dialect

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\t\n\f\r "}
_PUNCTUATION = set(".^$*+?()[]{}|\\/-")
_TOKEN = re.compile(r"\\(.)|\[(\^?)((?:\\.|[^\\\]])+)\]|(\(\?:|[()|])|([*+?]|\{\d+(?:,\d*)?\})|([\s\S])")
_IN_CLASS = re.compile(r"\\(.)|(\[)|([\s\S])")


class NotPortableError(Exception):
    """Why a pattern or a format has not the same meaning everywhere."""


def pattern(text: str, dialect: Dialect, whole: bool, simple: bool) -> str:
    """``text`` for ``dialect``; ``whole``: the whole text has to match; ``simple``: one match only is possible."""
    parts: list[str] = []
    atoms, quantified, needed, after_atom = 0, 0, 0, False
    for found in _TOKEN.finditer(text):
        escaped, negated, members, group, quantifier, character = found.groups()
        if quantifier:
            if not after_atom:
                raise NotPortableError("a repetition of a repetition, or of nothing")
            if any(int(number) > 255 for number in re.findall(r"\d+", quantifier)):
                raise NotPortableError("a repetition of more than 255")
            quantified += 1
            needed -= quantifier in "*?" or quantifier.startswith(("{0,", "{0}"))
            parts.append(quantifier)
            after_atom = False
            continue
        if group:
            if simple:
                raise NotPortableError("a group or an alternative where the text of the match counts")
            parts.append(group)
            after_atom = group == ")"
            continue
        anchor = character in ("^", "$") if character else False
        if anchor:
            if found.start() != 0 and found.end() != len(text):
                raise NotPortableError("^ or $ inside the pattern")
            parts.append(_end(dialect) if character == "$" else "^")
            after_atom = False
            continue
        parts.append(_atom(escaped, negated, members, character))
        atoms, needed, after_atom = atoms + 1, needed + 1, True
    if simple and (quantified > 1 or needed < 1):
        raise NotPortableError("more than one repetition, or a match of nothing, where the text of the match counts")
    written = "".join(parts)
    return f"^(?:{written}){_end(dialect)}" if whole else written


def _end(dialect: Dialect) -> str:
    return "\\z" if dialect in ("spark", "bigquery") else "$"


def _atom(escaped: str | None, negated: str | None, members: str | None, character: str | None) -> str:
    if members is not None:
        return f"[{negated}{_members(members)}]"
    if escaped is not None:
        if escaped in _CLASSES:
            return f"[{_CLASSES[escaped]}]"
        if escaped not in _PUNCTUATION:
            raise NotPortableError(f"\\{escaped}")
        return f"\\{escaped}"
    if character == ".":
        return "[^\n]"
    if character is None or character in "[]{}\\":
        raise NotPortableError(f"{character!r} without its other half")
    return character


def _members(text: str) -> str:
    written = ""
    for found in _IN_CLASS.finditer(text):
        escaped, opening, character = found.groups()
        if opening:
            raise NotPortableError("[ inside a class")
        if escaped is None:
            written += "\\&" if character == "&" else character
        elif escaped in _CLASSES:
            written += _CLASSES[escaped]
        elif escaped in _PUNCTUATION:
            written += f"\\{escaped}"
        else:
            raise NotPortableError(f"\\{escaped}")
    return written


_FORMATS: dict[Dialect, dict[str, str]] = {
    "postgres": {"Y": "YYYY", "m": "MM", "d": "DD", "H": "HH24", "M": "MI", "S": "SS"},
    "spark": {"Y": "yyyy", "m": "MM", "d": "dd", "H": "HH", "M": "mm", "S": "ss"},
}
"""``%Y`` and its like; only those that say the same for every moment."""


def moment_format(text: str, dialect: Dialect) -> str:
    """A format of strftime() for ``dialect``."""
    known, written = _FORMATS.get(dialect, {}), ""
    for found in re.finditer(r"%(.)|([^%]+)|(%)", text, re.DOTALL):
        letter, plain, _ = found.groups()
        if letter in known:
            written += known[letter]
        elif plain is not None and re.fullmatch(r"[-/.: _,]+", plain):
            written += plain.replace("_", '"_"') if dialect == "postgres" else plain.replace("_", "'_'")
        else:
            raise NotPortableError(f"'{found[0]}' in a format")
    return written
