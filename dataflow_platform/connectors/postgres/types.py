"""Which PostgreSQL type keeps the values of which DuckDB type, and how they travel there.

Three answers to each type. Exact: every value comes back as it was. Widened: PostgreSQL lacks the type
and a wider one holds every value (TINYINT is a smallint there). Refused: ConfigError where no type
does, DataError (raised while the rows travel) where a single value does not fit.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from dataflow_platform.core.errors import ConfigError

REFUSED = "PostgreSQL holds no such value"
"""Begins what DuckDB says of a value that does not fit."""


@dataclass(frozen=True)
class StoredType:
    """How a column is kept.

    ``declared`` is PostgreSQL's type and ``word`` the DuckDB type it is read back as. ``landed`` is the
    PostgreSQL type the rows arrive in (another one only where DuckDB cannot write ``declared`` in binary)
    and ``wire`` the DuckDB expression that makes them so, with ``{0}`` for the quoted column.
    """

    declared: str
    word: str
    landed: str
    wire: str = "{0}"


_WORDS = {
    "BOOLEAN": "boolean",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "VARCHAR": "text",
    "BLOB": "bytea",
    "DATE": "date",
    "TIME": "time",
    "TIME WITH TIME ZONE": "time with time zone",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
    "INTERVAL": "interval",
    "UUID": "uuid",
}
"""Types both sides have, DuckDB's word first."""

_WIDENED = {
    "TINYINT": "SMALLINT",
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER",
    "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)",
    # Up to 38 digits; a longer number is refused by the cast itself.
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "ENUM": "VARCHAR",
}
_FINER = {"TIMESTAMP_NS": "TIMESTAMP", "TIME_NS": "TIME"}
"""Nanoseconds become microseconds where nothing is cut off."""

# Spellings of sqlglot and of people.
_ALIASES = {
    "TEXT": "VARCHAR",
    "INT": "INTEGER",
    "INT128": "HUGEINT",
    "UINT": "UINTEGER",
    "UINT128": "UHUGEINT",
    "REAL": "FLOAT",
    "VARBINARY": "BLOB",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
    "TIMETZ": "TIME WITH TIME ZONE",
    # A column of nothing but NULL: DuckDB itself makes an INTEGER of it in a table.
    '"NULL"': "INTEGER",
}
_STAMPS = frozenset({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
# jsonb keeps the last of them only. The documents are taken apart only where a key may come twice at all.
_KEYS = r"""regexp_extract_all(CAST({0} AS VARCHAR), '"(?:[^"\\]|\\.)*"\s*:')"""
_DOUBTFUL = f"len({_KEYS}) > len(list_distinct({_KEYS})) OR contains(CAST({{0}} AS VARCHAR), '\\u')"
_KEY_TWICE = (
    f"(SELECT count(*) > count(DISTINCT {{{{'in': parent, 'key': key}}}}) "
    f"FROM json_tree(CASE WHEN {_DOUBTFUL} THEN {{0}} END))"
)
_BEFORE_TIME = "'4714-11-24 (BC) 00:00:00'"


@lru_cache(maxsize=1024)
def stored(kind: str) -> StoredType:
    """How PostgreSQL keeps DuckDB type ``kind``; ConfigError ``postgres.type`` where it cannot."""
    element, depth = _taken_apart(kind.strip())
    if element.startswith(("STRUCT", "MAP")):
        return _document(kind, element)
    if element == "JSON":
        # Binary jsonb is its version, 1, and the text.
        as_text = StoredType("jsonb[]", "JSON[]", "varchar[]", "CAST({0} AS VARCHAR[])")
        wire = _unless(_KEY_TWICE, "a key twice in ", "chr(1) || CAST({0} AS VARCHAR)")
        whole = StoredType("jsonb", "JSON", "jsonb", wire)
        return whole if depth == 0 else _nested(as_text, depth)
    word = _WIDENED.get("ENUM" if element.startswith("ENUM") else element) or _FINER.get(element, element)
    declared = _declared(word)
    if declared is None:
        raise _refused(kind)
    if depth == 0:
        return _scalar(element, word, declared)
    sized = re.search(r"\[\d+\]", kind) is not None  # an array of fixed length is cast to a list
    return _nested(_array(element, word, declared, sized), depth)


def _taken_apart(kind: str) -> tuple[str, int]:
    depth = 0
    while found := re.search(r"\[\d*\]$", kind):
        kind, depth = kind[: found.start()], depth + 1
    plain = re.sub(r"\s*,\s*", ",", kind) if kind.startswith("DECIMAL") else kind
    return _ALIASES.get(plain, plain), depth


def _declared(word: str) -> str | None:
    return f"numeric{word[7:]}" if word.startswith("DECIMAL(") else _WORDS.get(word)


def _scalar(element: str, word: str, declared: str) -> StoredType:
    wire = "{0}" if element == word else f"CAST({{0}} AS {word})"
    if word.startswith("DECIMAL("):
        return _number(word, declared, wire)
    if element == "TIME_NS":  # no cast leads back from TIME but that of its text
        wire = _unless(f"CAST(CAST({wire} AS VARCHAR) AS TIME_NS) <> {{0}}", "nanoseconds in ", wire)
    elif element in _FINER:
        wire = _unless(f"isfinite({{0}}) AND CAST({wire} AS {element}) <> {{0}}", "nanoseconds in ", wire)
    elif word in _STAMPS:
        # What lies before PostgreSQL's time would come out on the far side of the calendar.
        wire = _unless(f"isfinite({{0}}) AND {{0}} < {word} {_BEFORE_TIME}", "", wire)
    return StoredType(declared, word, declared, wire)


def _number(word: str, declared: str, wire: str) -> StoredType:
    """DuckDB writes the fraction in groups of four digits, and loses the highest where a group passes its integer."""
    precision, scale = (int(part) for part in word[8:-1].split(","))
    held = next(digits for digits in (4, 9, 18, 38) if precision <= digits)
    if -(-scale // 4) * 4 <= held:
        return StoredType(declared, word, declared, wire)
    if held < 38:
        return StoredType(declared, word, declared, f"CAST({wire} AS DECIMAL({18 if held == 9 else 38},{scale}))")
    return StoredType(declared, word, "varchar", f"CAST({wire} AS VARCHAR)")


def _array(element: str, word: str, declared: str, sized: bool) -> StoredType:
    """A list of scalars; ``wire`` is still that of one dimension."""
    wire = "{0}" if element == word and not sized else f"CAST({{0}} AS {word}[])"
    if word.startswith("DECIMAL"):
        return StoredType(f"{declared}[]", f"{word}[]", "varchar[]", f"CAST({wire} AS VARCHAR[])")
    if element in _FINER:
        back = f"CAST({wire} AS VARCHAR[])" if element == "TIME_NS" else wire
        wire = _unless(f"CAST({back} AS {element}[]) <> {{0}}", "nanoseconds in ", wire)
    elif word in _STAMPS:
        early = f"len(list_filter({{flat}}, lambda t: isfinite(t) AND t < {word} {_BEFORE_TIME})) > 0"
        wire = _unless(early, "", wire)
    landed = "varchar[]" if word == "VARCHAR" else f"{declared}[]"
    return StoredType(landed, f"{word}[]", landed, wire)


def _nested(array: StoredType, depth: int) -> StoredType:
    """``array`` with ``depth`` dimensions. PostgreSQL's are rectangular and have no empty rows."""
    brackets, flat, empty = "[]" * depth, "{0}", []
    for _ in range(depth - 1):
        empty.append(f"list_contains({flat}, [])")
        flat = f"flatten({flat})"
    wire = array.wire.replace("[])", f"{brackets})").replace("{flat}", flat)
    if empty:
        wire = _unless(" OR ".join(empty), "an empty list inside ", wire)
    declared, word, landed = (name[:-2] + brackets for name in (array.declared, array.word, array.landed))
    return StoredType(declared, word, landed, wire)


def _document(kind: str, element: str) -> StoredType:
    # DuckDB passes the numbers of a JSON value inside a structure through a double.
    if re.search(r"\bJSON\b|\bUNION\(|\bBIT\b", element):
        raise _refused(kind)
    return StoredType("jsonb", "JSON", "jsonb", "chr(1) || CAST(to_json({0}) AS VARCHAR)")


def _unless(bad: str, what: str, wire: str) -> str:
    return f"CASE WHEN {bad} THEN error('{REFUSED}: {what}' || CAST({{0}} AS VARCHAR)) ELSE {wire} END"


def _refused(kind: str) -> ConfigError:
    return ConfigError(
        "postgres.type",
        f"PostgreSQL has no type that keeps {kind} exactly",
        fix="cast the column to a type it has (transform: - cast: {column: varchar}), or leave it out",
    )


_FROM_CATALOGUE = {
    **{declared: word for word, declared in _WORDS.items()},
    "character varying": "VARCHAR",
    "time without time zone": "TIME",
    "timestamp without time zone": "TIMESTAMP",
    "json": "JSON",
    "jsonb": "JSON",
}


def word_of(formatted: str, dimensions: int) -> str:
    """The DuckDB word of a catalogue type (``numeric(10,2)[]``); one without a counterpart keeps its own name."""
    element = formatted.removesuffix("[]")
    suffix = "[]" * max(dimensions, 1) if element != formatted else ""
    precise = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", element)
    if precise and int(precise[1]) <= 38 and 0 <= int(precise[2]) <= int(precise[1]):
        return f"DECIMAL({precise[1]},{precise[2]}){suffix}"
    limited = re.fullmatch(r"character varying(\(\d+\))", formatted)
    if limited:
        return f"VARCHAR{limited[1]}"
    # timestamp(3) rounds, char(5) pads, name cuts: to the contract each is a type of its own.
    word = _FROM_CATALOGUE.get(re.sub(r"^(character varying)\(\d+\)$", r"\1", element))
    return (word or element.upper()) + suffix
