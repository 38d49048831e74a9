"""What a transformation is: a step of a stream that becomes a part of one query."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from dataflow_platform.core.keyed_client import KeyedClient
from dataflow_platform.core.load_plan import Column
from dataflow_platform.core.sql import literal

Rows = Literal["same", "fewer", "more", "anew"]
"""Each row stays one; some are left out; one may become several (or none); none is one of those that came."""
Tables = Mapping[str, Sequence[Column]]
"""Tables of the destination that a step reads (``schema.table``) and their columns."""
Dialect = Literal["duckdb", "postgres", "spark", "snowflake", "bigquery"]
EVERYWHERE: tuple[Dialect, ...] = ("duckdb", "postgres", "spark", "snowflake", "bigquery")


FLAG = "_dataflow_flag_"


def flag(rule: str) -> str:
    """The column that says which rows break a rule of a step; it travels to the end of the steps."""
    return FLAG + rule


MISFIT = "a step finds that "


def failing(said: str) -> str:
    """SQL that fails the load with ``said``, words that hold no value of a row."""
    return f"error({literal(MISFIT + said)})"


@dataclass(frozen=True)
class Promise:
    """What a step takes for granted of another table: ``broken_by``, a query, finds no row, else ``what`` is told."""

    broken_by: str
    what: str
    fix: str


@dataclass(frozen=True)
class EngineFunction:
    """A function of Python that the SELECT of a step calls by its ``name``, once for each batch of rows.

    ``call`` gets one Arrow array for each of ``takes`` and gives an array of ``gives`` (DuckDB types), as long as they
    are. NULL is given to it like any value. A DataflowError it raises is what the load fails with.
    """

    name: str
    takes: tuple[str, ...]
    gives: str
    call: Callable[..., Any]
    close: Callable[[], None] = lambda: None
    """Frees what the function holds; called when the load has ended."""


@dataclass(frozen=True)
class Reference:
    """A table that a step brings along; its SELECT calls it ``name``, and so do its promises.

    ``rows`` is asked once for each load: what follows FROM, or something with the Arrow stream interface. ``columns``
    maps names to the SQL of their values over it.
    """

    name: str
    rows: Callable[[], Any]
    columns: Mapping[str, str]


@dataclass(frozen=True)
class RowsFunction:
    """A function of Python over all rows of the stream: a step that is no SQL.

    ``call`` gets a ``pyarrow.RecordBatchReader`` of the step's columns and gives one that has the columns ``gives``, in
    any order. It reads while it is read from: rows need not fit into memory.
    """

    gives: tuple[Column, ...]
    call: Callable[[Any], Any]


class Transformation(ABC):
    """One step of a stream. A subclass is also a ``Spec`` or a pydantic RootModel: what YAML holds."""

    holds: ClassVar[tuple[Dialect, ...]] = ("duckdb",)
    """The dialects its SELECT holds in, as far as the step itself says; its expressions are judged one by one."""
    instead: ClassVar[str] = "leave the step to DuckDB"
    """What comes nearest where it does not hold."""
    secret_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that hold a secret: accepted only as ``{{ env.NAME }}`` in YAML and never printed."""

    @property
    def rows(self) -> Rows:
        """What the step does to the number of rows."""
        return "same"

    @abstractmethod
    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT over the table ``input`` (which has ``columns``), every output column named.

        It may read the ``tables`` it asked for by ``upstream``; FROM stands once, ``input`` is called so in it.
        """

    def rules(self) -> Mapping[str, str]:
        """Rules by which the step judges each row: name -> what is wrong with one that breaks it.

        Its SELECT has a boolean column ``flag(name)`` for each, TRUE for such a row, which goes to quarantine.
        """
        return {}

    def functions(self, columns: Sequence[Column]) -> tuple[EngineFunction, ...]:
        """The functions of Python that the SELECT over ``columns`` calls."""
        return ()

    def rows_function(self, columns: Sequence[Column]) -> RowsFunction | None:
        """What gives the step's rows in place of its SELECT; its ``rows`` are "anew" then."""
        return None

    def computed_from(self, columns: Sequence[Column]) -> Mapping[str, Sequence[str]]:
        """Output column -> the ``columns`` it is computed from, for those whose SQL does not tell."""
        return {}

    def references(self) -> tuple[Reference, ...]:
        """The tables the step brings along."""
        return ()

    def connections(self) -> tuple[str, ...]:
        """Connections, beside source and destination, that the step asks while rows pass."""
        return ()

    def connected(self, keyed: Callable[[str], KeyedClient]) -> Self:
        """The step with a way to open each of its ``connections``, which is not used before a load runs."""
        return self

    def masks(self, columns: Sequence[Column]) -> Sequence[str]:
        """Those of ``columns`` whose clear values the step takes away: nothing of them may be written anywhere."""
        return ()

    def blurs(self, columns: Sequence[Column]) -> Sequence[str]:
        """Those of the columns it ``masks`` in which values that differ may become equal."""
        return ()

    def shows(self, columns: Sequence[Column]) -> Sequence[str]:
        """Those of ``columns`` that may be loaded, though they carry what a masked column was made of."""
        return ()

    def upstream(self) -> tuple[str, ...]:
        """Tables (``schema.table``) of the destination that the step reads."""
        return ()

    def promises(self) -> tuple[Promise, ...]:
        """What has to be true of those tables."""
        return ()

    @property
    def needs_all(self) -> bool:
        """What it makes of a row hangs on the rows beside it: those of one batch are not enough."""
        return self.rows == "anew"

    def condition(self) -> str | None:
        """What the rows it keeps fulfil (SQL over ``input``), where dropping the others is all it does."""
        return None

    def selection(self) -> tuple[str, ...] | None:
        """The columns it keeps, where dropping the others is all it does."""
        return None
