"""The straight line of one stream up to the point where it may be published."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import duckdb

from dataflow_platform.core.base import (
    AddedColumn,
    Check,
    Column,
    Destination,
    LoadStrategy,
    RowShape,
    Rule,
    Session,
    Source,
    State,
    Stream,
    Table,
    Transformation,
    Window,
)  # fmt: skip
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.progress import Progress, report
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import contract as schema_contract
from dataflow_platform.engine import extract, injection, query_errors, state, transform, validate
from dataflow_platform.engine.progress import following

KEY_RULE = "primary_key_present"
CURSOR_RULE = "cursor_present"


@dataclass(frozen=True)
class StreamLoad:
    """Everything one load of one stream needs; built by the pipeline component or by hand.

    ``load_id`` names the load: a load whose id is already committed does nothing.
    """

    pipeline: str
    stream: Stream
    source: Source
    destination: Destination
    target: Table
    strategy: LoadStrategy
    strategy_name: str
    load_id: str
    run_id: str = ""
    steps: Sequence[Transformation] = ()
    checks: Sequence[Check] = ()
    contract: schema_contract.Contract = field(default_factory=schema_contract.Contract)
    partition_key: str | None = None
    window: Window | None = None


@dataclass
class StagedLoad:
    """Rows staged, checked and planned in an open transaction; ``engine.load.publish`` makes them visible.

    ``already`` is set where this load id was committed before: there is nothing to publish then.
    """

    load: StreamLoad
    session: Session
    started_at: datetime
    already: state.LoadRecord | None = None
    staged: Table | None = None
    plan: schema_contract.SchemaPlan | None = None
    shape: RowShape | None = None
    rules: Sequence[Rule] = ()
    verdicts: Sequence[validate.Verdict] = ()
    samples: Mapping[str, list[str]] = field(default_factory=dict)
    lineage: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    columns: Sequence[Column] = ()
    primary_key: tuple[str, ...] = ()
    cursor: str | None = None
    before: State = field(default_factory=State)
    after: State | None = None
    record: state.LoadRecord | None = None
    """What was committed; set by ``engine.load.publish``."""
    rows_read: int = 0
    rows_staged: int = 0
    rows_quarantined: int = 0
    rows_in_target: int | None = None
    size: int | None = None
    seconds: float = 0.0

    def span_of(self, column: str) -> tuple[Any, Any] | None:
        """The least and greatest value of a source column among the staged rows; None where it is not there."""
        output = self.plain.get(column)
        if self.staged is None or output is None:
            return None
        name = quote(output)
        table = qualified(self.staged.schema, self.staged.name)
        first, last = self.session.in_engine(f"SELECT min({name}), max({name}) FROM {table}")[0]
        return None if first is None else (first, last)

    def close(self) -> None:
        """Undo everything not published and release the destination."""
        self.session.close()


def stage(load: StreamLoad) -> StagedLoad:
    """Read, transform, check and stage one stream; the caller publishes it or closes it."""
    begun = monotonic()
    _refuse_unfit(load)
    report(Progress(load.stream.name, "opening"))
    session = load.destination.session()
    try:
        result = StagedLoad(load, session, datetime.now(UTC))
        # Before the state is read: two loads of one stream never start from the same place.
        session.lock(load.target)
        state.ensure_tables(session, load.target.schema)
        result.already = state.find_record(session, load.target.schema, load.load_id)
        if result.already is None:
            _fill(result)
        result.seconds = monotonic() - begun
        return result
    except BaseException:
        session.close()
        raise


def _refuse_unfit(load: StreamLoad) -> None:
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
    extraction = extract.extract(session, load.source, load.stream, wanted)
    try:
        with _told_apart(load.source, extraction, f"{load.target.schema}.{load.target.name}"):
            _stage_rows(result, extraction, wanted)
    finally:
        extraction.scan.close()


@contextmanager
def _told_apart(source: Source, extraction: extract.Extraction, where: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        extract.raise_source_error(extraction, error)
        known = source.explain(error) or query_errors.explained(error, where)
        if known is None:
            raise
        raise known from error


def _stage_rows(result: StagedLoad, extraction: extract.Extraction, wanted: State) -> None:
    load, session = result.load, result.session
    query = transform.compose(extraction.query, extraction.columns, load.steps, load.stream.cursor)
    result.columns = transform.describe(session, query)
    result.lineage, result.plain = query.lineage, query.plain
    result.primary_key = _mapped(load.stream.primary_key, query)
    result.cursor = query.cursor if query.cursor != transform.CARRIED_CURSOR else None
    result.rules = [*_key_rules(result), *validate.compile_rules(load.checks, result.columns)]
    _require_tables(load, session)
    # Decided before anything is read: a stream that may not be loaded costs nothing.
    added = _decide(result, query)
    injection.reach("scanned")
    if query.drops_rows and extraction.one_shot:
        _land(session, extraction)
    judged = validate.with_masks(_with_added(query.sql, added), result.rules)
    with following(session, load.stream.name, extraction.scan) as followed:
        result.staged = session.stage(judged, load.target)
    result.size = followed.size
    injection.reach("staged")
    _count(result, extraction, query, wanted)
    result.verdicts = validate.judge(session, result.staged, result.rules, result.rows_staged)
    result.samples = {
        verdict.rule.name: validate.samples(session, result.staged, result.rules, verdict.rule)
        for verdict in result.verdicts
        if verdict.failing
    }
    table = qualified(result.staged.schema, result.staged.name)
    result.rows_quarantined = session.in_engine(f"SELECT count(*) FROM {table} WHERE {validate.is_bad(result.rules)}")[
        0
    ][0]
    injection.reach("validated")


def _decide(result: StagedLoad, query: transform.Query) -> tuple[AddedColumn, ...]:
    """Plan the target's schema; the columns the load strategy adds to it, which no contract can forbid."""
    load = result.load
    there = result.session.columns(load.target)
    window = load.window.column if load.window else ""
    result.shape = RowShape(
        tuple(result.columns), result.primary_key, result.cursor,
        load.window is not None, query.plain.get(window), result.started_at,
    )  # fmt: skip
    own = {column.name.lower() for column in load.strategy.added_columns(result.shape)}
    data = None if there is None else [column for column in there if column.name.lower() not in own]
    plan = schema_contract.decide(load.contract, result.session.stored(result.columns), data, load.target)
    loaded = {column.name for column in plan.columns}
    result.shape = replace(result.shape, columns=tuple(each for each in result.columns if each.name in loaded))
    load.strategy.check(result.shape)
    added = load.strategy.added_columns(result.shape)
    _refuse_taken(load, added, result.columns, there)
    if there is not None and added:
        kept = [column for column in there if column.name.lower() in own]
        plain = [Column(column.name, column.type) for column in added]
        extended = schema_contract.decide(schema_contract.Contract(), result.session.stored(plain), kept, load.target)
        plan = replace(plan, changes=plan.changes + extended.changes)
    result.plan = plan
    return added


def _refuse_taken(
    load: StreamLoad, added: Sequence[AddedColumn], columns: Sequence[Column], there: Sequence[Column] | None
) -> None:
    taken = {column.name.lower() for column in columns}
    known = None if there is None else {column.name.lower() for column in there}
    for column in added:
        if column.name.lower() in taken:
            raise ConfigError(
                "load_strategy.column_taken",
                f"load '{load.strategy_name}' adds a column '{column.name}', and the stream has one",
                where="load",
                fix=f"rename it in the pipeline (transform: - rename: {{{column.name}: another_name}})",
            )
        if column.required and known is not None and column.name.lower() not in known:
            raise ConfigError(
                "load_strategy.table",
                f"the table has no column '{column.name}': it was not loaded by '{load.strategy_name}'",
                where=f"{load.target.schema}.{load.target.name}",
                fix="load into another table, or drop this one and load it again from the beginning",
            )


def _with_added(query: str, added: Sequence[AddedColumn]) -> str:
    if not added:
        return query
    values = ", ".join(f"CAST({column.value} AS {column.type}) AS {quote(column.name)}" for column in added)
    return f"SELECT *, {values} FROM ({query}) AS incoming"


def _require_tables(load: StreamLoad, session: Session) -> None:
    """Checks may compare with other tables of the destination: they have to be there."""
    for position, check in enumerate(load.checks):
        for name in check.upstream():
            schema, _, table = name.rpartition(".")
            compared = Table(schema, table)
            if session.columns(compared) is None:
                raise ConfigError(
                    "table.unknown",
                    f"the check compares with {name}, and there is no such table",
                    where=f"checks[{position}]",
                    fix=f"materialize {name.replace('.', '/')} first, or correct the name",
                )
            session.expose(compared)


def _mapped(primary_key: Sequence[str], query: transform.Query) -> tuple[str, ...]:
    lost = [name for name in primary_key if name not in query.plain and name not in query.columns]
    if lost:
        raise ConfigError(
            "stream.primary_key_lost",
            f"primary key column '{lost[0]}' does not survive the steps",
            where="transform",
            fix="keep it (under the same name or renamed), or declare another key",
        )
    return tuple(query.plain.get(name, name) for name in primary_key)


def _key_rules(result: StagedLoad) -> list[Rule]:
    strategy, rules = result.load.strategy, []
    if strategy.needs_primary_key:
        missing = " OR ".join(f"{quote(name)} IS NULL" for name in result.primary_key)
        message = f"the primary key ({', '.join(result.primary_key)}) has a missing part"
        rules.append(Rule(KEY_RULE, message, "warn", violation=missing))
    if strategy.needs_cursor_values and result.cursor:
        message = f"the cursor {result.cursor} is missing: the row has no place in the history"
        rules.append(Rule(CURSOR_RULE, message, "warn", violation=f"{quote(result.cursor)} IS NULL"))
    return rules


def _land(session: Session, extraction: extract.Extraction) -> None:
    """Keep the rows of a stream that passes once: counting what the steps drop needs a second look."""
    session.in_engine(f"CREATE TEMP TABLE _dataflow_landed AS SELECT * FROM {extract.SOURCE_VIEW}")
    session.in_engine(f"CREATE OR REPLACE TEMP VIEW {extract.SOURCE_VIEW} AS SELECT * FROM _dataflow_landed")


def _count(result: StagedLoad, extraction: extract.Extraction, query: transform.Query, wanted: State) -> None:
    load, session, staged = result.load, result.session, result.staged
    assert staged is not None
    table = qualified(staged.schema, staged.name)
    cursor = load.stream.cursor
    greatest: str | None = None
    if query.drops_rows:
        # What the steps dropped is gone from the stage: rows and cursor are taken from the source's side.
        if cursor:
            result.rows_read, greatest = extract.greatest_cursor(session, extraction.query, cursor)
        else:
            result.rows_read = session.in_engine(f"SELECT count(*) FROM ({extraction.query})")[0][0]
    elif cursor and query.cursor:
        result.rows_read, greatest = extract.greatest_cursor(session, f"FROM {table}", query.cursor)
    else:
        result.rows_read = session.in_engine(f"SELECT count(*) FROM {table}")[0][0]
    if extraction.scan.rows_read is not None:
        result.rows_read = extraction.scan.rows_read()
    session.settle()
    if cursor and query.cursor:
        _settle_boundary(result, query.cursor, wanted, greatest, extraction.cursor_type)
        if query.cursor == transform.CARRIED_CURSOR:
            # DuckDB commits no DELETE together with an ALTER of the same table.
            session.settle()
            session.in_engine(f"ALTER TABLE {table} DROP COLUMN {quote(transform.CARRIED_CURSOR)}")
            session.settle()
    elif load.window is None:
        result.after = State(position=dict(extraction.scan.position))
    if result.after is not None:
        result.after = State(
            result.after.cursor, result.after.cursor_type, result.after.boundary, dict(extraction.scan.position)
        )
    result.rows_staged = session.in_engine(f"SELECT count(*) FROM {table}")[0][0]


def _settle_boundary(
    result: StagedLoad, column: str, wanted: State, greatest: str | None, cursor_type: str | None
) -> None:
    """Drop the rows at the old cursor that an earlier load took, and remember those at the new one.

    Rows equal to the cursor are read again, since a later row may share it; a fingerprint (of the
    primary key and the row) tells the old ones. So nothing is lost and nothing moves twice.
    """
    session, staged = result.session, result.staged
    assert staged is not None
    table = qualified(staged.schema, staged.name)
    fingerprint = _fingerprint(result.columns)
    if wanted.cursor is not None and wanted.window is None and wanted.boundary:
        known = ", ".join(literal(value) for value in wanted.boundary)
        session.in_engine(
            f"DELETE FROM {table} WHERE {quote(column)} = CAST({literal(wanted.cursor)} AS {cursor_type}) "
            f"AND {fingerprint} IN ({known})"
        )
    if result.load.window is not None:
        return  # a partition run reads its range and leaves the incremental state alone
    if greatest is None:
        result.after = wanted
        return
    rows = session.in_engine(
        f"SELECT {fingerprint} FROM {table} "
        f"WHERE {quote(column)} = CAST({literal(greatest)} AS {cursor_type}) ORDER BY 1"
    )
    seen = {value for (value,) in rows}
    if greatest == wanted.cursor:
        seen.update(wanted.boundary)
    result.after = State(greatest, cursor_type, tuple(sorted(seen)))


def _fingerprint(columns: Sequence[Column]) -> str:
    values = ", ".join(f"{literal(column.name)}: {quote(column.name)}" for column in columns)
    return f"md5(to_json({{{values}}})::VARCHAR)"
