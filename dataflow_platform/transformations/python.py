"""Transformation ``python``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, EngineFunction, Rows, RowsFunction, Spec, Tables, Transformation
from dataflow_platform.core.dotted_path import load_object
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, did_you_mean
from dataflow_platform.core.expression import data_type
from dataflow_platform.core.projection import chosen, names_of
from dataflow_platform.core.sql import quote

if TYPE_CHECKING:
    import pyarrow as pa

_GIVEN = "_dataflow_given"


class Python(Spec, Transformation):
    """Lets a function of your own compute columns, batch by batch, or make other rows of all rows."""

    function: str = Field(description="A function by its dotted path, `package.module:name`.")
    takes: Literal["batch", "reader", "polars"] = Field(
        default="batch",
        description="What it gets, and gives. `batch`: a `pyarrow.RecordBatch`, as often as there are batches; it "
        "gives one (or a table, a mapping of names to arrays, a Polars frame) with as many rows, in their order. "
        "`reader`: all rows as a `pyarrow.RecordBatchReader`; it gives one with the rows it makes of them. `polars`: "
        "the same with a `polars.LazyFrame`. Those two see all rows, so they go without a cursor; rows wait in a "
        "temporary file, not in memory.",
    )
    columns: dict[str, str] = Field(
        min_length=1,
        description="The columns it gives, name to DuckDB type, such as `score: double`. From a `batch` a known name "
        "is replaced in its place, a new one is added at the end, and all other columns stay; otherwise these are "
        "all columns. A value that is none of the type fails the run.",
    )
    reads: list[str] = Field(default_factory=list, description="The columns it gets; all if absent.")
    computed_from_: dict[str, list[str]] = Field(
        default_factory=dict,
        alias="computed_from",
        description="Column it gives to the columns it is computed from; of those not listed: all it reads.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Python":
        for name, kind in self.columns.items():
            quote(name)
            data_type(kind)
        for name in self.computed_from_:
            if name not in self.columns:
                raise ConfigError(
                    "python.computed_from", f"the function gives no column '{name}'", where=f"computed_from.{name}",
                    fix=did_you_mean(name, list(self.columns), "name columns it gives"),
                )  # fmt: skip
        if not callable(load_object(self.function)):
            raise ConfigError("python.function", f"{self.function} is no function", where="function", fix="name one")
        return self

    @property
    def rows(self) -> Rows:
        """One for one, from batches."""
        return "same" if self.takes == "batch" else "anew"

    def rows_function(self, columns: Sequence[Column]) -> RowsFunction | None:
        """The function, where it takes all rows."""
        if self.takes == "batch":
            return None
        gives = tuple(Column(name, data_type(kind)) for name, kind in self.columns.items())
        return RowsFunction(gives, self._over_reader if self.takes == "reader" else self._over_frame)

    def functions(self, columns: Sequence[Column]) -> tuple[EngineFunction, ...]:
        """The function over one structure of all it reads, giving one of all it computes."""
        takes = _structure({column.name: column.type for column in self._read(columns)})
        gives = _structure({name: data_type(kind) for name, kind in self.columns.items()})
        return (EngineFunction("python", (takes,), gives, self._call),)

    def computed_from(self, columns: Sequence[Column]) -> Mapping[str, Sequence[str]]:
        """As declared; what is not, from all that is read."""
        return {
            name: names_of(chosen(self.computed_from_[name], columns, "python"))
            if name in self.computed_from_
            else names_of(self._read(columns))
            for name in self.columns
        }

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of ``columns``, those it gives among them or behind them."""
        known, gives = {column.name.lower() for column in columns}, {name.lower(): name for name in self.columns}
        kept = [
            _given(gives[column.name.lower()], column.name)
            if column.name.lower() in gives
            else f"input.{quote(column.name)} AS {quote(column.name)}"
            for column in columns
        ]
        kept += [_given(name, name) for name in self.columns if name.lower() not in known]
        fields = ", ".join(f"{quote(each.name)}: input.{quote(each.name)}" for each in self._read(columns))
        inner = f"SELECT input.*, python({{{fields}}}) AS {_GIVEN} FROM input"
        return f"SELECT {', '.join(kept)} FROM ({inner}) AS input"

    def _read(self, columns: Sequence[Column]) -> Sequence[Column]:
        return chosen(self.reads, columns, "python") if self.reads else columns

    def _call(self, rows: "pa.StructArray") -> "pa.StructArray":
        import pyarrow as pa

        batch = pa.RecordBatch.from_struct_array(rows)
        with self._told():
            given = load_object(self.function)(batch)
        return self._structured(given, batch.num_rows)

    def _over_reader(self, reader: "pa.RecordBatchReader") -> "pa.RecordBatchReader":
        import pyarrow as pa

        with self._told():
            given = load_object(self.function)(self._narrowed(reader))
        if not isinstance(given, pa.RecordBatchReader):
            raise ConfigError(
                "python.gave", f"{self.function} gave a {type(given).__name__}, and takes: reader asks for a reader",
                where="function", fix="give pa.RecordBatchReader.from_batches(schema, batches)",
            )  # fmt: skip
        return pa.RecordBatchReader.from_batches(given.schema, self._one_by_one(lambda: given))

    def _over_frame(self, reader: "pa.RecordBatchReader") -> "pa.RecordBatchReader":
        import polars as pl
        import pyarrow as pa
        from polars.io.plugins import register_io_source

        rows = self._narrowed(reader)
        empty = pl.from_arrow(rows.schema.empty_table())
        assert isinstance(empty, pl.DataFrame)

        def batches(
            columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            for batch in rows:
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                frame = frame if columns is None else frame.select(columns)
                frame = frame if predicate is None else frame.filter(predicate)
                yield frame if limit is None else frame.head(limit)
                limit = None if limit is None else limit - min(limit, frame.height)

        with self._told():
            given = load_object(self.function)(register_io_source(batches, schema=empty.schema))
            schema = pl.DataFrame(schema=given.collect_schema()).to_arrow().schema
        found = self._one_by_one(lambda: (frame.to_arrow() for frame in given.collect_batches(lazy=True)))
        return pa.RecordBatchReader.from_batches(schema, (batch for table in found for batch in table.to_batches()))

    def _narrowed(self, reader: "pa.RecordBatchReader") -> "pa.RecordBatchReader":
        import pyarrow as pa

        if not self.reads:
            return reader
        columns = [Column(name, "") for name in reader.schema.names]
        names = names_of(chosen(self.reads, columns, "python"))
        schema = pa.schema([reader.schema.field(name) for name in names])
        return pa.RecordBatchReader.from_batches(schema, (batch.select(names) for batch in reader))

    def _one_by_one(self, given: Callable[[], Any]) -> Iterator[Any]:
        with self._told():
            yield from given()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """An error of the function as ours: not in its words, they may hold values."""
        try:
            yield
        except DataflowError:
            raise
        except Exception as error:
            raise DataError(
                "python.failed",
                f"{self.function} failed with {type(error).__name__}{_line_of(error)}",
                fix="correct the function, or the rows it cannot take",
            ) from error

    def _structured(self, given: Any, rows: int) -> "pa.StructArray":
        """What the function gave as one array of structures, its fields in the declared order."""
        import pyarrow as pa

        table = given.to_arrow() if hasattr(given, "to_arrow") else given
        names = list(table.keys()) if isinstance(table, Mapping) else table.column_names
        absent = [name for name in self.columns if name not in names]
        if absent:
            raise ConfigError(
                "python.columns", f"{self.function} did not give the column '{absent[0]}'",
                where="columns", fix=did_you_mean(absent[0], names, "declare only what it gives"),
            )  # fmt: skip
        arrays = [_one(table[name]) for name in self.columns]
        if any(len(array) != rows for array in arrays):
            lengths = sorted({len(array) for array in arrays})
            raise DataError(
                "python.rows", f"{self.function} gave {', '.join(map(str, lengths))} values for {rows} rows",
                fix="give one value for each row, in their order",
            )  # fmt: skip
        return pa.StructArray.from_arrays(arrays, names=list(self.columns))


def _one(values: Any) -> "pa.Array[Any]":
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array(values)


def _given(field: str, name: str) -> str:
    return f"input.{_GIVEN}.{quote(field)} AS {quote(name)}"


def _structure(fields: Mapping[str, str]) -> str:
    return f"STRUCT({', '.join(f'{quote(name)} {kind}' for name, kind in fields.items())})"


def _line_of(error: BaseException) -> str:
    """Where in the user's file it happened."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
