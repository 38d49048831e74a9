"""The pydantic model of a pipeline's YAML: every field a person may set, with its description."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from dataflow_platform.core.base import Spec
from dataflow_platform.core.catalogue import TableKind
from dataflow_platform.core.child_list import ChildList
from dataflow_platform.engine.contract import Contract, SchemaPolicy


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


ColumnNames = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=list[str] | str)]


class Schedule(Spec):
    """When the assets run."""

    shorthand = "cron"

    cron: str = Field(description="Five cron fields, such as `0 6 * * *`.")
    timezone: str = Field(default="UTC", description="IANA name of the zone the cron fields are in.")
    enabled: bool = Field(default=True, description="Whether it runs without being switched on in the UI.")


class Sensor(Spec):
    """Watches the source and asks for a run when there is something new (files that arrived)."""

    every_seconds: int = Field(default=30, ge=5, description="How often to look, in seconds.")
    downstream: bool = Field(default=False, description="Run everything downstream as well.")
    enabled: bool = Field(default=True, description="Whether it runs without being switched on in the UI.")


class Freshness(Spec):
    """How old an asset may get before Dagster shows it as stale."""

    shorthand = "fail_hours"

    fail_hours: float = Field(gt=0, description="Hours after which the asset counts as overdue.")
    warn_hours: float | None = Field(default=None, gt=0, description="Hours after which a warning shows.")


class Partition(Spec):
    """Time partitions for backfills: a partition run reads exactly its range of the source."""

    by: str = Field(description="The source column that says which partition a row belongs to.")
    every: Literal["hour", "day", "week", "month"] = Field(default="month", description="Length of a partition.")
    start: date = Field(description="First day of the first partition.")
    end: date | None = Field(default=None, description="First day after the last partition; open when absent.")
    timezone: str = Field(default="UTC", description="IANA name of the zone the partition's edges are in.")
    end_offset: int = Field(default=0, description="Partitions beyond now to offer (1: the running one too).")


class Retries(Spec):
    """How errors that may pass by themselves are met."""

    shorthand = "max"

    max: int = Field(default=3, ge=0, description="Further attempts after the first.")
    delay_seconds: float = Field(default=5, ge=0, description="Wait before the second attempt; doubles each time.")


class Target(Spec):
    """Where the streams are loaded."""

    shorthand = "connection"

    connection: str = Field(default="warehouse", description="Name of a connection that can be loaded into.")
    schema_name: str | None = Field(
        default=None, alias="schema", description="Schema of the tables; the pipeline's name when absent."
    )


class StreamSettings(Spec):
    """What one stream and the streams of a pattern may set alike."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    description: str = Field(default="", description="What the rows are, for the people who find the asset.")
    cursor: str | None = Field(
        default=None, description="Source column that grows with every change: only rows at or after it are read."
    )
    lookback: str | int | float | None = Field(
        default=None,
        description="How far before the greatest cursor loaded each run reads again, for rows that arrive late: a "
        "duration for a time cursor (`90s`, `15m`, `1h`, `2d`, `1w`), a number for a numeric one. Needs a load "
        "strategy with a primary key, which knows the rows it has: `merge`, `scd1`, `scd2` or `scd3`.",
    )
    upper_bound: str | int | float | datetime | date | None = Field(
        default=None,
        description="Where incremental reads end; rows at or above it wait for a later run. A duration (`5m`): so long "
        "before the run began, by the clock of this machine; a time (`2026-01-31 12:00`, UTC where it names no zone) "
        "or a number: the bound itself.",
    )
    primary_key: ColumnNames = Field(default_factory=list, description="Source columns that tell rows apart.")
    partition: Partition | None = Field(default=None, description="Time partitions, for backfills.")
    transform: list[dict[str, Any]] = Field(
        default_factory=list, description="Steps in order, one key each: `- filter: ...`."
    )
    checks: list[dict[str, Any]] = Field(
        default_factory=list,
        description="Rules in order: `- not_null: id`, or `- {type: range, field: age, condition: 0..120}`.",
    )
    contract: Contract | None = Field(
        default=None, description="Schema contract of this stream; what it does not set is the pipeline's."
    )
    reconcile: Literal["auto", "on", "off"] | None = Field(
        default=None, description="Reconciliation of this stream; the pipeline's when absent."
    )
    freshness: Freshness | None = Field(default=None, description="How old the asset may get.")
    owners: list[str] | None = Field(default=None, description="E-mail addresses or `team:name`.")
    tags: dict[str, str] = Field(default_factory=dict, description="Dagster tags of the asset.")


class ChildStream(ChildList):
    """A list inside the rows of a stream, as a table and an asset of its own: a row for each element."""

    description: str = Field(default="", description="What the rows are, for the people who find the asset.")
    keys: list[str] | dict[str, str] = Field(
        default_factory=list,
        description="The parent's columns that go along: names, or names to new ones, such as `{id: order_id}`; its "
        "`primary_key` when absent.",
    )
    load: str | dict[str, Any] | None = Field(
        default=None,
        description="Load strategy. When absent: `append` where the parent appends, else `replace`, with the lists of "
        "all rows of the source.",
    )
    primary_key: ColumnNames = Field(default_factory=list, description="Columns of the child that tell its rows apart.")
    transform: list[dict[str, Any]] = Field(
        default_factory=list, description="Steps in order over the child's rows, one key each."
    )
    checks: list[dict[str, Any]] = Field(default_factory=list, description="Rules in order, as those of a stream.")
    contract: Contract | None = Field(default=None, description="Schema contract; the pipeline's when absent.")
    children: dict[str, "ChildStream"] = Field(default_factory=dict, description="Lists inside those elements.")


class StreamSpec(StreamSettings):
    """One stream: a table, a file set or an endpoint that becomes one asset."""

    name: str = Field(description="Name of the table that is loaded and of the asset.")
    from_: dict[str, Any] = Field(
        default_factory=dict, alias="from", description="What to read: the stream options of the source's connector."
    )
    load: str | dict[str, Any] = Field(default="append", description="Load strategy: a name, or `{name: {options}}`.")
    children: dict[str, ChildStream] = Field(
        default_factory=dict,
        description="Lists inside the rows as tables of their own: name of the table to what it holds. Each reads the "
        "rows of the source as this stream does, before its steps.",
    )


class ChildStreamSpec(StreamSpec):
    """A child stream as a stream: what it reads is its parent's, and these steps take the lists apart first."""

    splits: tuple[dict[str, Any], ...]
    conceals: bool = False
    """Its parent masks columns of the same rows."""


class StreamPatterns(StreamSettings):
    """Tables chosen by patterns; each becomes a stream and an asset of its own, with what is set here.

    The list of tables is kept in a file: a table that is new in the source takes part after
    `dataflow connections discover NAME --save`. A table that a stream of its own reads is left out here, and one
    that two entries name belongs to the first. Keys come from the source's catalogue where `primary_key` is absent.
    """

    include: ColumnNames = Field(
        min_length=1,
        description="Patterns of tables: `sales.*` by schema and table, `order_*` by the table of any schema; "
        "`*`, `?` and `[...]` as in file names, capitals count.",
    )
    exclude: ColumnNames = Field(default_factory=list, description="Patterns of tables to leave out.")
    kinds: list[TableKind] = Field(
        default=["table"],
        min_length=1,
        description="What may match. `partition`: a part of a partitioned table, whose rows the whole one has as well.",
    )
    name: str = Field(
        default="{table}",
        description="Name of each stream; `{schema}` and `{table}` are the source's names. Characters other than "
        "ASCII letters, digits, `_`, `-` and `.` become `_`.",
    )
    from_: dict[str, Any] = Field(
        default_factory=dict, alias="from", description="Further stream options of the source's connector, for each."
    )
    load: str | dict[str, Any] = Field(
        default="replace", description="Load strategy of each: a name, or `{name: {options}}`."
    )


def _stream_kind(value: Any) -> str:
    """The model an entry of ``streams`` is written for."""
    if isinstance(value, StreamPatterns) or (isinstance(value, dict) and "include" in value):
        return StreamPatterns.__name__
    return StreamSpec.__name__


Streams = Annotated[
    Annotated[StreamSpec, Tag("StreamSpec")] | Annotated[StreamPatterns, Tag("StreamPatterns")],
    Discriminator(_stream_kind),
]
STREAM_TAGS = frozenset({"StreamSpec", "StreamPatterns", "list"})
"""Parts of a pydantic location that are no part of the YAML: which model an entry of ``streams`` was taken for."""


class PipelineSpec(Spec):
    """A pipeline: one source, its streams, and what happens to them on the way into the warehouse."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="Name of the pipeline; letters, digits, _.")
    description: str = Field(default="", description="What the pipeline is for.")
    source: str | dict[str, Any] = Field(
        description="Name of a connection, or a connector in place: `{type: postgres, host: ...}`."
    )
    destination: Target = Field(default_factory=Target, description="Where the streams are loaded.")
    streams: Annotated[
        Annotated[Annotated[list[Streams], Field(min_length=1)], Tag("list")]
        | Annotated[StreamPatterns, Tag("StreamPatterns")],
        Discriminator(lambda value: "list" if isinstance(value, list) else "StreamPatterns"),
    ] = Field(
        description="What is read; each stream is an asset. Tables by patterns stand in the list as well, or alone: "
        "`{include: [sales.*], exclude: ['*_tmp']}`."
    )
    contract: SchemaPolicy = Field(default_factory=SchemaPolicy, description="Schema contract of all streams.")
    reconcile: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Compare hashes of the rows that came into the stage with those of the rows in the table, before "
        "anything is published; a difference fails the load. `auto`: full loads, up to where rows leave for "
        "PostgreSQL's server or a lake's files (rows that leave in the pass that reads them are counted at both ends); "
        "`on`: every load, with its rows read back; `off`: counts only.",
    )
    schedule: Schedule | None = Field(default=None, description="When all streams run.")
    sensor: Sensor | None = Field(default=None, description="Run a stream when its source has something new.")
    freshness: Freshness | None = Field(default=None, description="How old the assets may get.")
    retries: Retries = Field(default_factory=Retries, description="How passing errors are met.")
    pool: str | None = Field(
        default=None,
        description="Dagster pool of the assets. When absent: the destination's `pool`, else one for each "
        "single-writer destination, else the source's `pool`.",
    )
    group: str | None = Field(default=None, description="Asset group; the pipeline's name when absent.")
    owners: list[str] = Field(default_factory=list, description="E-mail addresses or `team:name`.")
    tags: dict[str, str] = Field(default_factory=dict, description="Dagster tags of all assets.")


class ConnectionsSpec(Spec):
    """Named connections, declared once and used by many pipelines."""

    connections: dict[str, dict[str, Any]] = Field(description="Name -> `{type: connector, ...its fields}`.")


class JobSpec(Spec):
    """A job: a selection of assets that runs together, by name, on demand or by schedule."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="Name of the job.")
    description: str = Field(default="", description="What the job is for.")
    select: str = Field(description='Dagster asset selection, such as `group:"nyc_flights"`.')
    schedule: Schedule | None = Field(default=None, description="When it runs.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of its runs.")
