"""Models: a file of ONNX, or an object that a dotted path names. Nothing is unpickled."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dataflow_platform.core.dotted_path import load_object
from dataflow_platform.core.errors import ConfigError, DataError, Location, unknown_name

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")
_NUMBERS = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(int16)": "int16", "tensor(int8)": "int8", "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}  # fmt: skip

Columns = Mapping[str, "pa.Array[Any]"]
Inputs = Mapping[str, Sequence[str]]
"""Input of the model -> the columns it is made of."""


class Model(Protocol):
    """What gives values for rows without NULL; it may be called by several threads."""

    def run(self, columns: Columns, outputs: Sequence[str]) -> Mapping[str, Any]:
        """Output -> a value for each row: an array of one or two dimensions, or a list of mappings."""


class OnnxModel:
    """A file of ONNX, run on the CPU by so many ``threads`` for each batch."""

    def __init__(self, file: Path, inputs: Inputs, outputs: Sequence[str], threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors: its warnings go to the terminal, past every log
        try:
            self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base but this
            raise ConfigError(
                "score.model", f"the file holds no model that runs here: {type(error).__name__}",
                where=Location(file=str(file)), fix="export it anew, for the CPU",
            ) from error  # fmt: skip
        self._kinds = {each.name: str(each.type) for each in self._session.get_inputs()}
        for name in inputs:
            if name not in self._kinds:
                raise unknown_name("input", name, self._kinds, "the model has others").at_path("inputs")
        for name, kind in self._kinds.items():
            if name not in inputs:
                raise ConfigError(
                    "score.inputs", f"the model needs an input '{name}'", where="inputs", fix=f"say {name}: [column]"
                )
            if kind not in _NUMBERS and kind != "tensor(string)":
                raise ConfigError(
                    "score.inputs", f"input '{name}' takes {kind}", where="inputs", fix="use numbers, booleans or texts"
                )
        gives = [each.name for each in self._session.get_outputs()]
        for name in outputs:
            if name not in gives:
                raise unknown_name("output", name, gives, "the model has others").at_path("outputs")
        self._inputs, self._ranks = inputs, {each.name: len(each.shape) for each in self._session.get_inputs()}

    def run(self, columns: Columns, outputs: Sequence[str]) -> Mapping[str, Any]:
        """By the session all threads share."""
        feed = {}
        for name, parts in self._inputs.items():
            kind = _NUMBERS.get(self._kinds[name], "object")
            matrix = _matrix([columns[part] for part in parts], kind)
            feed[name] = matrix[:, 0] if self._ranks[name] == 1 else matrix
        return dict(zip(outputs, self._session.run(list(outputs), feed), strict=True))


class ObjectModel:
    """An object with the methods of scikit-learn's estimators; texts as one column, else a matrix of numbers."""

    def __init__(self, dotted: str, columns: Sequence[str], outputs: Sequence[str], threads: int) -> None:
        found = load_object(dotted)
        self._model = found if hasattr(found, "predict") or hasattr(found, "transform") else found()
        self._dotted, self._columns, self._threads = dotted, columns, threads
        for name in outputs:
            if name not in METHODS or not hasattr(self._model, name):
                known = [method for method in METHODS if hasattr(self._model, method)]
                raise unknown_name("output", name, known, f"a method of {dotted}").at_path("outputs")

    def run(self, columns: Columns, outputs: Sequence[str]) -> Mapping[str, Any]:
        """By its methods."""
        import pyarrow as pa
        from threadpoolctl import threadpool_limits

        given: Any = [columns[name] for name in self._columns]
        if len(given) == 1 and pa.types.is_string(given[0].type):
            rows: Any = _matrix(given, "object")[:, 0]
        else:
            rows = _matrix(given, "object" if any(pa.types.is_string(each.type) for each in given) else "float64")
        with threadpool_limits(limits=self._threads):
            return {name: getattr(self._model, name)(rows) for name in outputs}


def guarded(run: Callable[[], Mapping[str, Any]], model: str) -> Mapping[str, Any]:
    """What ``run`` gives; a DataError without its words, which may hold values, where it fails."""
    try:
        return run()
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            "score.failed", f"{model} failed with {type(error).__name__}",
            fix="try it on the rows by hand: are inputs, their order and their types what it was trained on?",
        ) from error  # fmt: skip


def _matrix(columns: Sequence["pa.Array[Any]"], kind: str) -> "np.ndarray[Any, Any]":
    """One row for each row, one column for each column."""
    import numpy as np
    import pyarrow as pa

    if kind == "object":
        return np.column_stack([np.array(each.to_pylist(), dtype=object) for each in columns])
    plain = [each.cast(pa.float64()) if pa.types.is_decimal(each.type) else each for each in columns]
    return np.column_stack([each.to_numpy(zero_copy_only=False).astype(kind) for each in plain])
