"""The history of keys that have a row in quarantine: what a replay needs to give the table it should have been.

What a strategy makes of a key depends on the order in which its rows came, and the table forgets much of it: a
version that repeated the one before, the value before the last, a deletion. So from the load that set a row of a
key aside, and for as long as one is open, ``_dataflow_history_<table>`` keeps of that key: a ``start``, the rows
the table held ``before`` that load, and every good ``row`` that load and later ones staged, under their load ids.
Replaying is then what the strategy itself makes of ``before``, load by load, with the rows that were missing.
"""

import hashlib
from collections.abc import Sequence

from dataflow_platform.core.base import LoadPlan, Session, Table
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import exact_values, rejected, validate
from dataflow_platform.engine.state import QUARANTINE
from dataflow_platform.engine.stream_load import StagedLoad, StreamLoad

PART, LOAD = "_dataflow_part", "_dataflow_load"
_P, _L = quote(PART), quote(LOAD)
_FRESH = quote("_dataflow_fresh")
_KEYS, _CAME = Table("temp", "_dataflow_open_keys"), Table("temp", "_dataflow_came")
_BEFORE = quote("_dataflow_before")


def table_of(load: StreamLoad) -> Table:
    """The table that keeps the history of a target's keys."""
    name = f"_dataflow_history_{load.target.name}"
    if len(name.encode()) > load.destination.facts.identifier_limit:
        name = f"_dataflow_history_{hashlib.sha256(load.target.name.encode()).hexdigest()[:16]}"
    return Table(load.target.schema, name)


def note(staged: StagedLoad, plan: LoadPlan) -> None:
    """Keep in the engine the keys that are open, and the good rows that came for them. Before rows are dropped."""
    session, load = staged.session, staged.load
    if load.strategy.reach != "key" or staged.staged is None:
        return
    earlier = rejected.has_open(session, load)
    if not earlier and not staged.rows_quarantined:
        return
    kinds = dict(zip(plan.columns, plan.types, strict=True))
    kinds = {name: kinds[name] for name in plan.primary_key}
    keys = listed(plan.primary_key)
    found = []
    if earlier:
        session.expose(Table(load.target.schema, QUARANTINE))
        gone = f" WHERE quarantine_id NOT IN (FROM {rejected.SUPERSEDED.sql})" if staged.supersedes else ""
        found.append(f"SELECT {keys}, TRUE AS known FROM ({rejected.open_rows(load, kinds)}) AS late{gone}")
    if validate.row_rules(staged.rules):
        values = exact_values.selected(kinds, "judged_values", strict=False)
        found.append(f"SELECT {values}, FALSE AS known FROM {rejected.REJECTED.sql}")
    whole = " AND ".join(f"{quote(name)} IS NOT NULL" for name in plan.primary_key)
    session.in_engine(
        f"CREATE TEMP TABLE {quote(_KEYS.name)} AS SELECT {keys}, NOT bool_or(known) AS {_FRESH} "
        f"FROM ({' UNION ALL '.join(found)}) AS found WHERE {whole} GROUP BY {keys}"
    )
    unseen = [*validate.mask_columns(staged.rules), *staged.hidden]
    left_out = f" EXCLUDE ({', '.join(map(quote, unseen))})" if unseen else ""
    session.in_engine(
        f"CREATE TEMP TABLE {quote(_CAME.name)} AS SELECT *{left_out} FROM {plan.stage} AS new "
        f"SEMI JOIN {_KEYS.sql} AS old ON {plan.same_key()}"
    )
    staged.open_keys = session.bring(_KEYS)


def before(staged: StagedLoad) -> None:
    """Copy what the table holds of the keys that are open from now on. Before the rows are written."""
    if staged.open_keys is None or staged.plan is None or staged.plan.target_is_new:
        return
    target = qualified(staged.load.target.schema, staged.load.target.name)
    staged.session.execute(
        f"CREATE TEMP TABLE {_BEFORE} AS SELECT old.* FROM {target} AS old WHERE EXISTS "
        f"(SELECT 1 FROM {staged.open_keys.sql} AS new WHERE new.{_FRESH} AND {_same(staged.primary_key)})"
    )


def save(staged: StagedLoad) -> None:
    """Write what was kept, in the load's transaction. After the rows are written: the target has its columns now."""
    keys = staged.open_keys
    if keys is None or staged.plan is None:
        return
    session, load = staged.session, staged.load
    history, own = table_of(load), literal(load.load_id)
    # Of keys that are not open any more (their last row was superseded, or discarded) nothing is kept.
    into = fitted(session, load, f"{keys.sql} AS new WHERE NOT new.{_FRESH} AND {_same(staged.primary_key)}")
    names = listed(staged.primary_key)
    session.execute(
        f"INSERT INTO {into.sql} ({names}, {_P}, {_L}) SELECT {names}, 'start', {own} FROM {keys.sql} WHERE {_FRESH}"
    )
    there = [column.name for column in session.columns(load.target) or ()]
    if not staged.plan.target_is_new:
        session.execute(
            f"INSERT INTO {into.sql} ({listed(there)}, {_P}, {_L}) SELECT {listed(there)}, 'before', {own} "
            f"FROM {_BEFORE}"
        )
        session.execute(f"DROP TABLE {_BEFORE}")
    came = [name for name, *_ in session.in_engine(f"DESCRIBE {_CAME.sql}")]
    known = {name.lower() for name in there}
    add(session, into, _CAME, [str(name) for name in came if str(name).lower() in known], load.load_id)
    if into != history:
        put_in_place(session, into, history)


def add(session: Session, into: Table, rows: Table, columns: Sequence[str], load_id: str) -> None:
    """Add the engine's rows to a history as good rows of the load ``load_id``."""
    brought, names = session.bring(rows), listed(columns)
    session.execute(
        f"INSERT INTO {into.sql} ({names}, {_P}, {_L}) SELECT {names}, 'row', {literal(load_id)} FROM {brought.sql}"
    )
    session.in_engine(f"DROP TABLE IF EXISTS {rows.sql}")


def fitted(session: Session, load: StreamLoad, kept: str) -> Table:
    """The history, without the keys of ``unwanted`` (what follows EXISTS (SELECT 1 FROM); of rows ``old``).

    Where it is missing or lacks a column or type of the target, one of another name that ``put_in_place`` will swap
    in: no destination need delete from and alter a table at once.
    """
    history, target = table_of(load), load.target
    there, wanted = session.columns(history), session.columns(target) or ()
    stays = f"EXISTS (SELECT 1 FROM {kept})"
    typed = {(column.name, column.type) for column in there or ()}
    if there is not None and all((column.name, column.type) in typed for column in wanted):
        session.execute(f"DELETE FROM {history.sql} AS old WHERE NOT {stays}")
        return history
    fresh = history if there is None else Table(history.schema, f"_dataflow_new_{rejected.digest(history.name)}")
    session.execute(
        f"CREATE TABLE {fresh.sql} AS SELECT *, CAST('' AS VARCHAR) AS {_P}, CAST('' AS VARCHAR) AS {_L} "
        f"FROM {target.sql} WHERE FALSE"
    )
    if there is not None:
        known = {column.name.lower() for column in wanted}
        shared = [column.name for column in there if column.name.lower() in known or column.name in (PART, LOAD)]
        session.execute(
            f"INSERT INTO {fresh.sql} ({listed(shared)}) SELECT {listed(shared)} FROM {history.sql} AS old "
            f"WHERE {stays}"
        )
    return fresh


def put_in_place(session: Session, fresh: Table, history: Table) -> None:
    """Give a rebuilt history its name."""
    session.execute(f"DROP TABLE {history.sql}")
    session.execute(f"ALTER TABLE {fresh.sql} RENAME TO {quote(history.name)}")


def _same(key: tuple[str, ...]) -> str:
    return " AND ".join(f"old.{quote(name)} = new.{quote(name)}" for name in key)
