"""OpenLineage events of loads: what ran, what it read and wrote, column by column, and how its checks came out.

Sent where the official client is configured, in its own way: OPENLINEAGE_URL, OPENLINEAGE_CONFIG (a file) or
OPENLINEAGE__TRANSPORT__... variables; OPENLINEAGE_NAMESPACE names the jobs' namespace.
"""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from dataflow_platform.core.base import Connector
from dataflow_platform.engine.lineage import DIRECT, Kind, Origin, Sources, is_masked, words
from dataflow_platform.engine.state import LoadRecord
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad
from dataflow_platform.engine.validate import Verdict

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunState

PRODUCER = "https://pypi.org/project/dataflow-platform"
_NAMESPACE = "dataflow"

Warn = Callable[[str], None]


class Place(NamedTuple):
    """How OpenLineage names a dataset."""

    namespace: str
    name: str


def configured() -> bool:
    """Whether somebody wants events; without that the client would print them."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    named = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
    return any(name in named or name.startswith("OPENLINEAGE__TRANSPORT") for name in os.environ)


def place_of(connector: Connector, fallback: str, parts: Sequence[str]) -> Place:
    """The dataset of ``connector`` that ``parts`` lead to, as OpenLineage names such; ``fallback`` names the system."""
    host, port, database = (getattr(connector, field, None) for field in ("host", "port", "database"))
    folder = getattr(connector, "path", None) or getattr(connector, "root", None)
    kind = _kind(connector)
    if host:
        at = f"{host}:{port}" if port else str(host)
        return Place(f"{kind}://{at}", ".".join([*([str(database)] if database else []), *parts]))
    if isinstance(folder, str) and folder:
        if kind == "files":
            return Place("file", "/".join([folder.rstrip("/"), *parts]))
        return Place(f"{kind}://{folder}", ".".join(parts))
    return Place(f"{kind}://{fallback}", ".".join(parts))


def _kind(connector: Connector) -> str:
    """The connector's own name: that of its file or folder."""
    parts = type(connector).__module__.split(".")
    return parts[parts.index("connectors") + 1] if "connectors" in parts else parts[0]


class LoadEvents:
    """The events of one attempt to load one stream; ``warn`` is told where one cannot be sent."""

    def __init__(self, load: StreamLoad, source: str, attempt: int, job: str, warn: Warn) -> None:
        self._load = load
        self._warn = warn
        self._job = job
        self._run = str(uuid.uuid5(uuid.UUID(load.load_id), f"{load.run_id}/{attempt}"))
        self._source = place_of(load.source, source, load.source.origin(load.stream))
        self._target = self._table(f"{load.target.schema}.{load.target.name}")
        self._staged: StagedLoad | None = None
        self._client: OpenLineageClient | None = None

    def _table(self, name: str) -> Place:
        return place_of(self._load.destination, "warehouse", name.split("."))

    def staged(self, staged: StagedLoad) -> None:
        """Remember what is known once rows are staged and judged."""
        self._staged = staged

    def start(self) -> None:
        """The load began."""
        from openlineage.client.event_v2 import RunState

        self._send(RunState.START)

    def complete(self) -> None:
        """The load is committed."""
        from openlineage.client.event_v2 import RunState

        self._send(RunState.COMPLETE)

    def fail(self, error: BaseException | None) -> None:
        """Nothing was committed; ``error`` says why, where it is known."""
        from openlineage.client.event_v2 import RunState

        self._send(RunState.FAIL, error)

    def _send(self, state: "RunState", error: BaseException | None = None) -> None:
        try:
            self._emit(state, error)
        except Exception as wrong:  # noqa: BLE001  # a load does not fail because nobody listens
            self._warn(f"the OpenLineage event {state.value} was not sent: {type(wrong).__name__}")

    def _emit(self, state: "RunState", error: BaseException | None) -> None:
        from openlineage.client import OpenLineageClient
        from openlineage.client.event_v2 import Job, Run, RunEvent
        from openlineage.client.generated import error_message_run, parent_run

        namespace = os.environ.get("OPENLINEAGE_NAMESPACE", _NAMESPACE)
        facets: dict[str, Any] = {}
        if self._load.run_id:
            above = parent_run.Run(runId=self._load.run_id)
            facets["parent"] = parent_run.ParentRunFacet(above, parent_run.Job(namespace, self._job))
        if error is not None:
            # The first line of our own errors holds no secret and no value of a row.
            told = str(getattr(error, "description", None) or type(error).__name__).splitlines()[0]
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(told, "PYTHON")
        event = RunEvent(
            eventTime=datetime.now(UTC).isoformat(),
            run=Run(self._run, facets),
            job=Job(namespace, f"{self._load.pipeline}.{self._load.stream.name}"),
            eventType=state,
            producer=PRODUCER,
            inputs=self._inputs(),
            outputs=[self._output()],
        )
        self._client = self._client or OpenLineageClient()
        self._client.emit(event)

    def _inputs(self) -> "list[InputDataset]":
        from openlineage.client.event_v2 import InputDataset

        facets: dict[str, Any] = {}
        if self._staged is not None:
            schema = _schema(self._staged.source_types)
            checked = _assertions(self._staged.verdicts)
            found = [InputDataset(*self._source, facets=schema, inputFacets=checked)]
        else:
            found = [InputDataset(*self._source, facets=facets)]
        tables = dict.fromkeys(name for step in self._load.steps for name in step.upstream())
        return [*found, *(InputDataset(*self._table(name)) for name in tables)]

    def _output(self) -> "OutputDataset":
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.generated import column_lineage_dataset, output_statistics_output_dataset

        staged = self._staged
        if staged is None or staged.shape is None:
            return OutputDataset(*self._target)
        facets = _schema({column.name: column.type for column in staged.shape.columns})
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                name: column_lineage_dataset.Fields(inputFields=self._fields(sources))
                for name, sources in staged.lineage.columns.items()
            },
            dataset=self._fields(staged.lineage.rows),
        )
        record: LoadRecord | None = staged.record
        statistics: dict[str, Any] = {}
        if record is not None:
            statistics["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=record.rows_loaded
            )
        return OutputDataset(*self._target, facets=facets, outputFacets=statistics)

    def _fields(self, sources: Sources) -> list[Any]:
        from openlineage.client.generated.column_lineage_dataset import InputField

        return [
            InputField(*self._place(origin), field=origin.column, transformations=_transformations(kinds))
            for origin, kinds in sources.items()
        ]

    def _place(self, origin: Origin) -> Place:
        return self._table(origin.table) if origin.table else self._source


def _transformations(kinds: Kind) -> list[Any]:
    from openlineage.client.generated.column_lineage_dataset import Transformation

    masked = is_masked(kinds)
    return [
        Transformation(type="DIRECT" if Kind[word] & DIRECT else "INDIRECT", subtype=word, masking=masked)
        for word in words(kinds)
    ]


def _schema(columns: Mapping[str, str]) -> dict[str, Any]:
    from openlineage.client.generated.schema_dataset import SchemaDatasetFacet, SchemaDatasetFacetFields

    fields = [SchemaDatasetFacetFields(name=name, type=kind) for name, kind in columns.items()]
    return {"schema": SchemaDatasetFacet(fields=fields)} if fields else {}


def _assertions(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    from openlineage.client.generated.data_quality_assertions_dataset import (
        Assertion,
        DataQualityAssertionsDatasetFacet,
    )

    found = [
        Assertion(assertion=each.rule.name, success=each.passed, column=each.rule.column, severity=each.rule.severity)
        for each in verdicts
    ]
    return {"dataQualityAssertions": DataQualityAssertionsDatasetFacet(assertions=found)} if found else {}


@contextmanager
def told(events: LoadEvents | None) -> Iterator[None]:
    """A load whose start, and end or failure, is sent; nothing where ``events`` is None."""
    if events is None:
        yield
        return
    events.start()
    try:
        yield
    except GeneratorExit:
        events.fail(None)  # Dagster left the step: what it yielded last was not taken
        raise
    except BaseException as error:
        events.fail(error)
        raise
    events.complete()
