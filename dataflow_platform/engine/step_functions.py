"""Functions of Python that steps bring: the engine knows each under a name of its own while a load runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import duckdb
from duckdb.func import ARROW, SPECIAL

from dataflow_platform.core.errors import DataError, DataflowError
from dataflow_platform.core.transformation import EngineFunction

_NUMBERS = count()
"""Loads of one process may share an instance of DuckDB, and with it the names of functions."""


class StepFunctions:
    """The functions of one load's steps on its ``connection``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._known: list[str] = []
        self._held: list[Callable[[], None]] = []
        self.failure: DataflowError | None = None
        """What a function failed with; the engine's own error has only its text."""

    def add(self, functions: Sequence[EngineFunction]) -> dict[str, str]:
        """Let the engine know ``functions``: their names -> the names they are called by."""
        names = {}
        for function in functions:
            name = f"_dataflow_{function.name}_{next(_NUMBERS)}"
            takes: list[Any] = list(function.takes)
            # Side effects: without them a filter behind the step would call it a second time for each row.
            self._connection.create_function(
                name, self._guarded(function), takes, function.gives,
                type=ARROW, null_handling=SPECIAL, side_effects=True,
            )  # fmt: skip
            self._known.append(name)
            self._held.append(function.close)
            names[function.name] = name
        return names

    def _guarded(self, function: EngineFunction) -> Callable[..., Any]:
        wanted = self._arrow_type(function.gives)

        def call(*columns: Any) -> Any:
            try:
                return _fitting(function, wanted, [column.combine_chunks() for column in columns])
            except DataflowError as error:
                self.failure = error
                raise

        return call

    def _arrow_type(self, kind: str) -> Any:
        nothing = self._connection.sql(f"SELECT CAST(NULL AS {kind}) AS value LIMIT 0")
        return nothing.to_arrow_reader().schema.field(0).type

    def close(self) -> None:
        """Forget the functions, and free what they hold."""
        for name in self._known:
            with suppress(duckdb.Error):  # gone with the transaction that made it
                self._connection.remove_function(name)
        self._known.clear()
        while self._held:
            self._held.pop()()


@contextmanager
def opened(connection: duckdb.DuckDBPyConnection) -> Iterator[StepFunctions]:
    """A place for the functions of a load's steps; an error of one of them is raised as itself."""
    functions = StepFunctions(connection)
    try:
        yield functions
    except duckdb.Error:
        if functions.failure is not None:
            raise functions.failure from None
        raise
    finally:
        functions.close()


def _fitting(function: EngineFunction, wanted: Any, arrays: Sequence[Any]) -> Any:
    """What the function gives for ``arrays``, in the type it promised; DataError where a value is none of it."""
    import pyarrow as pa

    given = function.call(*arrays)
    if len(given) != len(arrays[0]):
        raise DataError(
            "function.rows", f"{function.name} gave {len(given)} values for {len(arrays[0])} rows",
            fix="it has to give one value for each row, in their order",
        )  # fmt: skip
    try:
        # Invariant 3, no silent type change: a cast that would lose something is an error.
        return given if given.type == wanted else given.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(
            "function.type",
            f"{function.name} gave {given.type}, and not every value is a {function.gives}",
            fix="give values of the declared type, or declare the type of the values",
        ) from None
