"""Transformation ``python``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, EngineFunction, Spec, Tables, Transformation
from dataflow_platform.core.dotted_path import load_object
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, did_you_mean
from dataflow_platform.core.expression import data_type
from dataflow_platform.core.projection import chosen, names_of
from dataflow_platform.core.sql import quote

if TYPE_CHECKING:
    import pyarrow as pa

_GIVEN = "_dataflow_given"


class Python(Spec, Transformation):
    """Computes columns by a function of your own, batch by batch."""

    function: str = Field(
        description="A function by its dotted path, `package.module:name`. It gets a `pyarrow.RecordBatch` and gives "
        "one (or a table, a mapping of names to arrays, or a Polars frame) with as many rows, in their order. How many "
        "rows a batch has is the engine's choice."
    )
    columns: dict[str, str] = Field(
        min_length=1,
        description="The columns it gives, name to DuckDB type, such as `score: double`. A known name is replaced in "
        "its place, a new one is added at the end; all other columns stay. A value that is none of the type fails "
        "the run.",
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
        try:
            given = load_object(self.function)(batch)
        except DataflowError:
            raise
        except Exception as error:
            # Not its words: they may hold values.
            raise DataError(
                "python.failed",
                f"{self.function} failed with {type(error).__name__}{_line_of(error)}",
                fix="correct the function, or the rows it cannot take",
            ) from error
        return self._structured(given, batch.num_rows)

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
