"""Delta and Parquet as destinations of the matrix: read back by deltalake, DuckDB's delta extension and pyarrow."""

import datetime as dt
import importlib.util
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from dataflow_platform.connectors.delta import DeltaDestination
from dataflow_platform.connectors.parquet_dataset import ParquetDataset
from dataflow_platform.core.base import Destination, Table
from tests.types.case import Case
from tests.types.meaning import canonical

_IN_ARROW = {
    "boolean": "bool", "tinyint": "int8", "smallint": "int16", "integer": "int32", "bigint": "int64",
    "utinyint": "uint8", "usmallint": "uint16", "uinteger": "uint32", "ubigint": "uint64", "float": "float",
    "double": "double", "varchar": "string", "blob": "binary", "date": "date32[day]", "time": "time64[us]",
    "timestamp": "timestamp[us]", "timestamp_ns": "timestamp[ns]", "timestamp with time zone": "timestamp[us, tz=UTC]",
    "uuid": "extension<arrow.uuid>", "json": "extension<arrow.json>",
}  # fmt: skip
_IN_DELTA = {
    "boolean": "boolean", "tinyint": "byte", "smallint": "short", "integer": "integer", "bigint": "long",
    "float": "float", "double": "double", "varchar": "string", "blob": "binary", "date": "date",
    "timestamp": "timestamp_ntz", "timestamp with time zone": "timestamp",
}  # fmt: skip


class _InFiles(ABC):
    """A table whose newest version's rows come as one Arrow table a reader."""

    title: str
    destination: Destination
    words: ClassVar[dict[str, str]]

    def __init__(self) -> None:
        self._seen: tuple[Table, list[pa.Table]] | None = None

    @abstractmethod
    def read(self, table: Table) -> list[pa.Table]:
        """The rows by ``id``, as each of the readers finds them."""

    @abstractmethod
    def columns(self, table: Table) -> dict[str, str]: ...

    def forget(self) -> None:
        """The table changed since it was read."""
        self._seen = None

    def values(self, table: Table, column: str, kind: str, family: str) -> list[Any]:
        if self._seen is None or self._seen[0] != table:
            self._seen = (table, [found.sort_by("id") for found in self.read(table)])
        first, *others = ([_told(value, family) for value in found.column(column)] for found in self._seen[1])
        for other in others:
            for number, (one, two) in enumerate(zip(first, other, strict=True)):
                if canonical(family, one) != canonical(family, two):
                    first[number] = f"not the same in every reader: {one!r} and {two!r}"
        return first

    def own(self, case: Case) -> tuple[str, ...]:
        return (case.type, self._word(duckdb.sqltype(case.word)) if case.word not in ("", '"NULL"') else "?")

    def _word(self, kind: Any) -> str:
        children = dict(kind.children) if kind.id in ("list", "struct", "map", "decimal") else {}
        inner = {name: self._word(each) for name, each in children.items() if kind.id != "decimal"}
        if kind.id == "decimal":
            return f"{self.words['decimal']}({children['precision']},{children['scale']})"
        if kind.id == "list":
            return f"list<{inner['child']}>"
        if kind.id == "map":
            return f"map<{inner['key']}, {inner['value']}>"
        if kind.id == "struct":
            return f"struct<{', '.join(f'{name}: {each}' for name, each in inner.items())}>"
        return self.words.get("json" if str(kind) == "JSON" else kind.id, "?")


class InDelta(_InFiles):
    """Delta tables, read by the library deltalake and by DuckDB's own delta extension."""

    title = "Delta"
    words: ClassVar[dict[str, str]] = {**_IN_DELTA, "decimal": "decimal"}

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder / "delta"
        self.destination: Destination = DeltaDestination(path=str(self._folder), wait_seconds=1)
        self._duckdb: duckdb.DuckDBPyConnection | None = None

    def _path(self, table: Table) -> str:
        return str(self._folder / folder_name(table.schema) / folder_name(table.name))

    def read(self, table: Table) -> list[pa.Table]:
        path = self._path(table).replace("'", "''")
        by_deltalake = DeltaTable(self._path(table)).to_pyarrow_table()
        by_duckdb = self.extension().sql(f"SELECT * FROM delta_scan('{path}')").to_arrow_table()
        return [by_deltalake, by_duckdb]

    def extension(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB with its delta extension."""
        if self._duckdb is None:
            package = importlib.util.find_spec("duckdb_extension_delta")
            assert package is not None
            assert package.origin is not None
            wheel = Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}" / "delta.duckdb_extension"
            self._duckdb = duckdb.connect()
            self._duckdb.execute(f"LOAD '{wheel}'; SET TimeZone = 'UTC'")
        return self._duckdb

    def columns(self, table: Table) -> dict[str, str]:
        fields = json.loads(DeltaTable(self._path(table)).schema().to_json())["fields"]
        return {field["name"]: _delta_word(field["type"]) for field in fields}


def _delta_word(kind: Any) -> str:
    if isinstance(kind, str):
        return kind
    if kind["type"] == "array":
        return f"list<{_delta_word(kind['elementType'])}>"
    if kind["type"] == "map":
        return f"map<{_delta_word(kind['keyType'])}, {_delta_word(kind['valueType'])}>"
    fields = (f"{each['name']}: {_delta_word(each['type'])}" for each in kind["fields"])
    return f"struct<{', '.join(fields)}>"


class InParquet(_InFiles):
    """A Parquet dataset: the files its newest manifest names, read by pyarrow."""

    title = "Parquet dataset"
    words: ClassVar[dict[str, str]] = {**_IN_ARROW, "decimal": "decimal128"}

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder / "parquet"
        self.destination: Destination = ParquetDataset(path=str(self._folder), wait_seconds=1)

    def read(self, table: Table) -> list[pa.Table]:
        folder = self._folder / folder_name(table.schema) / folder_name(table.name)
        manifest = json.loads(max((folder / "_manifest").glob("*.json")).read_text(encoding="utf-8"))
        files = [pq.ParquetFile(folder / each["path"]).read() for each in manifest["files"]]
        return [pa.concat_tables(files)]

    def columns(self, table: Table) -> dict[str, str]:
        (found,) = self.read(table)
        return {field.name: _arrow_word(field.type) for field in found.schema}


def _arrow_word(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list<{_arrow_word(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{_arrow_word(kind.key_type)}, {_arrow_word(kind.item_type)}>"
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{field.name}: {_arrow_word(field.type)}' for field in kind)}>"
    return str(kind).replace(", ", ",") if pa.types.is_decimal(kind) else str(kind)


def folder_name(name: str) -> str:
    """The folder of a schema or table as docs/destinations.md promises it: odd bytes as ``~`` and two hex digits."""
    text = re.sub(
        rb"[^A-Za-z0-9_.-]", lambda found: b"~%02X" % found[0][0], name.encode(), flags=re.S
    ).decode()  # fmt: skip
    return re.sub(r"^\.", "~2E", text)


def _told(value: pa.Scalar, family: str) -> Any:
    """An Arrow value as ``meaning.canonical`` takes it; moments from their numbers, which know no first year."""
    if not value.is_valid:
        return None
    if family == "document" and not isinstance(value, pa.StringScalar):
        return _document(value)
    if isinstance(value, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar):
        return [_told(each, family.removeprefix("list:")) for each in value.values]
    if isinstance(value, pa.TimestampScalar):
        return _timestamp(value.value, value.type.unit) + ("+00" if value.type.tz else "")
    if isinstance(value, pa.Date32Scalar):
        return _day(value.value)
    if isinstance(value, pa.Time64Scalar):
        return _clock(value.value)
    if isinstance(value, pa.ExtensionScalar) and family != "uuid":
        return value.value.as_py()
    if family == "interval":
        return _interval(str(value.as_py()))
    return value.as_py()


def _document(value: pa.Scalar) -> Any:
    if not value.is_valid:
        return None
    if isinstance(value, pa.MapScalar):
        return {str(each["key"].as_py()): _document(each["value"]) for each in value.values}
    if isinstance(value, pa.StructScalar):
        return {name: _document(value[name]) for name in value.type.names}
    if isinstance(value, pa.ListScalar):
        return [_document(each) for each in value.values]
    said = value.as_py()
    if said != said:
        return "NaN"
    return Decimal(repr(said) if isinstance(said, float) else said) if isinstance(said, int | float) else said


def _day(days: int) -> str:
    """A day by its number from 1970, in the proleptic Gregorian calendar; Python's begins with year 1."""
    eras, rest = divmod(days + dt.date(1970, 1, 1).toordinal() - 1, 146_097)
    found = dt.date.fromordinal(rest + 1)
    year = found.year + 400 * eras
    return f"{year if year > 0 else 1 - year:04d}-{found:%m-%d}" + (" BC" if year <= 0 else "")


def _clock(micros: int) -> str:
    seconds, fraction = divmod(micros, 10**6)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:06d}"


def _timestamp(number: int, unit: str) -> str:
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    seconds, fraction = divmod(number, scale)
    days, clock = divmod(seconds, 86_400)
    day = _day(days)
    era = " BC" if day.endswith(" BC") else ""
    digits = f".{fraction:0{len(str(scale)) - 1}d}" if scale > 1 else ""
    return f"{day.removesuffix(' BC')} {_clock(clock * 10**6)[:8]}{digits}{era}"


_SPANS = {"year": 12, "month": 1}


def _interval(text: str) -> Sequence[int]:
    """DuckDB's text of a span as months, days and microseconds."""
    months = sum(int(number) * _SPANS[unit] for number, unit in re.findall(r"(-?\d+) (year|month)", text))
    days = sum(int(number) for number in re.findall(r"(-?\d+) day", text))
    clock = re.search(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?", text)
    if clock is None:
        return (months, days, 0)
    sign, hours, minutes, seconds, fraction = clock.groups()
    micros = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 10**6 + int((fraction or "0").ljust(6, "0")[:6])
    return (months, days, -micros if sign else micros)
