"""Type words of databases -> the DuckDB type that keeps every value, and its Arrow type."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dataflow_platform.core.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = "NUMBER"
"""A number of any length: travels as the text of its digits, a VARCHAR column."""

# What nearly every system means by the word; a system that means another thing says so in its facts.
_WORDS: dict[str, str] = {
    **dict.fromkeys(("boolean", "bool"), "BOOLEAN"),
    "tinyint": "TINYINT",
    **dict.fromkeys(("smallint", "int2", "int16"), "SMALLINT"),
    **dict.fromkeys(("integer", "int", "int4", "int32", "mediumint"), "INTEGER"),
    **dict.fromkeys(("bigint", "int8", "int64", "long"), "BIGINT"),
    **dict.fromkeys(("real", "float4"), "FLOAT"),
    **dict.fromkeys(("double", "double precision", "double_precision", "float", "float8", "float64"), "DOUBLE"),
    **dict.fromkeys(
        ("varchar", "char", "character", "character varying", "nvarchar", "nchar", "text", "ntext", "clob", "nclob",
         "string", "bpchar", "varchar2", "nvarchar2", "citext", "name", "char varying", "long varchar", "tinytext",
         "mediumtext", "longtext", "national char", "national varchar", "varchar_ignorecase"), "VARCHAR",
    ),
    **dict.fromkeys(
        ("binary", "varbinary", "blob", "bytea", "bytes", "image", "binary varying", "long varbinary", "tinyblob",
         "mediumblob", "longblob"), "BLOB",
    ),
    "date": "DATE",
    **dict.fromkeys(("time", "time without time zone"), "TIME"),
    **dict.fromkeys(("timestamp", "timestamp without time zone", "datetime"), "TIMESTAMP"),
    **dict.fromkeys(("timestamp with time zone", "timestamptz"), "TIMESTAMPTZ"),
    **dict.fromkeys(("uuid", "guid"), "UUID"),
    **dict.fromkeys(("json", "jsonb"), "JSON"),
}  # fmt: skip
_NUMBERS = frozenset({"numeric", "decimal", "dec", "number"})
_DECIMAL = re.compile(r"DECIMAL\((\d{1,2}),(\d{1,2})\)")

# DuckDB's word -> the name of pyarrow's constructor and its arguments.
_ARROW: dict[str, tuple[str, tuple[str, ...]]] = {
    "BOOLEAN": ("bool_", ()),
    "TINYINT": ("int8", ()),
    "SMALLINT": ("int16", ()),
    "INTEGER": ("int32", ()),
    "BIGINT": ("int64", ()),
    "UTINYINT": ("uint8", ()),
    "USMALLINT": ("uint16", ()),
    "UINTEGER": ("uint32", ()),
    "UBIGINT": ("uint64", ()),
    "FLOAT": ("float32", ()),
    "DOUBLE": ("float64", ()),
    "VARCHAR": ("string", ()),
    "BLOB": ("binary", ()),
    "DATE": ("date32", ()),
    "TIME": ("time64", ("us",)),
    "TIMESTAMP": ("timestamp", ("us",)),
    "TIMESTAMP_NS": ("timestamp", ("ns",)),
    "TIMESTAMPTZ": ("timestamp", ("us", "UTC")),
    # These travel as text and are cast by DuckDB.
    "UUID": ("string", ()),
    "JSON": ("string", ()),
    NUMBER: ("string", ()),
}
CAST = frozenset({"UUID", "JSON"})
INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)  # fmt: skip
_ALIASES = {"TEXT": "VARCHAR", "STRING": "VARCHAR", "INT": "INTEGER", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}


def parse_kind(name: str, text: str) -> str:
    """The kind a person wrote for column ``name``, in DuckDB's spelling; ConfigError ``sql.types`` if unknown."""
    words = " ".join(text.upper().split())
    kind = _ALIASES.get(words, re.sub(r"\s*([(),])\s*", r"\1", words).replace("NUMERIC(", "DECIMAL("))
    decimal = _DECIMAL.fullmatch(kind)
    if (kind in _ARROW and kind != NUMBER) or (decimal and int(decimal[2]) <= int(decimal[1]) <= 38):
        return kind
    raise ConfigError(
        "sql.types",
        f"column '{name}' is declared as '{text}', which is no type of this connector",
        where=f"types.{name}",
        fix=f"use one of {', '.join(word for word in _ARROW if word != NUMBER)} or DECIMAL(p,s) with p up to 38",
    )


def kind_of_words(words: str, overrides: Mapping[str, str | None]) -> str | None:
    """The kind of a column type as a database writes it (``numeric(10, 2)``); None where none is exact."""
    text = " ".join(words.lower().split())
    text = re.sub(r"\s*(unsigned zerofill|character set \S+|collate \S+|not null)\s*", " ", text).strip()
    while wrapped := re.fullmatch(r"(?:nullable|lowcardinality)\((.*)\)", text):
        text = wrapped[1]
    base, arguments = _taken_apart(text)
    for word in (text, base, base.partition("(")[0].partition("<")[0].strip()):
        if word in overrides:
            return _filled(overrides[word], arguments)
    if base in _NUMBERS:
        return _decimal(arguments)
    if text.endswith("[]"):
        return "JSON"
    return _WORDS.get(base)


def _taken_apart(text: str) -> tuple[str, tuple[int, ...]]:
    """``timestamp(3) with time zone`` as ``timestamp with time zone`` and (3,)."""
    inside = re.search(r"\(([^()]*)\)", text)
    if not inside:
        return text, ()
    numbers = tuple(int(part) for part in re.findall(r"-?\d+", inside[1]))
    return " ".join((text[: inside.start()] + " " + text[inside.end() :]).split()), numbers


def _filled(kind: str | None, arguments: tuple[int, ...]) -> str | None:
    return _decimal(arguments) if kind == "DECIMAL" else kind


def _decimal(arguments: tuple[int, ...]) -> str:
    """Digits before and after the point as DuckDB can hold them; numbers of any length as their digits."""
    if not arguments:
        return NUMBER
    precision, scale = arguments[0], arguments[1] if len(arguments) > 1 else 0
    # numeric(5,-2) keeps hundreds, numeric(3,5) has its digits far behind the point.
    digits, places = (max(precision, scale), scale) if scale >= 0 else (precision - scale, 0)
    return f"DECIMAL({digits},{places})" if 1 <= digits <= 38 else NUMBER


def kind_of_type(declared: Any, dialect: Any, overrides: Mapping[str, str | None]) -> tuple[str | None, str]:
    """Kind of a SQLAlchemy type (None: nothing keeps it exactly) and its words in ``dialect``."""
    from sqlalchemy import exc, types

    inner = getattr(declared, "data_type", None)  # a domain
    if inner is not None:
        return kind_of_type(inner, dialect, overrides)
    if isinstance(declared, types.Enum):
        return "VARCHAR", "enum"
    if isinstance(declared, types.NullType):
        return None, "unknown"
    try:
        words = str(declared.compile(dialect=dialect))
    except (exc.CompileError, exc.UnsupportedCompilationError, NotImplementedError, AttributeError, TypeError):
        words = str(getattr(declared, "__visit_name__", type(declared).__name__))
    if isinstance(declared, types.ARRAY):
        return "JSON", words
    kind = kind_of_words(words, overrides)
    if kind == "TIMESTAMP" and getattr(declared, "timezone", False):
        kind = "TIMESTAMPTZ"
    if kind == "TIME" and getattr(declared, "timezone", False):
        kind = None
    return kind, words.lower()


def arrow_type(kind: str) -> "pa.DataType":
    """The Arrow type rows of ``kind`` travel in."""
    import pyarrow as pa

    decimal = _DECIMAL.fullmatch(kind)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    if kind not in _ARROW:
        return _nested(kind)
    maker, arguments = _ARROW[kind]
    made: pa.DataType = getattr(pa, maker)(*arguments)
    return made


def _nested(kind: str) -> "pa.DataType":
    """A list, struct or map, as DuckDB itself writes it."""
    import duckdb

    with duckdb.connect() as engine:
        made: pa.DataType = engine.sql(f"SELECT CAST(NULL AS {kind}) AS nested").to_arrow_reader().schema.field(0).type
    return made
