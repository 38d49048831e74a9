"""The words every floor speaks: Stream, State, Scan, Source, Destination, Session and the plug-ins' bases.

A connector IS a Dagster ``ConfigurableResource``: usable in an asset or a notebook, without a Dagster instance.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import dagster as dg
from pydantic import ConfigDict, Field, model_validator

from dataflow_platform.core.catalogue import CatalogueTable
from dataflow_platform.core.claim import Claim as Claim
from dataflow_platform.core.cursor_range import Lookback, Until, UpperBound
from dataflow_platform.core.dotted_path import load_object
from dataflow_platform.core.errors import ConfigError, DataflowError
from dataflow_platform.core.facts import ConnectorFacts as ConnectorFacts
from dataflow_platform.core.facts import DestinationFacts as DestinationFacts
from dataflow_platform.core.facts import Evidence as Evidence
from dataflow_platform.core.keyed_client import KeyedClient
from dataflow_platform.core.load_plan import AddedColumn as AddedColumn
from dataflow_platform.core.load_plan import Column as Column
from dataflow_platform.core.load_plan import LoadPlan as LoadPlan
from dataflow_platform.core.load_plan import RowShape as RowShape
from dataflow_platform.core.load_plan import Statement as Statement
from dataflow_platform.core.load_plan import Table as Table
from dataflow_platform.core.load_plan import Window as Window
from dataflow_platform.core.predicate import Predicate
from dataflow_platform.core.rule import Dimension as Dimension
from dataflow_platform.core.rule import Rule as Rule
from dataflow_platform.core.rule import Severity as Severity
from dataflow_platform.core.scan import Part as Part
from dataflow_platform.core.scan import Scan as Scan
from dataflow_platform.core.session import Ahead as Ahead
from dataflow_platform.core.session import Session as Session
from dataflow_platform.core.spec import Spec as Spec
from dataflow_platform.core.transformation import EngineFunction as EngineFunction
from dataflow_platform.core.transformation import Promise as Promise
from dataflow_platform.core.transformation import Reference as Reference
from dataflow_platform.core.transformation import Rows as Rows
from dataflow_platform.core.transformation import RowsFunction as RowsFunction
from dataflow_platform.core.transformation import Tables as Tables
from dataflow_platform.core.transformation import Transformation as Transformation

if TYPE_CHECKING:
    import duckdb

Reach = Literal["row", "key", "partition", "table"]


@dataclass(frozen=True)
class State:
    """How far a stream has been read; stored in the destination, in the rows' own transaction.

    ``cursor`` is the exact text of the greatest value seen and ``cursor_type`` its DuckDB type.
    ``boundary`` holds the fingerprints of the rows that carry exactly that value: they are read
    again (a later row may share it) and recognised. ``boundary_columns`` are the columns they were
    made of, with their types then. ``position`` belongs to the source alone.
    ``window`` is set by a partition run, which reads its range and leaves the stored state alone.
    ``until`` is set for one reading and never stored: rows whose cursor is not below it are not wanted.
    """

    cursor: str | None = None
    cursor_type: str | None = None
    boundary: tuple[str, ...] = ()
    position: Mapping[str, Any] = field(default_factory=dict)
    window: Window | None = None
    boundary_columns: tuple[Column, ...] = ()
    until: Until | None = None


@dataclass(frozen=True)
class Stream:
    """One table, file set or endpoint of a source. ``options`` is the source's ``StreamOptions``.

    ``lookback`` and ``upper_bound`` are settled by the engine: a source sees them as the reading's ``State``.
    A source may leave out columns that are not in ``columns`` (None: all are wanted, as where one of them is unknown
    to it), and rows that fail one of ``keeps``: the pipeline's steps would.
    """

    name: str
    options: Spec
    cursor: str | None = None
    primary_key: tuple[str, ...] = ()
    lookback: Lookback | None = None
    upper_bound: UpperBound | None = None
    columns: tuple[str, ...] | None = None
    keeps: tuple[Predicate, ...] = ()


class Connector(dg.ConfigurableResource):  # type: ignore[type-arg]  # dagster leaves it generic in the value it yields
    """Base of sources and destinations."""

    model_config = ConfigDict(extra="forbid", frozen=True)  # Dagster's own base silently accepts unknown keys

    facts: ClassVar[ConnectorFacts]
    secret_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that hold a secret: accepted only as ``{{ env.NAME }}`` in YAML and never printed."""

    prepare: str | None = Field(
        default=None,
        description="Dotted path `module:function`, called once per process before the first connection: "
        "open a tunnel, start a local server.",
    )
    pool: str | None = Field(
        default=None,
        description="Dagster pool of the assets that read from or load into this connection: no more runs than the "
        "pool has places (`dagster instance concurrency set POOL N`; one by default) use it at a time.",
    )

    def run_prepare(self) -> None:
        """Call the ``prepare`` function; a second call in the same process does nothing."""
        if self.prepare and self.prepare not in _prepared:
            load_object(self.prepare)()
            _prepared.add(self.prepare)

    @abstractmethod
    def test_connection(self) -> str:
        """Connect and return one line that says to what (product, version); raise a DataflowError if not."""


_prepared: set[str] = set()


@dataclass(frozen=True)
class Declared:
    """What a connector says of a stream, where the pipeline does not."""

    cursor: str | None = None
    primary_key: tuple[str, ...] = ()
    description: str = ""


class Source(Connector):
    """A system rows are read from."""

    StreamOptions: ClassVar[type[Spec]]
    """What a stream of this source sets under ``from:``."""

    @abstractmethod
    def scan(self, connection: "duckdb.DuckDBPyConnection", stream: Stream, state: State) -> Scan:
        """A lazy relation on ``connection`` with the rows of ``stream`` at or after ``state``, below ``state.until``.

        Rows equal to the cursor are included; without a cursor those that miss it are, too. A source may
        return more rows than asked for (the engine filters again), never fewer. Nothing is read before the
        relation is executed.
        """

    def consistent(self) -> AbstractContextManager[None]:
        """A block in which all scans see one state of the system, where the source can promise that."""
        return nullcontext()

    @abstractmethod
    def discover(self) -> list[str]:
        """The names of the streams this source can read, sorted."""

    def catalogue(self) -> list[CatalogueTable]:
        """What ``discover`` names, with all the source's catalogue tells of it; reads no row, counts none."""
        return [CatalogueTable(name) for name in self.discover()]

    def probe(self, stream: Stream) -> str | None:
        """A short token that changes when there is something new; None where the source can't tell."""
        return None

    def explain(self, error: "duckdb.Error") -> DataflowError | None:
        """What an error of the engine meant while this source's relation was read; None where it is not ours."""
        return None

    def keyed_client(self) -> KeyedClient:
        """A client that asks for single things by their keys, closed by the caller; where the source has one."""
        raise NotImplementedError(f"{type(self).__name__} cannot be asked for single keys")

    @classmethod
    def stream_options(cls, name: str, written: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options of the pipeline's stream ``name``, from what is ``written`` under `from:`."""
        return written

    @classmethod
    def declares(cls, options: Spec) -> Declared:
        """What this connector knows of the stream with these options."""
        return Declared()

    def origin(self, stream: Stream) -> tuple[str, ...]:
        """Asset key parts of what is read, below the connection's name (schema and table, path...)."""
        return (stream.name,)


class Destination(Connector):
    """A system rows are loaded into."""

    facts: ClassVar[DestinationFacts]

    @abstractmethod
    def session(self) -> Session:
        """Open a transaction; waits for another writer, then fails saying who it is."""

    def preview(self) -> Session:
        """A session to look at tables with; once closed it leaves nothing behind."""
        return self.session()

    @abstractmethod
    def reader(self) -> AbstractContextManager["duckdb.DuckDBPyConnection"]:
        """A read-only DuckDB connection on which the destination's tables are ``schema.table``."""


class Check(Spec, ABC):
    """Base of the checks: what every check in YAML may set."""

    severity: Severity = Field(
        default="error",
        description="`error`: nothing is published and downstream stops; `warn`: bad rows go to quarantine, "
        "the good ones are published.",
    )
    at_most: float | str = Field(
        default=0,
        description="How many bad rows still pass: a number of rows, or a share such as `0.5%`. "
        "They go to quarantine all the same.",
    )
    name: str | None = Field(default=None, description="Name of the asset check; made from the rule if absent.")
    description: str = Field(default="", description="What the rule protects, for the people who see it fail.")
    owner: str = Field(default="", description="Who is asked when it fails: an e-mail address or `team:name`.")

    reads_tables: ClassVar[bool] = False
    dimension: ClassVar[Dimension] = "validity"
    """What its rules count for in the quality score of a load."""

    @abstractmethod
    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """The rules this check stands for, over the transformed columns. Raises ConfigError for unknown columns."""

    @abstractmethod
    def names(self) -> list[str]:
        """The names of those rules, known without any data: Dagster lists its checks at load time."""

    def upstream(self) -> tuple[str, ...]:
        """Tables (``schema.table``) of the destination that the check reads."""
        return ()

    def claims(self) -> Sequence[Claim]:
        """What it says of values whatever the data, for contradictions to be found when the pipeline is read."""
        return ()

    def tolerance(self) -> tuple[float, bool]:
        """``at_most`` as a number and whether it is a share (0..1) of the rows."""
        text = str(self.at_most).strip()
        is_share = text.endswith("%")
        try:
            number = float(text.removesuffix("%"))
        except ValueError:
            number = -1.0
        if not 0 <= number <= (100 if is_share else float("inf")):
            raise ConfigError(
                "check.at_most",
                f"at_most '{text}' is neither a number of rows nor a share",
                where="at_most",
                fix="write a number of rows (10) or a share (0.5%)",
            )
        return (number / 100, True) if is_share else (number, False)

    @model_validator(mode="after")
    def _tolerable(self) -> "Check":
        self.tolerance()
        return self


class LoadStrategy(Spec, ABC):
    """How staged rows become part of the target."""

    needs_primary_key: ClassVar[bool] = False
    """Rows whose key is NULL, or NULL in one part, go to quarantine: no two rows have NULL for one key."""

    needs_cursor_values: ClassVar[bool] = False
    """Rows that miss the cursor go to quarantine, where the stream has one."""

    takes_every_row: ClassVar[bool] = False
    """A table that is new, or replaced, gets the staged rows as they are: no statement runs on the stage."""

    reach: ClassVar[Reach | None] = None
    """How much of the table may be another for one more row: a replay turns on it. None: it cannot be replayed."""

    @abstractmethod
    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """The set-based statements of this load, in order. None may read or write outside ``plan``.

        A first load runs those on the stage only: what they leave becomes the target.
        """

    def check(self, rows: RowShape) -> None:
        """Raise a ConfigError where the options do not fit the rows; called before anything is read."""

    def added_columns(self, rows: RowShape) -> tuple[AddedColumn, ...]:
        """The columns this strategy adds to the target; the engine creates them and fills the stage's."""
        return ()

    def reads_from(self, stored: State, window: Window | None) -> State:
        """Where reading starts: after what was read before, or the range of a partition run."""
        return replace(stored, window=window)

    def replaces_target(self) -> bool:
        """True where the staged rows become the whole table (the session may swap tables)."""
        return False

    def supersedes(self, plan: LoadPlan) -> str | None:
        """SQL of the engine over a row ``late`` of an earlier load: TRUE where it is moot once the stage is loaded."""
        return None

    def partition_columns(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns whose values make a partition, where ``reach`` is that."""
        return ()

    def forgets_keys(self) -> bool:
        """True where a key may be gone from the table without a trace and without a full read of the stream."""
        return False
