"""What CSV and JSON lines hold, written by Python's own csv and json; a field has no type until it is read."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from dataflow_platform.connectors.files import Files, FilesStream
from dataflow_platform.core.base import Source, Stream
from tests.types.case import Case, padded

NAUGHTY = (" a ", "NULL", "ä ß 日本 🛩 e\u0301", "a\nb\r\nc\x01", "'\"\\%{}$1,;")
EXACT = "12345678901234567.89"
PRECISE = "-1234567890123456789012345678.0123456789"

CSV = (
    Case("true, FALSE", "bool", ("true", "FALSE"), word="BOOLEAN"),
    Case("t, f", "text", ("t", "f"), word="VARCHAR", note="a text"),
    Case("whole numbers, 64 bits", "int", ("-9223372036854775808", "9223372036854775807"), word="BIGINT"),
    Case("whole numbers, 65 to 127 bits", "int", ("9223372036854775808", "-" + "9" * 38), word="HUGEINT"),
    Case("whole numbers, more digits", "text", ("9" * 60,), word="VARCHAR", note="a text"),
    Case("007, +1, -0, 0x1F", "text", ("007", "+1", "-0", "0x1F"), word="VARCHAR", note="texts"),
    Case("fractions, up to 15 digits", "float", ("0.1", "-0.0", "1.10", "1e5"), word="DOUBLE"),
    Case(
        "fractions a double holds",
        "float",
        ("5e-324", "0.30000000000000004", "1.7976931348623157e308", "nan", "inf", "-inf"),
        word="DOUBLE",
    ),
    Case("fractions, more digits", "text", (EXACT, "0.1", "1e400"), word="VARCHAR", note="texts"),
    Case("fractions, more digits", "decimal", (EXACT, "0.1"), word="DECIMAL(20,2)", declared="DECIMAL(20,2)"),
    Case("fractions, 38 digits", "decimal", (PRECISE,), word="DECIMAL(38,10)", declared="DECIMAL(38,10)"),
    Case("fractions, more digits", "decimal", (EXACT,), declared="DOUBLE", note="too many"),
    Case("1.005", "decimal", ("1.005",), declared="DECIMAL(10,2)", note="too many digits"),
    Case("1.5", "decimal", ("1.5",), declared="INTEGER", note="a fraction"),
    Case("300", "int", ("300",), declared="TINYINT", note="out of range"),
    Case("007", "int", ("007",), ("7",), word="INTEGER", declared="INTEGER"),
    Case("dates, year 1 and 9999", "date", ("0001-01-01", "9999-12-31"), word="DATE"),
    Case("01/02/2020", "text", ("01/02/2020", "13/02/2020"), word="VARCHAR", note="a text"),
    Case("01/02/2020", "date", ("01/02/2020",), declared="DATE", note="which month"),
    Case("infinity", "date", ("infinity", "0044-03-15 (BC)"), word="DATE", declared="DATE"),
    Case("times", "time", ("12:34:56.123456", "23:59:59"), word="TIME"),
    Case("times", "time", ("24:00:00",), note="24:00", word="TIME"),
    Case("times, nanoseconds", "text", ("12:34:56.123456789",), word="VARCHAR", note="a text"),
    Case("10:00", "text", ("10:00",), word="VARCHAR", note="a text"),
    Case("timestamps", "timestamp", ("0001-01-01 00:00:00", "9999-12-31T23:59:59.999999"), word="TIMESTAMP"),
    Case("timestamps, nanoseconds", "text", ("2020-01-01 00:00:00.123456789",), word="VARCHAR", note="a text"),
    Case(
        "timestamps, nanoseconds",
        "timestamp",
        ("2020-01-01 00:00:00.123456789",),
        word="TIMESTAMP_NS",
        declared="TIMESTAMP_NS",
        note="declared",
    ),
    Case(
        "timestamps with zone",
        "timestamptz",
        ("2020-01-01T10:00:00+02:00", "2020-01-01 10:00:00Z"),
        ("2020-01-01 08:00:00+00", "2020-01-01 10:00:00+00"),
        word="TIMESTAMP WITH TIME ZONE",
    ),
    Case(
        "timestamps with zone",
        "timestamptz",
        ("2020-01-01T10:00:00+02:00",),
        declared="TIMESTAMP",
        note="zone against no zone",
    ),
    Case("texts", "text", NAUGHTY, word="VARCHAR"),
    Case('"" against nothing', "text", ("",), word="VARCHAR"),
    Case("uuid", "text", ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",), word="VARCHAR"),
    Case("uuid", "uuid", ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",), word="UUID", declared="UUID"),
    Case("JSON", "json", ('{"b": 123456789012345678901234567890, "a":  0.10}',), word="JSON", declared="JSON"),
    Case("lists", "list:int", ("[1, NULL, -3]",), ([1, None, -3],), word="INTEGER[]", declared="INTEGER[]"),
    Case("lists", "list:int", ("[1.5]",), declared="INTEGER[]", note="a fraction"),
    Case("text with NUL", "text", ("a\0b",), word="VARCHAR", note="with NUL"),
)


def text(value: str) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


JSON = (
    Case("booleans", "bool", ("true", "false"), word="BOOLEAN"),
    Case("whole numbers, 64 bits", "int", ("-9223372036854775808", "9223372036854775807"), word="BIGINT"),
    Case("whole numbers, 65 to 127 bits", "int", ("9223372036854775808", "-" + "9" * 38), word="HUGEINT"),
    Case("whole numbers, more digits", "text", ("9" * 60,), word="VARCHAR", note="a text"),
    Case("fractions, up to 15 digits", "float", ("0.1", "-0.0", "1.10", "1e5"), word="DOUBLE"),
    Case(
        "fractions a double holds", "float", ("5e-324", "0.30000000000000004", "1.7976931348623157e308"), word="DOUBLE"
    ),
    Case("fractions, more digits", "text", (EXACT, "0.1", "1e400"), word="VARCHAR", note="texts"),
    Case("fractions, more digits", "decimal", (EXACT, "0.1"), word="DECIMAL(20,2)", declared="DECIMAL(20,2)"),
    Case("fractions, 38 digits", "decimal", (PRECISE,), word="DECIMAL(38,10)", declared="DECIMAL(38,10)"),
    Case("fractions, more digits", "decimal", (EXACT,), declared="DOUBLE", note="too many"),
    Case("1.5", "decimal", ("1.5",), declared="BIGINT", note="a fraction"),
    Case("300", "int", ("300",), declared="TINYINT", note="out of range"),
    Case(
        'texts, ""',
        "text",
        (text(""), *map(text, NAUGHTY), '"\\ud83d\\ude00 \\u00e4"'),
        ("", *NAUGHTY, "😀 ä"),
        word="VARCHAR",
    ),
    Case("text with \\u0000", "text", ('"a\\u0000b"',), ("a\0b",), word="VARCHAR", note="with NUL"),
    Case('"007"', "text", ('"007"', '"1"'), ("007", "1"), word="VARCHAR"),
    Case("texts and numbers", "json", ('"x"', "12345678901234567.89"), word="JSON"),
    Case("dates, year 1 and 9999", "date", ('"0001-01-01"', '"9999-12-31"'), ("0001-01-01", "9999-12-31"), word="DATE"),
    Case('"01/02/2020"', "text", ('"01/02/2020"',), ("01/02/2020",), word="VARCHAR", note="a text"),
    Case("times", "time", ('"12:34:56.123456"',), ("12:34:56.123456",), word="TIME"),
    Case(
        "times, nanoseconds", "text", ('"12:34:56.123456789"',), ("12:34:56.123456789",), word="VARCHAR", note="a text"
    ),
    Case(
        "timestamps",
        "timestamp",
        ('"0001-01-01T00:00:00"', '"9999-12-31T23:59:59.999999"'),
        ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"),
        word="TIMESTAMP",
    ),
    Case(
        "timestamps, nanoseconds",
        "text",
        ('"2020-01-01T00:00:00.123456789"',),
        ("2020-01-01T00:00:00.123456789",),
        word="VARCHAR",
        note="a text",
    ),
    Case(
        "timestamps with zone",
        "timestamptz",
        ('"2020-01-01T10:00:00+02:00"',),
        ("2020-01-01 08:00:00+00",),
        word="TIMESTAMP WITH TIME ZONE",
    ),
    Case(
        "uuid, small letters",
        "uuid",
        ('"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"',),
        ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",),
        word="UUID",
    ),
    Case(
        "uuid, capital letters",
        "text",
        ('"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"',),
        ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",),
        word="VARCHAR",
    ),
    Case(
        "objects",
        "document",
        ('{"b": 123456789012345678901234567890.10, "a": [1.50, null], "c": "12.5"}', "{}"),
        word="JSON",
    ),
    Case(
        "objects",
        "document",
        ('{"b": 12345678901234567890.123456, "a": [1, null]}',),
        word="STRUCT(b DECIMAL(38,6), a INTEGER[])",
        declared="STRUCT(b DECIMAL(38,6), a INTEGER[])",
        note="declared",
    ),
    Case("objects", "document", ('{"b": 1, "c": 2}',), declared="STRUCT(b INTEGER)", note="another key"),
    Case("objects", "document", ('{"b": 1, "b": 2}',), word="JSON", note="a key twice"),
    Case("lists", "document", ("[1, null, 12345678901234567.89]", "[]"), word="JSON"),
    Case("lists", "list:int", ("[1, null, -3]", "[]"), ([1, None, -3], []), word="INTEGER[]", declared="INTEGER[]"),
    Case("lists", "list:int", ("[1.5]",), declared="INTEGER[]", note="a fraction"),
)


class FromTextFiles:
    """A file a group of cases; ``write`` makes its bytes of rows of texts, None where there is no value."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()

    title, ending = "", ""
    cases: Sequence[Case] = ()

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        name = f"originals_{next(self._numbers)}.{self.ending}"
        rows = [[str(id), *row] for id, row in enumerate(zip(*padded(cases), strict=True), 1)]
        names = ["id", *(f"c{number}" for number in range(len(cases)))]
        (self._folder / name).write_bytes(self.written(names, rows).encode())
        columns = {name: case.declared for name, case in zip(names[1:], cases, strict=True) if case.declared}
        return Files(root=str(self._folder)), Stream("originals", FilesStream(path=name, columns=columns))

    def written(self, names: list[str], rows: list[list[str | None]]) -> str:
        raise NotImplementedError


class FromCsv(FromTextFiles):
    title, ending, cases = "CSV", "csv", CSV

    def written(self, names: list[str], rows: list[list[str | None]]) -> str:
        quoted = [
            ["" if text is None else '"' + text.replace('"', '""') + '"' for text in row] for row in [names, *rows]
        ]
        return "".join(",".join(row) + "\n" for row in quoted)


class FromJson(FromTextFiles):
    title, ending, cases = "JSON", "jsonl", JSON

    def written(self, names: list[str], rows: list[list[str | None]]) -> str:
        lines = [
            ", ".join(f'"{name}": {text or "null"}' for name, text in zip(names, row, strict=True)) for row in rows
        ]
        return "".join(f"{{{line}}}\n" for line in lines)
