"""What a Parquet file holds that DuckDB's reader would change without a word; looked for before it reads."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors.files.alike import refuse_alike
from dataflow_platform.core.errors import ConfigError, DataError, Location

if TYPE_CHECKING:
    import pyarrow as pa

_MAY_BE_INEXACT = (
    "coalesce(precision > 38 OR type = 'INT96' "
    # Milliseconds and microseconds have an older word as well, nanoseconds have none.
    "OR duckdb_type IN ('TIME', 'TIME WITH TIME ZONE', 'TIMESTAMP WITH TIME ZONE') AND converted_type IS NULL, false)"
)


def refuse_inexact(paths: str, ask: Callable[[str], list[tuple[Any, ...]]]) -> None:
    """Raise where a file has a decimal beyond 38 digits, nanoseconds DuckDB cuts off, or names alike.

    ``paths`` is a SQL list. Only columns whose type can hold such nanoseconds are read for it.
    """
    elements = ask(
        f"SELECT file_name, name, coalesce(num_children, 0), {_MAY_BE_INEXACT} FROM parquet_schema({paths}) "
        "ORDER BY file_name, column_id"
    )
    for path, of_file in groupby(elements, key=lambda element: str(element[0])):
        _, *below_root = of_file
        refuse_alike(_columns((name, children) for _, name, children, _ in below_root), path)
        if any(suspect for *_, suspect in below_root):
            _look_into(path)


def _columns(elements: Iterable[tuple[str, int]]) -> Iterator[str]:
    """The names of the top level: each element is followed by its children, and theirs."""
    inner = 0
    for name, children in elements:
        if inner:
            inner -= 1
        else:
            yield name
        inner += children


def _look_into(path: str) -> None:
    # Imported for the few files that need it: it costs more than many a load.
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        for field in schema:
            for kind in _kinds(field.type):
                _refuse_long(field.name, kind, path)
        fine = [field.name for field in schema if any(map(_is_cut, _kinds(field.type)))]
        for name in fine:
            _refuse_nanoseconds(file, name, path)


def _kinds(kind: "pa.DataType") -> Iterator["pa.DataType"]:
    """The types of the values inside a type, however deep."""
    if not kind.num_fields:
        yield kind
    for number in range(kind.num_fields):
        yield from _kinds(kind.field(number).type)


def _refuse_long(name: str, kind: "pa.DataType", path: str) -> None:
    import pyarrow as pa

    if pa.types.is_decimal(kind) and kind.precision > 38:
        raise ConfigError(
            "files.type",
            f"column '{name}' is a DECIMAL({kind.precision},{kind.scale}): the engine keeps at most 38 digits",
            where=Location(file=path),
            fix="write the column as DECIMAL with at most 38 digits, or as a text",
        )


def _is_cut(kind: "pa.DataType") -> bool:
    """True for the types whose nanoseconds DuckDB reads as microseconds."""
    import pyarrow as pa

    return kind == pa.time64("ns") or (pa.types.is_timestamp(kind) and kind.unit == "ns" and kind.tz is not None)


def _refuse_nanoseconds(file: Any, name: str, path: str) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in file.iter_batches(columns=[name]):
        for leaf in _leaves(batch.column(0)):
            if not _is_cut(leaf.type):
                continue
            whole = leaf.cast(pa.int64())
            cut = pc.multiply(pc.divide(whole, 1000), 1000)
            if pc.any(pc.not_equal(whole, cut)).as_py():
                raise DataError(
                    "files.type",
                    f"column '{name}' ({leaf.type}) holds nanoseconds, and the engine keeps microseconds of this type",
                    where=Location(file=path),
                    fix="write the column in microseconds, as a timestamp without zone, or as a text",
                )


def _leaves(array: "pa.Array[Any]") -> Iterator["pa.Array[Any]"]:
    import pyarrow as pa

    if pa.types.is_struct(array.type):
        for member in array.flatten():  # type: ignore[attr-defined]
            yield from _leaves(member)
    elif pa.types.is_map(array.type):
        yield from _leaves(array.keys)  # type: ignore[attr-defined]
        yield from _leaves(array.items)  # type: ignore[attr-defined]
    elif array.type.num_fields:
        yield from _leaves(array.flatten())  # type: ignore[attr-defined]
    else:
        yield array
