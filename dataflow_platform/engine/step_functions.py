"""Functions of Python that steps and rules bring: the engine knows each under a name of its own while a load runs."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from inspect import Parameter, Signature
from itertools import count
from typing import TYPE_CHECKING, Any

import duckdb
from duckdb.func import ARROW, SPECIAL

from dataflow_platform.core.errors import DataError, DataflowError
from dataflow_platform.core.rule import Rule
from dataflow_platform.core.sql import quote
from dataflow_platform.core.transformation import EngineFunction, RowsFunction

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = count()
"""Loads of one process may share an instance of DuckDB, and with it the names of functions."""
_ROWS = 50_000  # of a batch that a function over all rows gets


@dataclass(frozen=True)
class _Passage:
    """Rows that leave the engine for a function, and the view they come back by."""

    query: str
    view: str
    function: RowsFunction


class StepFunctions:
    """The functions of one load's steps on its ``connection``."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, only_types: bool = False) -> None:
        self.connection = connection
        self.only_types = only_types
        """Nothing will run: of the tables that steps bring along the columns are enough."""
        self._known: list[str] = []
        self._held: list[Callable[[], None]] = []
        self._passages: list[_Passage] = []
        self._files = ExitStack()
        self.failure: DataflowError | None = None
        """What a function failed with; the engine's own error has only its text."""

    def add(self, functions: Sequence[EngineFunction], beside: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Let the engine, and the one ``beside`` it, know ``functions``: their names -> those they are called by."""
        names = {}
        for function in functions:
            name, takes = f"_dataflow_{function.name}_{next(_NUMBERS)}", _any(function.takes)
            guarded = self._guarded(function)
            for engine in (self.connection, beside):
                # Side effects: without them a filter behind the step would call it a second time for each row.
                engine.create_function(
                    name, guarded, takes, function.gives, type=ARROW, null_handling=SPECIAL, side_effects=True
                )
            self._known.append(name)
            self._held.append(function.close)
            names[function.name] = name
        return names

    def add_rules(self, rules: Sequence[Rule]) -> None:
        """Let the engine know the functions that ``rules`` call; they have names of their own."""
        for function in (code.function for rule in rules for code in rule.code if code.function is not None):
            self.connection.create_function(
                function.name, self._guarded(function), _any(function.takes), function.gives, type=ARROW,
                null_handling=SPECIAL, side_effects=True,
            )  # fmt: skip
            self._known.append(function.name)
            self._held.append(function.close)

    def pass_rows(self, query: str, function: RowsFunction) -> str:
        """The relation that gives what ``function`` makes of the rows of ``query``, once ``run`` was called."""
        view = f"_dataflow_rows_{next(_NUMBERS)}"
        given = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in function.gives)
        self.connection.execute(f"CREATE TEMP VIEW {view} AS SELECT {given} LIMIT 0")
        self._passages.append(_Passage(query, view, function))
        return view

    def run(self) -> None:
        """Let the functions over all rows have theirs; what they give can be read once."""
        for passage in self._passages:
            reader = passage.function.call(self._kept(passage.query))
            with self._noted():
                given = _typed(reader, self._schema(passage.function))
            self.connection.execute(f"DROP VIEW {passage.view}")
            self.connection.register(passage.view, self._watched(given))

    def _kept(self, query: str) -> "pa.RecordBatchReader":
        """The rows of ``query``, kept in a file that has no name: the connection is free for what comes after."""
        import pyarrow as pa

        file = self._files.enter_context(tempfile.TemporaryFile(prefix="dataflow-rows-"))  # noqa: SIM115
        found = self.connection.sql(query).to_arrow_reader(_ROWS)
        with pa.ipc.new_stream(file, found.schema) as sink:
            for batch in found:
                sink.write_batch(batch)
        file.seek(0)
        return pa.ipc.open_stream(file)

    def _schema(self, function: RowsFunction) -> "pa.Schema":
        import pyarrow as pa

        return pa.schema([pa.field(column.name, self._arrow_type(column.type)) for column in function.gives])

    def _watched(self, reader: "pa.RecordBatchReader") -> "pa.RecordBatchReader":
        import pyarrow as pa

        def batches() -> Iterator[pa.RecordBatch]:
            with self._noted():
                yield from reader

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except DataflowError as error:
            self.failure = error
            raise

    def _guarded(self, function: EngineFunction) -> Callable[..., Any]:
        wanted = self._arrow_type(function.gives)

        def call(*columns: Any) -> Any:
            with self._noted():
                return _fitting(function, wanted, [column.combine_chunks() for column in columns])

        # DuckDB counts the parameters it sees: `*columns` is one to it.
        places = [Parameter(f"column_{place}", Parameter.POSITIONAL_ONLY) for place, _ in enumerate(function.takes)]
        call.__signature__ = Signature(places)  # type: ignore[attr-defined]
        return call

    def _arrow_type(self, kind: str) -> Any:
        nothing = self.connection.sql(f"SELECT CAST(NULL AS {kind}) AS value LIMIT 0")
        return nothing.to_arrow_reader().schema.field(0).type

    def close(self) -> None:
        """Forget the functions, and free what they hold."""
        for name in self._known:
            with suppress(duckdb.Error):  # gone with the transaction that made it
                self.connection.remove_function(name)
        self._known.clear()
        while self._held:
            self._held.pop()()
        for passage in self._passages:
            with suppress(duckdb.Error):
                self.connection.execute(f"DROP VIEW IF EXISTS {passage.view}")
        self._files.close()


@contextmanager
def opened(connection: duckdb.DuckDBPyConnection, only_types: bool = False) -> Iterator[StepFunctions]:
    """A place for the functions of a load's steps; an error of one of them is raised as itself."""
    functions = StepFunctions(connection, only_types)
    try:
        yield functions
    except duckdb.Error:
        if functions.failure is not None:
            raise functions.failure from None
        raise
    finally:
        functions.close()


def _any(kinds: Sequence[str]) -> list[Any]:
    return list(kinds)


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


def _typed(reader: "pa.RecordBatchReader", wanted: "pa.Schema") -> "pa.RecordBatchReader":
    """The rows in the declared types; DataError where a column is absent or a value none of its type."""
    import pyarrow as pa

    absent = [name for name in wanted.names if name not in reader.schema.names]
    if absent:
        raise DataError(
            "function.columns", f"the function did not give the column '{absent[0]}'",
            fix=f"declare only what it gives: {', '.join(reader.schema.names)}",
        )  # fmt: skip

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            try:
                yield batch.select(wanted.names).cast(wanted)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise DataError(
                    "function.type",
                    "the function gave values that are none of the declared types",
                    fix="give values of the declared types, or declare the types of the values",
                ) from None

    return pa.RecordBatchReader.from_batches(wanted, batches())
