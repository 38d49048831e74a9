"""Values of any type as text, and back without loss: how a row in quarantine keeps what the source gave.

JSON numbers lose digits and know no NaN, so every value is written as DuckDB's own text of it, inside one JSON
object a row (column -> text, or null). Its types stand beside it.
"""

import json
import re
from collections.abc import Mapping, Sequence

from dataflow_platform.core.sql import literal, quote

_ARRAY_OF_NUMBERS = re.compile(
    r"(U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|BOOLEAN)\[\d+\]"
)
_PLAIN_ENUM = re.compile(r"ENUM\('(?:[^']|'')*'(?:, '(?:[^']|'')*')*\)")
_INEXACT = ("UNION(", "VARIANT")


def inexact(kind: str) -> bool:
    """True for a DuckDB type whose text does not lead back: the member of a UNION, the type inside a VARIANT.

    Inside other types the text of an ENUM stands without quotes, whatever signs its values have, and JSON's null is
    told like no value; inside an array of fixed length no text has quotes.
    """
    if re.search(r"\[\d+\]", kind):
        return _ARRAY_OF_NUMBERS.fullmatch(kind) is None
    nested_enum = "ENUM(" in kind and not _PLAIN_ENUM.fullmatch(kind)
    nested_json = kind != "JSON" and re.search(r"\bJSON\b", kind) is not None
    return nested_enum or nested_json or any(word in kind for word in _INEXACT)


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
