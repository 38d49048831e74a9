"""The straight line of one stream up to the point where it may be published."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import duckdb

from dataflow_platform.core import injection
from dataflow_platform.core.base import Session, Source, State, Table
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.progress import Progress, report
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.engine import (
    broken_checks,
    engine_limits,
    extract,
    failing_rows,
    masking,
    planning,
    pushdown,
    quality_history,
    query_errors,
    reading_range,
    reconciliation,
    rejected,
    source_lines,
    source_parts,
    state,
    step_functions,
    transform,
    upstream,
    validate,
    written_once,
)  # fmt: skip
from dataflow_platform.engine.contract import policy
from dataflow_platform.engine.cursor_boundary import settle_boundary
from dataflow_platform.engine.progress import following
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad


def stage(load: StreamLoad) -> StagedLoad:
    """Read, transform, check and stage one stream; the caller publishes it or closes it."""
    begun = monotonic()
    refuse_unfit(load)
    report(Progress(load.stream.name, "opening"))
    with query_errors.told(f"{load.target.schema}.{load.target.name}"):
        broken: dict[str, str] = {}
        while True:
            # Once more without each set rule that fails by itself: the transaction it failed in is lost.
            result = masking.wordless(load.masks, lambda: _opened(load, broken))
            if result is not None:
                result.seconds = monotonic() - begun
                return result


def _opened(load: StreamLoad, broken: dict[str, str]) -> StagedLoad | None:
    """The load staged; None where one more rule is ``broken``."""
    session = load.destination.session()
    try:
        result = StagedLoad(load, session, datetime.now(UTC), broken=dict(broken))
        injection.reach("opened")
        # Before the state is read: two loads of one stream never start from the same place.
        session.lock(load.target)
        injection.reach("locked")
        state.ensure_tables(session, load.target.schema, quality=bool(load.checks))
        result.already = state.find_record(session, load.target.schema, load.load_id)
        if result.already is None:
            _fill(result)
        return result
    except validate.Crashed as crash:
        session.close()
        broken[crash.rule] = broken_checks.told(load, crash.text)
        return None
    except BaseException:
        session.close()
        raise


def refuse_unfit(load: StreamLoad) -> None:
    """Raise a ConfigError where contract, key or destination do not fit the load strategy."""
    policy.check(load.contract, load.strategy, load.strategy_name)
    reading_range.refuse_unfit(load.stream, load.strategy, load.strategy_name)
    transform.refuse_unfit(load.steps, load.stream.cursor, load.step_at)
    if load.strategy.needs_primary_key and not load.stream.primary_key:
        raise ConfigError(
            "stream.primary_key",
            f"load '{load.strategy_name}' needs a primary key, stream '{load.stream.name}' has none",
            where=f"streams.{load.stream.name}.primary_key",
            fix="declare primary_key: [column, ...] or use load: append",
        )
    able = load.destination.facts.load_strategies
    if load.strategy_name not in able:
        raise ConfigError(
            "load_strategy.unsupported",
            f"{load.destination.facts.title} cannot load by '{load.strategy_name}'",
            where=f"streams.{load.stream.name}.load",
            fix=f"use one of: {', '.join(sorted(able))}",
        )


def _fill(result: StagedLoad) -> None:
    load, session = result.load, result.session
    stored = state.load_state(session, load.target.schema, load.pipeline, load.stream.name)
    result.before = stored
    wanted = load.strategy.reads_from(stored, load.window)
    brings_rules = load.strategy.needs_primary_key or load.strategy.needs_cursor_values
    may_reject = bool(load.checks or load.contract.quarantines()) or brings_rules
    reading = reading_range.to_read(session, load.stream, wanted, result.started_at)
    stream = pushdown.narrowed(load.stream, load.steps, load.window)
    extraction = extract.extract(session, load.source, stream, reading, locate=may_reject)
    try:
        with (
            told_apart(load.source, extraction, f"{load.target.schema}.{load.target.name}", session),
            step_functions.opened(session.connection) as functions,
        ):
            _stage_rows(result, extraction, wanted, functions)
    finally:
        extraction.close()


@contextmanager
def told_apart(
    source: Source, extraction: extract.Extraction, where: str, session: Session | None = None
) -> Iterator[None]:
    """Errors of the engine inside the block as what they meant: the source's own, the session's, or the query's."""
    try:
        yield
    except duckdb.Error as error:
        extract.raise_source_error(extraction, error)
        known = source.explain(error) or (session and session.explain(error)) or query_errors.explained(error, where)
        if known is None:
            raise
        raise known from error


def _stage_rows(
    result: StagedLoad, extraction: extract.Extraction, wanted: State, functions: step_functions.StepFunctions
) -> None:
    load, session = result.load, result.session
    query = _planned(result, extraction, functions)
    assert result.plan is not None
    injection.reach("scanned")
    _hold(session, extraction, query)
    ahead = written_once.how(result, query, wanted)
    reconciled = ahead == "no" and reconciliation.is_wanted(result, wanted)
    becomes_target = result.plan.target_is_new or load.strategy.replaces_target()
    # From a server into the engine's own file, row by row: more memory would only keep what was written.
    goes_through = (
        extraction.scan.streams and becomes_target and not load.steps and load.destination.facts.read_back == "in_place"
    )
    # Into files the legs of a UNION ALL come one after another; a caller's thread for each of the parts is its own.
    legs = extraction.scan.legs if ahead == "no" else extraction.scan.legs and 1
    functions.run()
    # Steps may look at all rows, or at tables that only this connection sees.
    with (
        source_parts.readers(extraction, ahead == "readable" and not load.steps) as readers,
        following(load.stream.name, extraction.scan, readers or [session.connection]) as followed,
        engine_limits.bounded(session, _width(result, query), legs, goes_through),
    ):
        if ahead == "no":
            keep_rows = session.stage if becomes_target else session.stage_apart
            result.staged = _put(result, extraction, query, keep_rows, reconciled)
        else:
            result.staged = written_once.write(result, query, ahead == "readable", readers)
    result.size = followed.size
    if result.ahead is not None:
        written_once.look(result, query, wanted)
    injection.reach("staged")
    _count(result, extraction, query, wanted)
    broken_checks.settle(result)
    planning.settle(result)
    if reconciled:
        with engine_limits.bounded(session, 1, frugal=goes_through):
            result.fingerprint = reconciliation.taken(session, result.staged)
    quality_history.remember(load, session, result.rules)
    verdicts = validate.judge(session, result.staged, result.rules, result.rows_staged, result.broken)
    result.verdicts = [broken_checks.as_told(load, verdict) for verdict in verdicts]
    result.measurements = quality_history.measured(session, quality_history.publishable(result), result.rules)
    result.samples = {
        verdict.rule.name: failing_rows.samples(result, verdict.rule) for verdict in result.verdicts if verdict.failing
    }
    if validate.row_rules(result.rules):
        table = qualified(result.staged.schema, result.staged.name)
        bad = session.in_engine(f"SELECT count(*) FROM {table} WHERE {validate.is_bad(result.rules)}")
        result.rows_quarantined = bad[0][0]
    if result.rows_quarantined and not any(verdict.blocks for verdict in result.verdicts):
        source_lines.tell(result, extraction)
    injection.reach("validated")


def _planned(
    result: StagedLoad, extraction: extract.Extraction, functions: step_functions.StepFunctions
) -> transform.Query:
    """The query of all steps, once it is decided that its rows may be loaded; nothing is read for it."""
    load, session = result.load, result.session
    keep = (*extraction.columns, *extraction.places)
    query = transform.compose(
        extraction.query, extraction.shape, load.steps, load.stream.cursor, functions, keep,
        upstream.of_steps(load, session), load.step_at,
    )  # fmt: skip
    result.secret = frozenset(extraction.types) if load.conceals else query.secret
    result.source_types, result.makes_rows = masking.telling_types(extraction.types, result.secret), query.makes_rows
    # Decided before anything is read: a stream that may not be loaded costs nothing.
    planning.plan(result, query)
    planning.refuse(result)
    result.rules = [*planning.own_rules(result, query), *validate.compile_rules(load.checks, result.columns)]
    functions.add_rules(result.rules)
    upstream.expose_to_checks(load, session)
    upstream.keep_promises(load, session)
    broken_checks.set_aside(result)
    if result.secret:
        masking.encrypt_spills(session.connection)
    return query


def _width(result: StagedLoad, query: transform.Query) -> int:
    """How many columns a staged row has at most."""
    assert result.shape is not None
    return len(result.shape.columns) + len(query.hidden) + len(validate.mask_columns(result.rules)) + 3


def _put(
    result: StagedLoad,
    extraction: extract.Extraction,
    query: transform.Query,
    keep_rows: Callable[[str, Table], Table],
    reconciled: bool,
) -> Table:
    """Stage the rows with what judges them, and with their hashes where they will be ``reconciled``."""
    session, target = result.session, result.load.target
    assert result.shape is not None
    hashed = [reconciliation.hashed(result.shape.columns)] if reconciled else []
    judged = validate.with_masks(planning.staged_query(query.sql, result, hashed), result.rules)
    judged = rejected.with_origins(result, judged, query, extraction.places)
    if (extraction.scan.legs or 1) == 1:
        return keep_rows(judged, target)
    staged = keep_rows(f"SELECT * FROM ({judged}) LIMIT 0", target)
    session.fill(staged, judged)
    return staged


def _hold(session: Session, extraction: extract.Extraction, query: transform.Query) -> None:
    """Keep the rows of a stream that passes once, where the steps drop some: counting them needs a second look."""
    if not (query.counted_at_source and extraction.one_shot):
        return
    session.in_engine(f"CREATE TEMP TABLE _dataflow_landed AS SELECT * FROM {extract.SOURCE_VIEW}")
    session.in_engine(f"CREATE OR REPLACE TEMP VIEW {extract.SOURCE_VIEW} AS SELECT * FROM _dataflow_landed")
    injection.reach("landed")


def _count(result: StagedLoad, extraction: extract.Extraction, query: transform.Query, wanted: State) -> None:
    load, session, staged = result.load, result.session, result.staged
    assert staged is not None
    table = qualified(staged.schema, staged.name)
    cursor = load.stream.cursor
    greatest: str | None = None
    if query.counted_at_source:
        # What the steps dropped is gone from the stage: rows and cursor are taken from the source's side.
        if cursor:
            result.rows_read, greatest = extract.greatest_cursor(session, extraction.query, cursor)
        else:
            result.rows_read = session.in_engine(f"SELECT count(*) FROM ({extraction.query})")[0][0]
    elif cursor and query.cursor:
        result.rows_read, greatest = extract.greatest_cursor(session, f"FROM {table}", query.cursor)
    else:
        result.rows_read = result.count()
    if extraction.scan.rows_read is not None:
        result.rows_read = extraction.scan.rows_read()
    position = _position(result, extraction)
    result.notes = extraction.scan.notes
    extraction.finish()
    session.settle()
    injection.reach("settled")
    if cursor and query.cursor:
        settle_boundary(result, query.cursor, wanted, greatest, extraction.cursor_type)
        if query.cursor == transform.CARRIED_CURSOR:
            # DuckDB commits no DELETE together with an ALTER of the same table.
            session.settle()
            session.in_engine(f"ALTER TABLE {table} DROP COLUMN {quote(transform.CARRIED_CURSOR)}")
            session.settle()
            injection.reach("settled")
    elif load.window is None:
        result.after = State()
    if result.after is not None:
        result.after = replace(result.after, position=position)
    if load.stream.lookback is not None and wanted.cursor is not None and load.window is None:
        rejected.drop_known(result)
    result.rows_staged = result.count()


def _position(result: StagedLoad, extraction: extract.Extraction) -> dict[str, Any]:
    """Where the source stands now: where it stood before, if rows it would pass wait above the upper bound."""
    if extraction.held_back is not None and not extraction.one_shot:
        waiting = f"SELECT count(*) FROM {extract.SOURCE_VIEW} WHERE {extraction.held_back}"
        if extraction.scan.position and result.session.in_engine(waiting)[0][0]:
            return dict(result.before.position)
    return dict(extraction.scan.position)
