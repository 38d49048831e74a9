"""Replay: rows in quarantine go through the stream's steps and rules again, and those that pass are loaded.

The table becomes what it would have been had they passed from the start, in one transaction with what becomes of
them in quarantine. What cannot be told exactly is refused in words and stays open.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from dataflow_platform.core import injection
from dataflow_platform.core.base import Session, Table
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.engine import key_rebuild, masking, partition_replay, query_errors, rejected, state
from dataflow_platform.engine.contract import apply
from dataflow_platform.engine.replay_batch import OUTCOME, PICKED, Batch, judge
from dataflow_platform.engine.replay_file import corrected
from dataflow_platform.engine.state import LOADS, QUARANTINE, system_table
from dataflow_platform.engine.stream_load import StreamLoad

ORDER = Table("temp", "_dataflow_order")
"""The loads of the stream, in the order of their commits: ``load_id``, ``started_at``, ``place``."""
STRATEGY = "replay"
"""What the load record of a replay says in ``strategy``."""


@dataclass(frozen=True)
class Selection:
    """Which open rows: all of the stream, or those that broke ``rule``, with these ``ids``, in the ``edited`` file."""

    rule: str | None = None
    ids: Sequence[str] = ()
    edited: Path | None = None


@dataclass(frozen=True)
class Replayed:
    """What a replay did, in rows; ``refused``: why rows were left as they are, and how many of each."""

    selected: int
    loaded: int = 0
    still_bad: int = 0
    left_out: int = 0
    refused: Mapping[str, int] | None = None
    record: state.LoadRecord | None = None


def replay(load: StreamLoad, selection: Selection, who: str) -> Replayed:
    """Replay the selected rows of ``load``'s stream under a load id of its own; cursor and state stay as they are.

    A replay that was killed changed nothing and can be run again; one that committed finds no open row.
    """
    return masking.wordless(load.masks, lambda: _replayed(load, selection, who))


def _replayed(load: StreamLoad, selection: Selection, who: str) -> Replayed:
    session = load.destination.session()
    try:
        session.lock(load.target)
        state.ensure_tables(session, load.target.schema)
        session.settle()
        if session.columns(load.target) is None:
            raise ConfigError(
                "replay.table",
                f"there is no table {rejected.target_name(load)}",
                where=f"streams.{load.stream.name}",
                fix="run the stream first",
            )
        started = datetime.now(UTC)
        selected = _pick(session, load, selection)
        if not selected:
            return Replayed(0)
        try:
            done = _replay(session, load, who, started, selected)
        except duckdb.Error as error:
            known = query_errors.explained(error, rejected.target_name(load))
            raise known or error from error
        session.commit()
        injection.reach("committed")
        return done
    finally:
        session.close()


def _pick(session: Session, load: StreamLoad, selection: Selection) -> int:
    """Copy the selected open rows into the engine, each with the reason why it cannot be replayed, if any."""
    schema = load.target.schema
    if not rejected.has_open(session, load):
        return 0
    for name in (QUARANTINE, LOADS):
        session.expose(Table(schema, name))
    wanted = [rejected.of_stream(load)]
    if selection.rule is not None:
        wanted.append(rejected.broke(selection.rule))
    if selection.ids:
        wanted.append(f"quarantine_id IN ({', '.join(map(literal, selection.ids))})")
    rows = f"SELECT * FROM {system_table(schema, QUARANTINE)} WHERE {' AND '.join(wanted)}"
    if selection.edited is not None:
        rows = corrected(session, rows, selection.edited)
    else:
        rows = f"SELECT *, FALSE AS changed FROM ({rows}) AS open"
    changed = f"strategy <> {literal(rejected.described(load))}" if load.strategy.reach in ("key", "partition") else ""
    session.in_engine(
        f"CREATE TEMP TABLE {quote(PICKED.name)} AS SELECT quarantine_id, load_id, source_values, source_types, "
        "reasons, changed, clears_partition, CASE WHEN source_values IS NULL OR source_types IS NULL "
        "THEN 'it was set aside by an earlier version, which did not keep the source''s values' "
        "WHEN refusal IS NOT NULL THEN refusal "
        f"{f'WHEN {changed} THEN ' + literal(_OTHER) if changed else ''} "
        "WHEN NOT list_has_all(json_keys(source_types), json_keys(source_values)) "
        "THEN 'it has a column that the source does not have' END AS refusal "
        f"FROM ({rows}) AS picked"
    )
    record = f"pipeline = {literal(load.pipeline)} AND stream = {literal(load.stream.name)}"
    session.in_engine(
        f"CREATE TEMP TABLE {quote(ORDER.name)} AS SELECT load_id, started_at, "
        f"row_number() OVER (ORDER BY committed_at, load_id) AS place FROM {system_table(schema, LOADS)} "
        f"WHERE {record} AND target = {literal(rejected.target_name(load))} AND strategy <> '{STRATEGY}'"
    )
    return int(session.in_engine(f"SELECT count(*) FROM {PICKED.sql}")[0][0])


_OTHER = "it was set aside under another load strategy, or other options of it"


def _replay(session: Session, load: StreamLoad, who: str, started: datetime, selected: int) -> Replayed:
    load_id = str(uuid.uuid4())
    session.in_engine(
        f"UPDATE {PICKED.sql} SET refusal = 'its load is not in the record' WHERE refusal IS NULL "
        f"AND load_id NOT IN (SELECT load_id FROM {ORDER.sql})"
    )
    batches = _judged(session, load)
    injection.reach("validated")
    for write in (_WRITERS[load.strategy.reach],) if load.strategy.reach else ():
        inserted, deleted = write(session, load, batches)
    injection.reach("rows_written")
    counts = _settle(session, load, who, load_id)
    injection.reach("quarantine_written")
    record = _record(session, load, load_id, started, selected, counts)
    updated = min(inserted, deleted)
    record = {**record, "rows_inserted": inserted - updated, "rows_updated": updated, "rows_deleted": deleted - updated}
    saved = state.LoadRecord(**record)  # type: ignore[arg-type]
    state.save_record(session, load.target.schema, saved)
    injection.reach("record_written")
    rows = session.in_engine(
        f"SELECT refusal, count(*) FROM {PICKED.sql} WHERE refusal IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    return Replayed(selected, counts["replayed"], counts["open"], counts["left_out"], dict(rows), saved)


def _judged(session: Session, load: StreamLoad) -> list[Batch]:
    """The rows of each original load, oldest first, through the steps and rules; the target has their columns then."""
    session.in_engine(
        f"CREATE TEMP TABLE {quote(OUTCOME.name)} (quarantine_id VARCHAR, outcome VARCHAR, reasons VARCHAR, "
        "row_values VARCHAR)"
    )
    groups = session.in_engine(
        f"SELECT DISTINCT o.place, o.load_id, o.started_at, p.source_types FROM {PICKED.sql} AS p "
        f"JOIN {ORDER.sql} AS o USING (load_id) WHERE p.refusal IS NULL ORDER BY o.place, p.source_types"
    )
    batches = []
    for place, load_id, started_at, types in groups:
        batch = judge(session, load, load_id, started_at, types, int(place))
        if batch.plan.target_is_new:
            raise DataError(
                "replay.table", "the table went away", where=rejected.target_name(load), fix="run the stream first"
            )
        apply.alter_target(session, batch.plan, load.target)
        batches.append(batch)
    injection.reach("staged")
    return batches


def _insert_all(session: Session, load: StreamLoad, batches: Sequence[Batch]) -> tuple[int, int]:
    """Rows that change nothing but themselves, or a table that no later load made anew: added."""
    return sum(session.execute(batch.insert(session.bring(batch.table)).sql) for batch in batches), 0


Writer = Callable[[Session, StreamLoad, Sequence[Batch]], tuple[int, int]]
_WRITERS: dict[str, Writer] = {
    "row": _insert_all,
    "table": _insert_all,
    "partition": partition_replay.write,
    "key": key_rebuild.write,
}


def _settle(session: Session, load: StreamLoad, who: str, load_id: str) -> dict[str, int]:
    """Say in quarantine what became of the rows."""
    schema = load.target.schema
    session.in_engine(f"DELETE FROM {OUTCOME.sql} WHERE quarantine_id IN ({_refused()})")
    session.in_engine(
        f"INSERT INTO {OUTCOME.sql} SELECT quarantine_id, 'left_out', NULL, NULL FROM {PICKED.sql} "
        f"WHERE refusal IS NULL AND quarantine_id NOT IN (SELECT quarantine_id FROM {OUTCOME.sql})"
    )
    counts = {"replayed": 0, "open": 0, "left_out": 0}
    counts |= dict(session.in_engine(f"SELECT outcome, count(*) FROM {OUTCOME.sql} GROUP BY 1"))
    for outcome, status, why in (
        ("replayed", "replayed", f"load {load_id}"),
        ("left_out", "discarded", "the steps of the pipeline leave it out"),
    ):
        if counts[outcome]:
            ids = Table("temp", f"_dataflow_{outcome}")
            session.in_engine(
                f"CREATE TEMP TABLE {quote(ids.name)} AS SELECT quarantine_id FROM {OUTCOME.sql} "
                f"WHERE outcome = '{outcome}'"
            )
            rejected.mark(session, schema, ids, status, who, why)
    if counts["open"]:
        brought = session.bring(OUTCOME)
        session.execute(
            f"UPDATE {system_table(schema, QUARANTINE)} AS old SET reasons = new.reasons, row_values = new.row_values "
            f"FROM {brought.sql} AS new WHERE old.quarantine_id = new.quarantine_id AND new.outcome = 'open' "
            "AND old.status = 'open'"
        )
    return counts


def _refused() -> str:
    return f"SELECT quarantine_id FROM {PICKED.sql} WHERE refusal IS NOT NULL"


def _record(
    session: Session, load: StreamLoad, load_id: str, started: datetime, selected: int, counts: Mapping[str, int]
) -> dict[str, object]:
    cursor = state.load_state(session, load.target.schema, load.pipeline, load.stream.name).cursor
    return {
        "load_id": load_id,
        "pipeline": load.pipeline,
        "stream": load.stream.name,
        "target": rejected.target_name(load),
        "run_id": load.run_id,
        "partition_key": None,
        "strategy": STRATEGY,
        "started_at": started,
        "committed_at": datetime.now(UTC),
        "rows_read": selected,
        "rows_loaded": counts["replayed"],
        # Refused rows stay in quarantine like those that still break a rule.
        "rows_quarantined": selected - counts["replayed"] - counts["left_out"],
        "rows_filtered": counts["left_out"],
        "cursor_before": cursor,
        "cursor_after": cursor,
        "checks": "[]",
    }
