"""What RE2, which DuckDB runs, and Python's ``re`` read differently in a pattern, or only one of them reads."""

import re
from dataclasses import dataclass

from dataflow_platform.core.errors import ConfigError

_CLASSES = {
    "d": ("digits of every script", "[0-9]"),
    "D": ("what is no digit of any script", "[^0-9]"),
    "w": ("letters and digits of every script", "[0-9A-Za-z_]"),
    "W": ("what is no letter or digit of any script", "[^0-9A-Za-z_]"),
    "s": ("every blank of Unicode", r"[ \t\n\f\r]"),
    "S": ("what is no blank of Unicode", r"[^ \t\n\f\r]"),
    "b": ("the edge of a word of every script", "what stands beside the word, such as [^0-9A-Za-z_]"),
    "B": ("the inside of a word of every script", "what stands beside it, such as [0-9A-Za-z_]"),
}
_GROUPS = {
    "(?=": ("a look-ahead", "match what follows, or write a second rule"),
    "(?!": ("a look-ahead", "write a second rule for what must not follow"),
    "(?<=": ("a look-behind", "match what stands before, or write a second rule"),
    "(?<!": ("a look-behind", "write a second rule for what must not stand before"),
    "(?>": ("an atomic group", "write (?:...)"),
    "(?(": ("a conditional group", "write both cases with |"),
    "(?P=": ("a back-reference", "compare the parts with the check expression"),
    "(?#": ("a comment", "leave it out"),
}
_ESCAPES = {
    "Z": (r"\Z, the end of the text", "leave it out: the whole value is matched"),
    "u": (r"\u, a character by its number", r"write the character itself"),
    "U": (r"\U, a character by its number", r"write the character itself"),
    "N": (r"\N, a character by its name", r"write the character itself"),
}


@dataclass(frozen=True)
class Difference:
    """One construct, where it stands (from 0), what differs, and what to write instead."""

    place: int
    construct: str
    words: str
    fix: str


def differences(pattern: str) -> list[Difference]:
    """All of them, in the order they stand."""
    found: list[Difference] = []
    place, in_class, repeatable = 0, False, False
    while place < len(pattern):
        rest = pattern[place:]
        piece = _piece(rest, in_class)
        difference = _of_piece(piece, rest, in_class, repeatable)
        if difference is not None:
            found.append(Difference(place, *difference))
        if not in_class and piece[0] == "[":
            in_class = True
        elif in_class and piece == "]":
            in_class = False
        repeatable = not in_class and bool(re.fullmatch(r"[*+?]|\{\d+(,\d*)?\}", piece))
        place += len(piece)
    return found


def _piece(rest: str, in_class: bool) -> str:
    """The next construct as far as it matters here."""
    if rest[0] == "\\":
        return rest[:2]
    if in_class:
        return rest[0]
    if rest[0] == "[":  # a bracket right behind the opening one stands for itself
        return str(re.match(r"\[\^?\]?", rest)[0])  # type: ignore[index]
    for opening in ("(?<=", "(?<!", "(?P=", "(?=", "(?!", "(?>", "(?(", "(?#"):
        if rest.startswith(opening):
            return opening
    flags = re.match(r"\(\?[a-zA-Z-]+[:)]|\{\d*(?:,\d*)?\}", rest)
    return flags[0] if flags else rest[0]


def _of_piece(piece: str, rest: str, in_class: bool, repeatable: bool) -> tuple[str, str, str] | None:
    if piece[0] == "\\" and len(piece) == 2:
        return _of_escape(piece, in_class)
    if in_class:
        return None
    if piece in _GROUPS:
        words, fix = _GROUPS[piece]
        return piece, f"{words}, which RE2 has not", fix
    if piece.startswith("(?") and (only := set(piece) & set("aLux")):
        return piece, f"the flag {min(only)}, which RE2 has not", "leave it out"
    if piece.startswith("(?") and "U" in piece:
        return piece, "the flag U, which Python has not", "write ? behind the quantifier"
    if piece == "+" and repeatable:
        return "a possessive quantifier", "what RE2 has not", "leave the second + out"
    if re.fullmatch(r"\{,\d+\}", piece):
        return piece, "from none on for Python, and just these signs for RE2", f"write {{0{piece[1:]}"
    if piece == "$" and not re.fullmatch(r"\$\)*(\|.*)?", rest, re.DOTALL):
        return "$", "the end for RE2, and for Python also in front of a last line break", "leave it out"
    return None


def _of_escape(piece: str, in_class: bool) -> tuple[str, str, str] | None:
    letter = piece[1]
    if letter in _CLASSES and not (in_class and letter in "bB"):
        words, instead = _CLASSES[letter]
        return piece, f"ASCII only for RE2, and {words} for Python", f"write {instead}"
    if letter in _ESCAPES:
        words, fix = _ESCAPES[letter]
        return piece, f"{words}, which RE2 has not", fix
    if letter in "123456789" and not in_class:
        return piece, "a back-reference, which RE2 has not", "compare the parts with the check expression"
    if in_class and letter == "b":
        return piece, "a backspace for Python, and nothing for RE2", r"write \x08"
    return None


def refuse_differences(pattern: str) -> None:
    """ConfigError ``check.pattern`` for the first construct that one of the two reads otherwise, or not at all."""
    for found in differences(pattern):
        raise ConfigError(
            "check.pattern",
            f"DuckDB and Python read {pattern!r} differently: {found.construct} at position {found.place + 1} is "
            f"{found.words}",
            where="pattern",
            fix=found.fix,
        )
