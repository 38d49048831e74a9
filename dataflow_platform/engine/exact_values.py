"""Values of any type as text, and back without loss: how a row in quarantine keeps what the source gave.

JSON numbers lose digits and know no NaN, so every value is written as DuckDB's own text of it, inside one JSON
object a row (column -> text, or null). Its types stand beside it.
"""

import json
from collections.abc import Mapping, Sequence

from dataflow_platform.core.sql import literal, quote

_INEXACT = ("UNION(", "VARIANT")


def inexact(kind: str) -> bool:
    """True for a DuckDB type whose text does not lead back: the member of a UNION, the type inside a VARIANT."""
    return any(word in kind for word in _INEXACT)


def as_texts(columns: Mapping[str, str]) -> str:
    """SQL of a JSON object as VARCHAR: each name with the text of its value; ``columns``: name -> SQL expression."""
    pairs = ", ".join(f"{literal(name)}, CAST({value} AS VARCHAR)" for name, value in columns.items())
    return f"CAST(json_object({pairs}) AS VARCHAR)"


def text_of(column: str, texts: str) -> str:
    """SQL of one value's text in an object that ``as_texts`` wrote; NULL where the value or the name is not there."""
    pointer = "/" + column.replace("~", "~0").replace("/", "~1")
    return f"json_extract_string({texts}, {literal(pointer)})"


def value_of(column: str, kind: str, texts: str, strict: bool = True) -> str:
    """SQL of one value in its type; where not ``strict``, NULL for a text that is no such value."""
    return f"{'CAST' if strict else 'TRY_CAST'}({text_of(column, texts)} AS {kind})"


def selected(types: Mapping[str, str], texts: str, strict: bool = True) -> str:
    """SQL select list: every column of ``types`` (name -> DuckDB type) in its type, under its name."""
    return ", ".join(f"{value_of(name, kind, texts, strict)} AS {quote(name)}" for name, kind in types.items())


def types_text(columns: Sequence[str], kinds: Sequence[str]) -> str:
    """The types beside the values: a JSON object, column -> DuckDB type."""
    return json.dumps(dict(zip(columns, kinds, strict=True)), ensure_ascii=False)
