"""The pydantic model of a pipeline's YAML: every field a person may set, with its description."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from dataflow_platform.core.base import Spec
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


class StreamSpec(Spec):
    """One stream: a table, a file set or an endpoint that becomes one asset."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str = Field(description="Name of the table that is loaded and of the asset.")
    from_: dict[str, Any] = Field(
        default_factory=dict, alias="from", description="What to read: the stream options of the source's connector."
    )
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
    load: str | dict[str, Any] = Field(default="append", description="Load strategy: a name, or `{name: {options}}`.")
    partition: Partition | None = Field(default=None, description="Time partitions, for backfills.")
    transform: list[dict[str, Any]] = Field(
        default_factory=list, description="Steps in order, one key each: `- filter: ...`."
    )
    checks: list[dict[str, Any]] = Field(
        default_factory=list, description="Rules in order, one key each: `- not_null: id`."
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


class PipelineSpec(Spec):
    """A pipeline: one source, its streams, and what happens to them on the way into the warehouse."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", description="Name of the pipeline; letters, digits, _.")
    description: str = Field(default="", description="What the pipeline is for.")
    source: str | dict[str, Any] = Field(
        description="Name of a connection, or a connector in place: `{type: postgres, host: ...}`."
    )
    destination: Target = Field(default_factory=Target, description="Where the streams are loaded.")
    streams: list[StreamSpec] = Field(min_length=1, description="What is read; each stream is an asset.")
    contract: SchemaPolicy = Field(default_factory=SchemaPolicy, description="Schema contract of all streams.")
    reconcile: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="Compare hashes of the rows that came into the stage with those of the rows in the table, before "
        "anything is published; a difference fails the load. `auto`: full loads (on PostgreSQL up to where rows leave "
        "for the server); `on`: every load (on PostgreSQL its rows are read back); `off`: counts only.",
    )
    schedule: Schedule | None = Field(default=None, description="When all streams run.")
    sensor: Sensor | None = Field(default=None, description="Run a stream when its source has something new.")
    freshness: Freshness | None = Field(default=None, description="How old the assets may get.")
    retries: Retries = Field(default_factory=Retries, description="How passing errors are met.")
    pool: str | None = Field(
        default=None, description="Dagster pool of the assets; one for each single-writer destination when absent."
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
