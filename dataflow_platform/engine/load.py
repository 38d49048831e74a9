"""One transaction: rows by load strategy, quarantine, state, load record."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from dataflow_platform.core import injection
from dataflow_platform.core.base import LoadPlan
from dataflow_platform.core.errors import DataError, TransientError
from dataflow_platform.core.progress import Progress, report
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.engine import (
    distinct_keys,
    extract,
    key_history,
    quality_history,
    query_errors,
    reconciliation,
    refused_rows,
    rejected,
    state,
    validate,
)
from dataflow_platform.engine.contract import apply
from dataflow_platform.engine.stream_load import StagedLoad

COUNTED = ("inserted", "updated", "replaced", "ended", "deleted", "filtered", "none")
"""What ``Statement.counts_as`` may say."""


def publish(staged: StagedLoad) -> state.LoadRecord:
    """Make the staged load visible, all of it or nothing; the record of what was done.

    A load whose id is already committed changes nothing and returns the old record. The session is
    closed in every case.
    """
    try:
        if staged.already is not None:
            return staged.already
        # Invariant 6, known before published: a blocking verdict never reaches the target.
        refusal = blocked(staged)
        if refusal is not None:
            quality_history.save_refused(staged)
            raise refusal
        injection.reach("handed_over")
        with query_errors.told(f"{staged.load.target.schema}.{staged.load.target.name}"):
            record = _write(staged)
            # Invariant 1, one transaction: rows, quarantine, state and load record become visible here, together.
            staged.session.commit()
        injection.reach("committed")
        staged.record = record
    finally:
        staged.close()
    injection.reach("closed")
    report(
        Progress(staged.load.stream.name, "loaded", rows=record.rows_loaded, size=staged.size, fraction=1, done=True)
    )
    return record


def blocked(staged: StagedLoad) -> DataError | None:
    """The error that forbids publishing, None where nothing does."""
    for verdict in staged.verdicts:
        if verdict.blocks:
            return DataError(
                "check.failed",
                f"check '{verdict.rule.name}' failed, nothing was published: {verdict.sentence}",
                where=f"{staged.load.target.schema}.{staged.load.target.name}",
                fix="correct the data at its source, or allow it (severity: warn, at_most: ...)",
            )
    return None


def _write(staged: StagedLoad) -> state.LoadRecord:
    session, load = staged.session, staged.load
    reconciling = reconciliation.Reconciliation(staged)
    reconciling.begin()
    filtered = _clear_stage(staged)
    reconciling.cleared()
    _refuse_if_moved_on(staged)
    quarantined = rejected.save(staged)
    if load.checks:
        refused_rows.forget(session, load)
    injection.reach("quarantine_written")
    counts = _write_rows(staged, reconciling)
    counts["filtered"] += filtered
    injection.reach("rows_written")
    reconciling.arrive(counts["inserted"])
    injection.reach("reconciled")
    if not reconciling.swapped:
        _drop_stage(staged)
    key_history.save(staged)
    if staged.after is not None:
        state.save_state(session, load.target.schema, load.pipeline, load.stream.name, staged.after, load.load_id)
    injection.reach("state_written")
    record = _record(staged, counts, quarantined)
    state.save_record(session, load.target.schema, record)
    injection.reach("record_written")
    quality_history.save(staged, session, published=True)
    return record


def _clear_stage(staged: StagedLoad) -> int:
    """Leave in the stage exactly what will be loaded; how many rows the strategy left out."""
    assert staged.plan is not None
    assert staged.staged is not None
    rejected.set_aside(staged)
    apply.fit_rows(staged.session, staged.plan, staged.staged)
    plan = _plan(staged)
    rejected.supersede(staged, plan)
    key_history.note(staged, plan)
    counts = dict.fromkeys(COUNTED, 0)
    for statement in staged.load.strategy.statements(plan):
        if statement.on == "stage" and not distinct_keys.proved(staged.session, plan, statement.distinct):
            counts[statement.counts_as] += staged.session.in_engine(statement.sql)[0][0]
            injection.reach("stage_statement")
    staged.session.settle()
    injection.reach("stage_cleared")
    return counts["filtered"]


def _refuse_if_moved_on(staged: StagedLoad) -> None:
    """Fail where another run committed the same stream since this one read its state: they never interleave."""
    load = staged.load
    now = state.load_state(staged.session, load.target.schema, load.pipeline, load.stream.name)
    if now != staged.before:
        raise TransientError(
            "load.overtaken",
            f"another run loaded stream '{load.stream.name}' of '{load.pipeline}' meanwhile; nothing was published",
            where=f"{load.target.schema}.{load.target.name}",
            fix="run it again; give both runs one Dagster pool to queue them",
        )


def _write_rows(staged: StagedLoad, reconciling: reconciliation.Reconciliation) -> dict[str, int]:
    session, load, plan = staged.session, staged.load, staged.plan
    assert staged.staged is not None
    assert plan is not None
    table = qualified(staged.staged.schema, staged.staged.name)
    for name in () if staged.ahead else (*validate.mask_columns(staged.rules), *staged.hidden):
        session.in_engine(f"ALTER TABLE {table} DROP COLUMN {quote(name)}")
    apply.alter_target(session, plan, load.target)
    injection.reach("schema_applied")
    key_history.before(staged)
    counts = dict.fromkeys(COUNTED, 0)
    # The staging table of a first or full load becomes the target: its rows are written once.
    swaps = plan.target_is_new or load.strategy.replaces_target()
    reconciling.depart(swaps)
    if swaps:
        if not plan.target_is_new:
            apply.fit_stage(session, plan, staged.staged)
        counts["inserted"] = staged.count()
        session.publish_as_new(staged.ahead.table if staged.ahead else staged.staged, load.target)
    else:
        brought = replace(_plan(staged), incoming=session.bring(staged.staged))
        for statement in load.strategy.statements(brought):
            if statement.on == "target":
                answer = session.query(statement.sql)[0][0] if statement.asks else session.execute(statement.sql)
                counts[statement.counts_as] += answer
                injection.reach("statement")
    target = qualified(load.target.schema, load.target.name)
    staged.rows_in_target = session.query(f"SELECT count(*) FROM {target}")[0][0]
    return counts


def _drop_stage(staged: StagedLoad) -> None:
    assert staged.staged is not None
    staged.session.in_engine(f"DROP TABLE {qualified(staged.staged.schema, staged.staged.name)}")


def _plan(staged: StagedLoad) -> LoadPlan:
    load, plan = staged.load, staged.plan
    assert staged.staged is not None
    assert plan is not None
    shape = staged.shape
    assert shape is not None
    window, column = load.window, shape.window_column
    kind = shape.type_of(column)
    return LoadPlan(
        target=load.target,
        staged=staged.staged,
        incoming=staged.staged,
        columns=tuple(column.name for column in plan.columns),
        primary_key=staged.primary_key,
        cursor=staged.cursor,
        target_is_new=plan.target_is_new,
        loaded_at=shape.loaded_at,
        types=tuple(column.type for column in shape.columns),
        window=extract.in_window(window, column, kind) if window and column and kind else None,
    )


def _record(staged: StagedLoad, counts: dict[str, int], quarantined: int) -> state.LoadRecord:
    load = staged.load
    loaded = counts["inserted"] + counts["updated"]
    # What the steps, the cursor or the fingerprints left out before staging, and what the strategy left out.
    gone = staged.rows_read - staged.rows_staged
    # Of steps that make rows only the difference is known: some may have gone as well.
    made = max(-gone, 0) if staged.makes_rows else 0
    filtered = gone + made + counts["filtered"]
    # Invariant 2, nothing lost: every row read or made is loaded, quarantined or filtered; counted where it happened.
    if filtered < 0 or loaded + quarantined + counts["filtered"] != staged.rows_staged:
        raise DataError(
            "load.reconciliation",
            f"read {staged.rows_read}, staged {staged.rows_staged}, but loaded {loaded} + quarantined {quarantined} + "
            f"left out by '{load.strategy_name}' {counts['filtered']}",
            where=f"{load.target.schema}.{load.target.name}",
            fix="nothing was published; look for keys the target holds twice, else report it with the pipeline's YAML",
        )
    after = staged.after or staged.before
    return state.LoadRecord(
        load_id=load.load_id,
        pipeline=load.pipeline,
        stream=load.stream.name,
        target=f"{load.target.schema}.{load.target.name}",
        run_id=load.run_id,
        partition_key=load.partition_key,
        strategy=load.strategy_name,
        started_at=staged.started_at,
        committed_at=datetime.now(UTC),
        rows_read=staged.rows_read,
        rows_loaded=loaded,
        rows_quarantined=quarantined,
        rows_filtered=filtered,
        rows_inserted=counts["inserted"] - counts["replaced"],
        rows_updated=counts["updated"] + counts["replaced"] + counts["ended"],
        rows_deleted=counts["deleted"],
        cursor_before=staged.before.cursor,
        cursor_after=after.cursor,
        checks=json.dumps(
            [*(validate.as_record(verdict) for verdict in staged.verdicts), *reconciliation.as_records(staged)]
        ),
        primary_key=json.dumps(list(staged.primary_key)),
        rows_made=made,
    )
