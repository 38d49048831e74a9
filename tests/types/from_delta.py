"""Delta's types and values, written by the library deltalake."""
# one case a line

import itertools
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

from dataflow_platform.connectors.delta import Delta
from dataflow_platform.connectors.delta.source import DeltaStream
from dataflow_platform.core.base import Source, Stream
from tests.types.case import Case, padded
from tests.types.from_parquet import CASES as PARQUET
from tests.types.from_parquet import STRUCTS

_WORDS: dict[pa.DataType, str] = {
    pa.bool_(): "boolean", pa.int8(): "byte", pa.int16(): "short", pa.int32(): "integer", pa.int64(): "long",
    pa.float32(): "float", pa.float64(): "double", pa.decimal128(9, 9): "decimal(9,9)",
    pa.decimal128(38, 10): "decimal(38,10)", pa.decimal128(38, 38): "decimal(38,38)", pa.string(): "string",
    pa.binary(): "binary", pa.date32(): "date", pa.timestamp("us"): "timestamp_ntz",
    pa.timestamp("us", "UTC"): "timestamp", pa.list_(pa.int32()): "list<integer>",
    pa.list_(pa.list_(pa.string())): "list<list<string>>", pa.list_(pa.decimal128(18, 18)): "list<decimal(18,18)>",
    STRUCTS: "struct<b: decimal(38,6), a: list<integer>>", pa.map_(pa.string(), pa.int32()): "map<string, integer>",
}  # fmt: skip
"""All the primitive types Delta has, and its three nested ones."""


KINDS = {str(kind): kind for kind in _WORDS}
CASES = tuple(
    Case(_WORDS[KINDS[case.type]], case.family, case.values, case.means, case.note, case.word)
    for case in PARQUET
    if case.type in KINDS
)


class FromDelta:
    """A table a group of cases."""

    title = "Delta"
    cases: Sequence[Case] = CASES

    def __init__(self, folder: Path) -> None:
        self._folder, self._names = folder / "delta", itertools.count()

    def offer(self, cases: Sequence[Case]) -> tuple[Source, Stream]:
        name = f"originals_{next(self._names)}"
        kinds = {word: kind for kind, word in _WORDS.items()}
        columns = [pa.array(values, kinds[case.type]) for case, values in zip(cases, padded(cases), strict=True)]
        ids = pa.array(range(1, len(columns[0]) + 1), pa.int32())
        table = pa.table([ids, *columns], names=["id", *(f"c{number}" for number in range(len(cases)))])
        write_deltalake(str(self._folder / name), table)
        return Delta(path=str(self._folder)), Stream("originals", DeltaStream(table=name))
