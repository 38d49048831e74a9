"""The step: which columns go into a model, and which come out of it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from dataflow_platform.core import paths
from dataflow_platform.core.base import Column, EngineFunction, Spec, Tables, Transformation
from dataflow_platform.core.enriching import enriched, structure
from dataflow_platform.core.errors import ConfigError, DataError, Location
from dataflow_platform.core.expression import data_type
from dataflow_platform.core.extra import require
from dataflow_platform.core.projection import found
from dataflow_platform.core.sql import quote
from dataflow_platform.transformations.score.models import Model, ObjectModel, OnnxModel, guarded

if TYPE_CHECKING:
    import pyarrow as pa


class Output(Spec):
    """A column that the model gives."""

    shorthand = "type"

    type: str = Field(description="Its DuckDB type; a value that is none of the type fails the run.")
    output: str | None = Field(
        default=None,
        description="The model's output it is taken from: by name (ONNX; that of the column if absent), or the method "
        "(`predict` if absent, `predict_proba`, `decision_function`, ...).",
    )
    at: int | str | None = Field(
        default=None, description="Of an output with several values for a row: which one, by position from 0 or by key."
    )

    @field_validator("type")
    @classmethod
    def _known_type(cls, kind: str) -> str:
        return data_type(kind)


class Score(Spec, Transformation):
    """Runs a model over the rows, batch by batch, on the CPU; a row with NULL in an input gets NULL."""

    onnx: str | None = Field(default=None, description="A model as a file of ONNX, relative to the project.")
    model: str | None = Field(
        default=None,
        description="Or an object with scikit-learn's methods by its dotted path, `package.module:name`; a function is "
        "called once for each load to make it. It is code, never a pickled file.",
    )
    inputs: dict[str, list[str]] | list[str] = Field(
        min_length=1,
        description="For ONNX: input to the columns it is made of, such as `{x: [age, income]}`. For an object: the "
        "columns in the order it was trained on, or one column of texts.",
    )
    outputs: dict[str, Output] = Field(
        min_length=1, description="New column to its type, such as `{label: varchar}`, or to `{type, output, at}`."
    )
    threads: int = Field(default=1, ge=1, le=64, description="Threads of the model for each batch.")

    @model_validator(mode="after")
    def _check(self) -> "Score":
        if (self.onnx is None) == (self.model is None):
            raise ConfigError("score.model", "score needs one of onnx and model", fix="keep one")
        if (self.onnx is not None) != isinstance(self.inputs, dict):
            fix = "inputs: {x: [column]}" if self.onnx else "inputs: [column]"
            raise ConfigError("score.inputs", "the inputs do not go with the kind of model", where="inputs", fix=fix)
        for module in ("onnxruntime", "numpy") if self.onnx else ("threadpoolctl", "numpy"):
            require(module, "score", "score")
        return self

    @property
    def _columns(self) -> list[str]:
        """The columns it reads, each once."""
        listed = self.inputs if isinstance(self.inputs, list) else [each for of in self.inputs.values() for each in of]
        return list(dict.fromkeys(listed))

    @property
    def _wanted(self) -> Mapping[str, str]:
        """New column -> output of the model."""
        return {
            name: each.output or (name if self.onnx is not None else "predict") for name, each in self.outputs.items()
        }

    def functions(self, columns: Sequence[Column]) -> tuple[EngineFunction, ...]:
        """The model, loaded once."""
        takes = structure({name: found(name, columns).type for name in self._columns})
        gives = structure({name: each.type for name, each in self.outputs.items()})
        model, wanted = self._loaded(), list(dict.fromkeys(self._wanted.values()))

        def call(rows: "pa.StructArray") -> "pa.Array[Any]":
            import pyarrow as pa

            batch = pa.RecordBatch.from_struct_array(rows)
            full = _without_null(batch)
            scored = batch.filter(full)
            arrays: list[pa.Array[Any]] = [pa.nulls(0) for _ in self.outputs]
            if scored.num_rows:
                columns = dict(zip(self._columns, scored.columns, strict=True))
                given = guarded(lambda: model.run(columns, wanted), self.onnx or str(self.model))
                arrays = [self._values(given, name, scored.num_rows) for name in self.outputs]
            return _spread(pa.StructArray.from_arrays(arrays, names=list(self.outputs)), full)

        return (EngineFunction("score", (takes,), gives, call),)

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and what the model gives."""
        fields = ", ".join(f"{quote(name)}: input.{quote(found(name, columns).name)}" for name in self._columns)
        taken = {name: name for name in self.outputs}
        return enriched(columns, f"score({{{fields}}})", "TRUE", taken, "null", "", "")

    def _loaded(self) -> Model:
        outputs = list(dict.fromkeys(self._wanted.values()))
        if isinstance(self.inputs, list):
            return ObjectModel(str(self.model), self.inputs, outputs, self.threads)
        file = paths.resolve(str(self.onnx))
        if not file.is_file():
            raise ConfigError(
                "score.model", f"there is no file '{self.onnx}'", where=Location(file=str(file)),
                fix="correct the path; it is relative to the project",
            )  # fmt: skip
        return OnnxModel(file, self.inputs, outputs, self.threads)

    def _values(self, given: Mapping[str, Any], name: str, rows: int) -> "pa.Array[Any]":
        """The values of a new column."""
        import pyarrow as pa

        values, at = given[self._wanted[name]], self.outputs[name].at
        if hasattr(values, "ndim"):
            if values.ndim == 2 and (isinstance(at, int) or values.shape[1] == 1):
                at = at if isinstance(at, int) else 0
                values = values[:, at] if at < values.shape[1] else None
            elif values.ndim != 1 or at is not None:
                values = None
        elif at is not None:
            values = [each[at] for each in values] if all(at in each for each in values) else None
        if values is None or len(values) != rows:
            raise DataError(
                "score.shape", f"output '{self._wanted[name]}' has no single value for each row",
                where=f"outputs.{name}", fix="say which one: {type: double, at: 1}, counted from 0",
            )  # fmt: skip
        # Of texts numpy makes arrays of objects.
        made: pa.Array[Any] = pa.array(values.tolist() if getattr(values, "dtype", None) == "object" else values)
        return made


def _without_null(batch: "pa.RecordBatch") -> "pa.Array[Any]":
    import pyarrow as pa
    import pyarrow.compute as pc

    full: Any = pa.repeat(pa.scalar(True), batch.num_rows)
    for column in batch.columns:
        full = pc.and_(full, pc.is_valid(column))
    assert isinstance(full, pa.Array)
    return full


def _spread(scored: "pa.Array[Any]", full: "pa.Array[Any]") -> "pa.Array[Any]":
    """One value for each row: those of ``scored`` where ``full``, NULL elsewhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    place: Any = pc.subtract(pc.cumulative_sum(full.cast(pa.int64())), 1)
    taken: Any = scored.take(pc.if_else(full, place, pa.scalar(None, pa.int64())))
    assert isinstance(taken, pa.Array)
    return taken
