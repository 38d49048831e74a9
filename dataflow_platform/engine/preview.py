"""What the next load of a stream would do to its table: nothing is read but schemas, nothing is written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from dataflow_platform.core.base import Session, State
from dataflow_platform.core.sql import quote
from dataflow_platform.core.transformation import Dialect
from dataflow_platform.engine import (
    extract,
    masking,
    planning,
    pushdown,
    query_errors,
    reading_range,
    state,
    step_functions,
    transform,
    upstream,
)
from dataflow_platform.engine.contract import SchemaPlan
from dataflow_platform.engine.stage import refuse_unfit, told_apart
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad

if TYPE_CHECKING:
    from dataflow_platform.engine.portable import Translation

T = TypeVar("T")


@dataclass(frozen=True)
class _Composed:
    """The query of the next load, over a source that is open but not read."""

    result: StagedLoad
    extraction: extract.Extraction
    query: transform.Query


def preview(load: StreamLoad) -> SchemaPlan:
    """The plan of the next load, refusals in it; a DataflowError where not even that can be told.

    A source that has no schema of its own (a REST endpoint without declared columns) is asked for its first pages.
    """
    return masking.wordless(load.masks, lambda: _previewed(load))


def _previewed(load: StreamLoad) -> SchemaPlan:
    with _composed(load) as next_load:
        planning.plan(next_load.result, next_load.query)
        assert next_load.result.plan is not None
        return next_load.result.plan


def preview_in(load: StreamLoad, dialect: Dialect) -> "Translation":
    """The steps of the next load as a query of ``dialect`` over a table called as the stream is.

    ConfigError, placed at the step, where one does not hold there.
    """
    return masking.wordless(load.masks, lambda: _translated(load, dialect))


def _translated(load: StreamLoad, dialect: Dialect) -> "Translation":
    from dataflow_platform.engine import portable

    with _composed(load) as next_load:
        columns = next_load.extraction.shape
        table = ".".join(portable.identifier(part, dialect) for part in load.stream.name.split("."))
        return portable.translate(
            next_load.result.session.connection, next_load.query, columns, load.steps,
            portable.source_of(columns, table, dialect), dialect, load.step_at,
        )  # fmt: skip


def ask_rows(load: StreamLoad, ask: Callable[[Session, str], T]) -> T:
    """What ``ask`` gives: it gets a session and a query over it, the rows as the checks of a first load see them.

    The query can be run once (a source may stream past); what ``ask`` writes into the session's temporary tables is
    gone afterwards, and nothing else may be written.
    """
    return masking.wordless(load.masks, lambda: _asked(load, ask))


def _asked(load: StreamLoad, ask: Callable[[Session, str], T]) -> T:
    where = f"{load.target.schema}.{load.target.name}"
    with query_errors.told(where), _composed(load, from_start=True) as next_load:
        session = next_load.result.session
        if load.masks:
            masking.encrypt_spills(session.connection)
        names = ", ".join(map(quote, next_load.query.columns))
        return ask(session, f"SELECT {names} FROM ({next_load.query.sql}) AS behind_steps")


@contextmanager
def _composed(load: StreamLoad, from_start: bool = False) -> Iterator[_Composed]:
    refuse_unfit(load)
    session = load.destination.preview()
    try:
        result = StagedLoad(load, session, datetime.now(UTC))
        stored = State()
        if not from_start:
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
                yield _Composed(result, extraction, query)
        finally:
            extraction.close()
    finally:
        session.close()
