"""What an API answers, as JSON; a column has the type of its first values, or a declared one."""
# one case a line

import itertools
from collections.abc import Sequence

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.core.base import Source, Stream
from tests.fixtures.rest_api import Stub, reply
from tests.types.case import Case, padded
from tests.types.from_text_files import EXACT, NAUGHTY, PRECISE, text

CASES = (
    Case("booleans", "bool", ("true", "false"), word="BOOLEAN"),
    Case("whole numbers, 64 bits", "int", ("-9223372036854775808", "9223372036854775807"), word="BIGINT"),
    Case("whole numbers, more bits", "int", ("9223372036854775808",), note="65 bits"),
    Case("whole numbers, more bits", "int", ("9" * 38,), declared="DECIMAL(38,0)", word="DECIMAL(38,0)"),
    Case("fractions, up to 15 digits", "float", ("0.1", "-0.0", "1.10", "1e5"), word="DOUBLE"),
    Case(
        "fractions a double holds", "float", ("5e-324", "0.30000000000000004", "1.7976931348623157e308"), word="DOUBLE"
    ),
    Case("fractions, more digits", "decimal", (EXACT,), note="too many"),
    Case("fractions, more digits", "decimal", (EXACT, "0.1"), declared="DECIMAL(20,2)", word="DECIMAL(20,2)"),
    Case("fractions, 38 digits", "decimal", (PRECISE,), declared="DECIMAL(38,10)", word="DECIMAL(38,10)"),
    Case("fractions, more digits", "text", (EXACT, "1.50"), declared="VARCHAR", word="VARCHAR"),
    Case("1.005", "decimal", ("1.005",), declared="DECIMAL(10,2)", note="too many digits"),
    Case("1.5", "decimal", ("1.5",), declared="INTEGER", note="a fraction"),
    Case("40000", "int", ("40000",), declared="SMALLINT", note="out of range"),
    Case('texts, ""', "text", (text(""), *map(text, NAUGHTY)), ("", *NAUGHTY), word="VARCHAR"),
    Case("text with \\u0000", "text", ('"a\\u0000b"',), ("a\0b",), word="VARCHAR", note="with NUL"),
    Case("dates as texts", "text", ('"2020-01-01"', '"01/02/2020"'), ("2020-01-01", "01/02/2020"), word="VARCHAR"),
    Case("dates", "date", ('"0001-01-01"', '"9999-12-31"'), ("0001-01-01", "9999-12-31"), declared="DATE", word="DATE"),
    Case("01/02/2020", "date", ('"01/02/2020"',), declared="DATE", note="which month"),
    Case(
        "timestamps",
        "timestamp",
        ('"0001-01-01T00:00:00"', '"9999-12-31T23:59:59.999999"'),
        ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"),
        declared="TIMESTAMP",
        word="TIMESTAMP",
    ),
    Case(
        "timestamps, nanoseconds",
        "timestamp",
        ('"2020-01-01T00:00:00.123456789"',),
        declared="TIMESTAMP",
        note="nanoseconds",
    ),
    Case(
        "timestamps with zone",
        "timestamptz",
        ('"2020-01-01T10:00:00+02:00"',),
        ("2020-01-01 08:00:00+00",),
        declared="TIMESTAMPTZ",
        word="TIMESTAMP WITH TIME ZONE",
    ),
    Case("texts and numbers", "text", ('"x"', "5"), note="mixed"),
    Case("objects", "document", ('{"b": 123456789012345678901234567890.10, "a": [1.50, null]}', "{}")),
    Case("lists", "document", ("[1, null, 12345678901234567.89]", "[]")),
)


class FromRest:
    """A path of a server a group of cases."""

    title = "REST"
    cases: Sequence[Case] = CASES

    def __init__(self, server: Stub) -> None:
        self._server, self._numbers = server, itertools.count()

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        path = f"originals_{next(self._numbers)}"
        names = ["id", *(f"c{number}" for number in range(len(cases)))]
        rows = [[str(id), *row] for id, row in enumerate(zip(*padded(cases), strict=True), 1)]
        lines = [
            ", ".join(f'"{name}": {value or "null"}' for name, value in zip(names, row, strict=True)) for row in rows
        ]
        body = f"[{', '.join(f'{{{line}}}' for line in lines)}]".encode()
        self._server.on(f"/{path}", lambda seen: reply(body=body))
        columns = {name: case.declared for name, case in zip(names[1:], cases, strict=True) if case.declared}
        options = Rest.StreamOptions.model_validate({"path": path, "columns": columns})
        return Rest(base_url=self._server.url), Stream("originals", options)
