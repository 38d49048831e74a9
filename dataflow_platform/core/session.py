"""What the engine asks of one open transaction on a destination."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.load_plan import Column, Table
from dataflow_platform.core.sql import qualified, quote

if TYPE_CHECKING:
    import duckdb

Ahead = Literal["no", "readable", "hidden"]
"""Whether rows can be written before it is known that they will be published, and the engine can read them then."""
PLACE = ("_dataflow_file", "_dataflow_row")
"""Columns that say where a row lies that was written ahead."""


class Session(ABC):
    """One open transaction on a destination. Nothing is visible outside before ``commit``.

    Two places meet here: the engine (``connection``, always DuckDB), where rows are read and judged, and the
    destination, which ``execute`` and ``query`` speak to. On DuckDB they are one. All SQL is in its dialect.
    """

    connection: "duckdb.DuckDBPyConnection"
    """The engine's connection: sources are scanned on it, rows are staged on it."""

    def lock(self, target: Table) -> None:  # noqa: B027  # a destination with one writer has nothing to do
        """Keep other loads of ``target`` out until this transaction ends: wait, then fail saying who it is."""

    def stored(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """``columns`` of the engine as the destination keeps them; ConfigError for a type it cannot keep exactly."""
        return tuple(columns)

    def stage(self, query: str, target: Table) -> Table:
        """Run ``query`` (a SELECT) once in the engine and keep its rows for this transaction."""
        staged = Table(target.schema, target.name + "__dataflow_stage")
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(staged.schema)}")
        self.connection.execute(f"CREATE TABLE {qualified(staged.schema, staged.name)} AS {query}")
        return staged

    def stage_apart(self, query: str, target: Table) -> Table:
        """As ``stage``, for rows that will be chosen from and never become the target as they are."""
        return self.stage(query, target)

    def fill(self, staged: Table, query: str) -> None:
        """Put the rows of ``query``, a UNION ALL somewhere inside, into the empty ``staged``, all its parts at once."""
        # DuckDB 1.5 runs the parts of a UNION ALL one after another into CREATE TABLE AS and INSERT; not into MERGE.
        self.connection.execute(
            f"MERGE INTO {qualified(staged.schema, staged.name)} USING ({query}) AS arriving ON (FALSE) "
            "WHEN NOT MATCHED THEN INSERT"
        )

    def can_write_ahead(self, columns: Sequence[Column], target: Table) -> Ahead:
        """Whether rows of ``columns`` may be written where ``target`` will find them before it is known that they
        will be published, and whether the engine can read them there until then."""
        return "no"

    def write_ahead(
        self, query: str, target: Table, readers: "Sequence[duckdb.DuckDBPyConnection]" = ()
    ) -> tuple[Table, int]:
        """Write the rows of an engine query where ``publish_as_new`` of the table returned makes them the whole
        ``target``; how many there are. Without that, or without the commit, nothing of them is left.

        ``readers``: connections of the engine on each of which the query gives a part of the rows. A session whose
        rows are "readable" is given some, and may ask all at once.

        Asked only where ``can_write_ahead`` allows it; "readable" rows are exposed before they are read. An error of
        the engine is raised as it is: the source may know what it means.
        """
        raise NotImplementedError

    def placed(self, table: Table) -> str:
        """A query of the rows that ``write_ahead`` put into ``table``, "readable" ones, with the columns ``PLACE``."""
        raise NotImplementedError

    def take_out(self, table: Table, places: Table) -> int:
        """Take out of ``table`` the rows whose ``PLACE`` the engine's table ``places`` holds, each once; how many."""
        raise NotImplementedError

    def explain(self, error: "duckdb.Error") -> DataflowError | None:
        """What an error of the engine meant while rows were written ahead; None where it is not the destination's."""
        return None

    def settle(self) -> None:  # noqa: B027  # most sessions have nothing to do
        """Called when rows were written to or removed from the staging table: a session may keep them now,
        where nobody but itself looks, so that publishing writes nothing twice. Nothing becomes visible."""

    def in_engine(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement in the engine and fetch its (few) rows; DML answers with the rows it touched."""
        return self.connection.execute(sql, list(parameters) or None).fetchall()

    @abstractmethod
    def expose(self, table: Table) -> None:
        """Let the engine read ``table`` of the destination under its own name."""

    @abstractmethod
    def columns(self, table: Table) -> tuple[Column, ...] | None:
        """The columns of the destination's ``table`` as this transaction sees it; None where it does not exist."""

    @abstractmethod
    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement on the destination; the number of rows it touched (0 for DDL)."""

    @abstractmethod
    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one SELECT on the destination whose answer is small."""

    @abstractmethod
    def append(self, table: Table, query: str) -> int:
        """Add the rows of an engine query to a table of the destination, columns by position; how many."""

    @abstractmethod
    def bring(self, staged: Table) -> Table:
        """Make the engine's staging table visible to the destination's SQL, for this transaction."""

    @abstractmethod
    def publish_as_new(self, staged: Table, target: Table) -> None:
        """Make the rows of the engine's staging table the whole target, writing them no more than once."""

    @abstractmethod
    def written(self, table: Table, columns: Sequence[Column], whole: bool) -> str:
        """A query of the engine: the rows this transaction added to ``table`` (``whole``: all it holds), uncommitted.

        ``columns`` come in their types; those the destination cannot tell exactly are left out, and a value that is
        none of its type comes as NULL. Rows that were changed in place may come as well. Asked only where the
        destination's facts say ``read_back``.
        """

    @abstractmethod
    def commit(self) -> None:
        """Make everything visible at once."""

    @abstractmethod
    def close(self) -> None:
        """Undo what was not committed and free the connection. Safe to call twice."""
