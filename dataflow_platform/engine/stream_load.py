"""What one load of one stream needs, and what it has become between staging and publishing."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from dataflow_platform.core.base import (
    AddedColumn,
    Check,
    Column,
    Destination,
    LoadStrategy,
    RowShape,
    Rule,
    Session,
    Source,
    State,
    Stream,
    Table,
    Transformation,
    Window,
)  # fmt: skip
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.engine import contract as schema_contract
from dataflow_platform.engine import masking, state, step_typing, validate
from dataflow_platform.engine.lineage import Relation
from dataflow_platform.engine.measurement import Measurement


@dataclass(frozen=True)
class Fingerprint:
    """A number of rows and the sum of their hashes: equal for the same rows in whatever order."""

    rows: int
    total: int


@dataclass(frozen=True)
class WrittenAhead:
    """The table that holds ``rows`` rows until it is published, and whether the engine can read it."""

    table: Table
    rows: int
    readable: bool


@dataclass(frozen=True)
class StreamLoad:
    """Everything one load of one stream needs; built by the pipeline component or by hand.

    ``load_id`` names the load: a load whose id is already committed does nothing.
    """

    pipeline: str
    stream: Stream
    source: Source
    destination: Destination
    target: Table
    strategy: LoadStrategy
    strategy_name: str
    load_id: str
    run_id: str = ""
    steps: Sequence[Transformation] = ()
    checks: Sequence[Check] = ()
    contract: schema_contract.Contract = field(default_factory=schema_contract.Contract)
    partition_key: str | None = None
    window: Window | None = None
    reconcile: Literal["auto", "on", "off"] = "auto"
    step_at: step_typing.StepAt = step_typing.by_position
    conceals: bool = False
    """The rows come with values that others mask: none of what was read may be kept, whatever the steps leave."""

    @property
    def masks(self) -> bool:
        """True where clear values are read that may be written nowhere."""
        return self.conceals or masking.hides(self.steps)


@dataclass
class StagedLoad:
    """Rows staged, checked and planned in an open transaction; ``engine.load.publish`` makes them visible.

    ``already`` is set where this load id was committed before: there is nothing to publish then.
    """

    load: StreamLoad
    session: Session
    started_at: datetime
    already: state.LoadRecord | None = None
    staged: Table | None = None
    ahead: WrittenAhead | None = None
    """Set where the rows were written at once where they will be published (see ``written_once``)."""
    plan: schema_contract.SchemaPlan | None = None
    shape: RowShape | None = None
    added: Sequence[AddedColumn] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Column -> staged values that are not loaded because the contract says so."""
    rules: Sequence[Rule] = ()
    verdicts: Sequence[validate.Verdict] = ()
    broken: dict[str, str] = field(default_factory=dict)
    """Rules that failed by themselves -> what with."""
    measurements: Sequence[Measurement] = ()
    """What was measured of the rows besides the verdicts; kept with the load (see ``quality_history``)."""
    fingerprint: Fingerprint | None = None
    """Of the staged rows after they were judged; None where the load is not reconciled."""
    reconciled: str | None = None
    """What reconciliation found, in words; set by ``engine.load.publish``."""
    samples: Mapping[str, list[Any]] = field(default_factory=dict)
    """Rule -> up to 20 of the values, or rows, that break it."""
    lineage: Relation = field(default_factory=Relation)
    plain: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[Column] = ()
    source_types: Mapping[str, str] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    """The source's columns of which nothing clear may be written."""
    salt: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    """What the digests of secret values begin with while bad rows are looked for in their files; kept nowhere."""
    hidden: Sequence[str] = ()
    """Columns of the stage that are not published: what quarantine keeps of a bad row's origin."""
    supersedes: bool = False
    """Open rows of earlier loads became moot: the engine's table ``rejected.SUPERSEDED`` names them."""
    open_keys: Table | None = None
    """The keys whose history is kept (see ``key_history``), where the destination sees them."""
    primary_key: tuple[str, ...] = ()
    cursor: str | None = None
    before: State = field(default_factory=State)
    after: State | None = None
    kept_refused: bool = False
    """The load was refused, and the rows for which are in quarantine to be looked at (see ``refused_rows``)."""
    record: state.LoadRecord | None = None
    """What was committed; set by ``engine.load.publish``."""
    rows_read: int = 0
    makes_rows: bool = False
    """The steps may give more rows than were read."""
    rows_staged: int = 0
    rows_quarantined: int = 0
    rows_in_target: int | None = None
    size: int | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    """What the source says of the reading."""
    seconds: float = 0.0

    def count(self) -> int:
        """How many rows are in the stage by now, or were written ahead."""
        assert self.staged is not None
        if self.ahead is not None:
            return self.ahead.rows
        table = qualified(self.staged.schema, self.staged.name)
        return int(self.session.in_engine(f"SELECT count(*) FROM {table}")[0][0])

    def span_of(self, column: str) -> tuple[Any, Any] | None:
        """The least and greatest value of a source column among the staged rows; None where it is not there."""
        output = self.plain.get(column)
        if self.staged is None or output is None:
            return None
        name = quote(output)
        table = qualified(self.staged.schema, self.staged.name)
        ask = self.session.query if self.ahead and not self.ahead.readable else self.session.in_engine
        first, last = ask(f"SELECT min({name}), max({name}) FROM {table}")[0]
        return None if first is None else (first, last)

    def close(self) -> None:
        """Undo everything not published and release the destination."""
        self.session.close()
