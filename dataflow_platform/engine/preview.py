"""What the next load of a stream would do to its table: nothing is read but schemas, nothing is written."""

from datetime import UTC, datetime

from dataflow_platform.engine import (
    extract,
    masking,
    planning,
    pushdown,
    reading_range,
    state,
    step_functions,
    transform,
    upstream,
)
from dataflow_platform.engine.contract import SchemaPlan
from dataflow_platform.engine.stage import refuse_unfit, told_apart
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad


def preview(load: StreamLoad) -> SchemaPlan:
    """The plan of the next load, refusals in it; a DataflowError where not even that can be told.

    A source that has no schema of its own (a REST endpoint without declared columns) is asked for its first pages.
    """
    return masking.wordless(load.masks, lambda: _previewed(load))


def _previewed(load: StreamLoad) -> SchemaPlan:
    refuse_unfit(load)
    session = load.destination.preview()
    try:
        result = StagedLoad(load, session, datetime.now(UTC))
        stored = state.peek_state(session, load.target.schema, load.pipeline, load.stream.name)
        wanted = load.strategy.reads_from(stored, load.window)
        reading = reading_range.to_read(session, load.stream, wanted, result.started_at)
        stream = pushdown.narrowed(load.stream, load.steps, load.window)
        extraction = extract.extract(session, load.source, stream, reading)
        try:
            where = f"{load.target.schema}.{load.target.name}"
            with told_apart(load.source, extraction, where), step_functions.opened(session.connection) as functions:
                query = transform.compose(
                    extraction.query, extraction.shape, load.steps, load.stream.cursor, functions, (),
                    upstream.of_steps(load, session), load.step_at,
                )  # fmt: skip
                planning.plan(result, query)
        finally:
            extraction.close()
        assert result.plan is not None
        return result.plan
    finally:
        session.close()
