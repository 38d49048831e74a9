"""Late rows of a table with a key: the strategy itself makes each key anew, from its kept history."""

from collections.abc import Sequence
from dataclasses import replace

from dataflow_platform.core.base import Column, LoadPlan, Session, State, Table
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.engine import key_history, rejected
from dataflow_platform.engine.key_history import LOAD, PART
from dataflow_platform.engine.replay_batch import ID, OUTCOME, PICKED, Batch
from dataflow_platform.engine.stream_load import StreamLoad

_CAME, _KEYS, _KEPT = (Table("temp", f"_dataflow_{name}") for name in ("late", "late_keys", "kept"))
_REBUILT, _PASS = Table("temp", "_dataflow_rebuilt"), Table("temp", "_dataflow_pass")
_PLACE = quote("_dataflow_place")


def write(session: Session, load: StreamLoad, batches: Sequence[Batch]) -> tuple[int, int]:
    """Rebuild the keys of the rows that pass and put them in the place of what the target holds of them."""
    if not batches:
        return 0, 0
    plan = batches[-1].load_plan
    has_history = session.columns(key_history.table_of(load)) is not None
    if has_history:
        session.expose(key_history.table_of(load))
    _gather(session, load, batches, has_history)
    _refuse_unknown(session, load, batches)
    columns = _start(session, load, batches, has_history)
    _run(session, load, batches, columns)
    keys, rebuilt = session.bring(_KEYS), session.bring(_REBUILT)
    there = {column.name.lower() for column in session.columns(load.target) or ()}
    names = listed([column.name for column in columns if column.name.lower() in there])
    deleted = session.execute(f"DELETE FROM {plan.into} AS old USING {keys.sql} AS new WHERE {plan.same_key()}")
    inserted = session.execute(f"INSERT INTO {plan.into} ({names}) SELECT {names} FROM {rebuilt.sql}")
    if has_history:
        _go_on(session, load, batches)
    return inserted, deleted


def _gather(session: Session, load: StreamLoad, batches: Sequence[Batch], has_history: bool) -> None:
    """The rows that pass by key, with the place from which on their key's history is known (NULL: it is not)."""
    key = batches[-1].load_plan.primary_key
    rows = " UNION ALL ".join(
        f"SELECT {listed(batch.load_plan.primary_key)}, {quote(ID)}, {batch.place} AS {_PLACE} FROM {batch.table.sql}"
        for batch in batches
    )
    # A key has one start; with its last open row its history went, or goes before a row of it is left out.
    live = (
        f"SELECT {listed(key, 'h')}, o.place AS since FROM {key_history.table_of(load).sql} AS h "
        f"JOIN temp._dataflow_order AS o ON o.load_id = h.{quote(LOAD)} WHERE h.{quote(PART)} = 'start'"
        if has_history
        else f"SELECT {listed(key)}, NULL AS since FROM {batches[-1].table.sql} WHERE FALSE"
    )
    session.in_engine(
        f"CREATE TEMP TABLE {quote(_CAME.name)} AS SELECT came.*, live.since FROM ({rows}) AS came "
        f"LEFT JOIN ({live}) AS live ON {_same('came', 'live', key)}"
    )


def _refuse_unknown(session: Session, load: StreamLoad, batches: Sequence[Batch]) -> None:
    """Leave rows alone whose key (it was edited, or the steps changed) has a past that nobody wrote down."""
    plan = batches[-1].load_plan
    unknown = Table("temp", "_dataflow_unknown")
    session.in_engine(
        f"CREATE TEMP TABLE {quote(unknown.name)} AS SELECT {listed(plan.primary_key)}, {quote(ID)} "
        f"FROM {_CAME.sql} WHERE since IS NULL OR since > {_PLACE}"
    )
    if session.in_engine(f"SELECT 1 FROM {unknown.sql} LIMIT 1"):
        # A key that is not in the table never was there, where none is forgotten.
        refused = "TRUE" if load.strategy.forgets_keys() else "FALSE"
        brought = session.bring(unknown)
        there = session.query(
            f"SELECT new.{quote(ID)} FROM {brought.sql} AS new WHERE EXISTS "
            f"(SELECT 1 FROM {plan.into} AS old WHERE {plan.same_key()})"
        )
        ids = ", ".join(literal(found) for (found,) in there) or "NULL"
        session.in_engine(
            f"UPDATE {PICKED.sql} SET refusal = 'its key has changed, and the past of the new one was not kept' "
            f"WHERE quarantine_id IN (SELECT {quote(ID)} FROM {unknown.sql} "
            f"WHERE {refused} OR {quote(ID)} IN ({ids}))"
        )
        out = f"IN (SELECT quarantine_id FROM {PICKED.sql} WHERE refusal IS NOT NULL)"
        session.in_engine(f"DELETE FROM {_CAME.sql} WHERE {quote(ID)} {out}")
        for batch in batches:
            session.in_engine(f"DELETE FROM {batch.table.sql} WHERE {quote(ID)} {out}")
    session.in_engine(
        f"CREATE TEMP TABLE {quote(_KEYS.name)} AS SELECT DISTINCT {listed(plan.primary_key)} FROM {_CAME.sql}"
    )


def _start(session: Session, load: StreamLoad, batches: Sequence[Batch], has_history: bool) -> list[Column]:
    """Copy what was kept of the keys, and make an empty table like the target; its columns."""
    history = key_history.table_of(load)
    own = {column.name.lower(): column for column in session.columns(load.target) or ()}
    # Not every load brought every column.
    brought = {name.lower(): name for batch in batches for name in batch.columns}
    described = session.in_engine(f"DESCRIBE {history.sql}") if has_history else []
    columns = [
        Column(str(name), own[name.lower()].type if name.lower() in brought and name.lower() in own else str(kind))
        for name, kind, *_ in described
        if name not in (PART, LOAD)
    ]
    known = {column.name.lower() for column in columns}
    columns += [Column(name, own[folded].type) for folded, name in brought.items() if folded not in known]
    empty = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in columns)
    for table in (_REBUILT, _PASS):
        session.in_engine(f"CREATE TEMP TABLE {quote(table.name)} AS SELECT {empty} WHERE FALSE")
    place = "CAST(NULL AS VARCHAR)" if not has_history else f"h.{quote(PART)}"
    if has_history:
        key = batches[-1].load_plan.primary_key
        session.in_engine(
            f"CREATE TEMP TABLE {quote(_KEPT.name)} AS SELECT h.*, o.place AS {_PLACE} FROM {history.sql} AS h "
            f"JOIN temp._dataflow_order AS o ON o.load_id = h.{quote(LOAD)} "
            f"SEMI JOIN (SELECT * FROM {_CAME.sql} WHERE since IS NOT NULL) AS late ON {_same('h', 'late', key)} "
            f"WHERE {place} <> 'start'"
        )
    else:
        session.in_engine(
            f"CREATE TEMP TABLE {quote(_KEPT.name)} AS SELECT *, '' AS {quote(PART)}, '' AS {quote(LOAD)}, "
            f"0 AS {_PLACE} FROM {_REBUILT.sql}"
        )
    return columns


def _run(session: Session, load: StreamLoad, batches: Sequence[Batch], columns: Sequence[Column]) -> None:
    """Load by load: what the table held, then what the strategy makes of the rows that came."""
    late: dict[int, list[Batch]] = {}
    for batch in batches:
        late.setdefault(batch.place, []).append(batch)
    found = session.in_engine(f"SELECT DISTINCT {_PLACE} FROM {_KEPT.sql}")
    places = {*late, *(int(place) for (place,) in found)}
    # To a strategy that reads everything each time, a key that did not come says something too.
    reads_all = load.strategy.reads_from(State("0", "BIGINT"), None).cursor is None
    order = session.in_engine("SELECT place, started_at FROM temp._dataflow_order ORDER BY place")
    added = {name.lower() for name in batches[-1].added}
    there = {str(name).lower() for name, *_ in session.in_engine(f"DESCRIBE {_KEPT.sql}")}
    kept = listed([column.name for column in columns if column.name.lower() in there])
    rows = [column for column in columns if column.name.lower() not in added]
    for place, started_at in order:
        if place not in places and not (reads_all and place >= min(places)):
            continue
        held = f"FROM {_KEPT.sql} WHERE {_PLACE} = {place} AND {quote(PART)} ="
        session.in_engine(f"INSERT INTO {_REBUILT.sql} ({kept}) SELECT {kept} {held} 'before'")
        session.in_engine(f"DELETE FROM {_PASS.sql}")
        session.in_engine(f"INSERT INTO {_PASS.sql} ({kept}) SELECT {kept} {held} 'row'")
        for batch in late.get(place, ()):
            names = listed(batch.columns)
            session.in_engine(f"INSERT INTO {_PASS.sql} ({names}) SELECT {names} FROM {batch.table.sql}")
        plan = replace(
            batches[-1].load_plan,
            target=_REBUILT,
            staged=_PASS,
            incoming=_PASS,
            columns=tuple(column.name for column in rows),
            types=tuple(column.type for column in rows),
            loaded_at=started_at,
        )
        _load(session, load, plan)


def _load(session: Session, load: StreamLoad, plan: LoadPlan) -> None:
    for where in ("stage", "target"):
        for statement in load.strategy.statements(plan):
            if statement.on == where and not statement.asks:
                session.in_engine(statement.sql)


def _go_on(session: Session, load: StreamLoad, batches: Sequence[Batch]) -> None:
    """Add the rows to the history of keys that still have an open row; forget that of the others."""
    key = batches[-1].load_plan.primary_key
    open_now = (
        f"SELECT * FROM ({rejected.open_rows(load, _kinds(batches[-1], key))}) AS late WHERE quarantine_id NOT IN "
        f"(SELECT quarantine_id FROM {OUTCOME.sql} WHERE outcome = 'replayed') OR quarantine_id IN "
        f"(SELECT quarantine_id FROM {PICKED.sql} WHERE refusal IS NOT NULL)"
    )
    still = Table("temp", "_dataflow_still")
    session.in_engine(f"CREATE TEMP TABLE {quote(still.name)} AS SELECT DISTINCT {listed(key)} FROM ({open_now})")
    history = key_history.table_of(load)
    brought = session.bring(still)
    # Keys whose last row was superseded or discarded meanwhile go too.
    into = key_history.fitted(session, load, f"{brought.sql} AS new WHERE {_same('old', 'new', key)}")
    for batch in batches:
        came = Table("temp", f"_dataflow_goes_on_{batch.table.name}")
        session.in_engine(
            f"CREATE TEMP TABLE {quote(came.name)} AS SELECT {listed(batch.columns, 'old')} FROM {batch.table.sql} "
            f"AS old SEMI JOIN {still.sql} AS new ON {_same('old', 'new', key)}"
        )
        key_history.add(session, into, came, batch.columns, batch.load_id)
    if into != history:
        key_history.put_in_place(session, into, history)


def _kinds(batch: Batch, key: Sequence[str]) -> dict[str, str]:
    types = dict(zip(batch.load_plan.columns, batch.load_plan.types, strict=True))
    return {name: types[name] for name in key}


def _same(left: str, right: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{left}.{quote(name)} = {right}.{quote(name)}" for name in key)
