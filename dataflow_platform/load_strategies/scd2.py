"""scd2: keep every version of a row and when it held."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from dataflow_platform.core.base import AddedColumn, LoadPlan, LoadStrategy, Reach, RowShape, State, Statement, Window
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.load_plan import Column, listed
from dataflow_platform.core.sql import find_column, literal, quote

FROM, TO, CURRENT, HASH = "_valid_from", "_valid_to", "_is_current", "_row_hash"
_F, _T, _C, _H = quote(FROM), quote(TO), quote(CURRENT), quote(HASH)
_LINE = quote("_dataflow_timeline")
# Columns of the timeline; keys stand beside them under their own names.
_AT, _UNTIL, _NEXT, _CAME, _HASH, _RANK, _WON, _KEPT, _OP = (
    quote(f"_dataflow_{name}") for name in ("at", "until", "next", "came", "hash", "rank", "won", "kept", "op")
)
# Of the event before and the one after, along the line.
_BEFORE, _STORED, _AFTER, _FOLLOWS = (quote(f"_dataflow_{name}") for name in ("before", "stored", "after", "follows"))
_TICK = "INTERVAL '1' MICROSECOND"
_CLOCKS = {"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}


class Scd2(LoadStrategy):
    """Slowly changing dimension, type 2: every version of a key with the time it held.

    `_valid_from` is the cursor's value, or the load's time where the stream has no cursor. `_valid_to` is the
    next version's `_valid_from`, NULL for the open version. `_is_current` is true for the open one.
    `_row_hash` covers the tracked columns: a row whose hash equals that of the version before it is no change.

    - Late: a row with a cursor between two versions is spliced in between them; the later version is kept.
    - Same time as a stored version: the newest batch's row takes its place. Twice in one batch: the greatest
      remaining values win. A version that then says the same as the one before it is joined with that one.
    - Rows without a cursor value, and rows whose key is NULL or NULL in one part, go to quarantine. Columns that
      are not tracked keep the values of the moment the version began. A row of nothing but its key never changes.
    - `deletes: close` reads the stream in full and closes the keys that are gone at the load's time. A key that
      comes back opens a new version at its cursor or, where that lies before the closing, at the load's time;
      nothing that happened before it came back can change any more. A row in quarantine counts as gone; an empty
      batch closes every key, where `deletes: ignore` lets it change nothing.

    A row counts as loaded where it became a version, else as filtered: a second run loads 0 rows. Closed or
    re-dated versions count as updated; removed ones and closed keys as deleted.
    """

    reach: ClassVar[Reach | None] = "key"
    needs_primary_key: ClassVar[bool] = True
    needs_cursor_values: ClassVar[bool] = True

    track: tuple[str, ...] = Field(
        default=(), description="The columns whose change makes a version; all but key and cursor when absent."
    )
    deletes: Literal["ignore", "close"] = Field(
        default="ignore",
        description="A key that is gone from the stream: `ignore` leaves its version open, `close` ends it. `close` "
        "reads the stream in full and needs a timestamp as cursor, or none.",
    )

    @field_validator("track", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    def reads_from(self, stored: State, window: Window | None) -> State:
        """The beginning where deletions are looked for, else what is new."""
        return State() if self.deletes == "close" else super().reads_from(stored, window)

    def check(self, rows: RowShape) -> None:
        """Closing needs a cursor that can be compared with a clock."""
        kind = rows.type_of(rows.cursor)
        if self.deletes == "close" and kind is not None and kind not in _CLOCKS:
            raise ConfigError(
                "scd2.deletes",
                f"deletes: close ends versions at the load's time, and the cursor '{rows.cursor}' is {kind}",
                where="load.scd2.deletes",
                fix="use a TIMESTAMP column as cursor, none at all, or deletes: ignore",
            )

    def added_columns(self, rows: RowShape) -> tuple[AddedColumn, ...]:
        """The four columns of a version."""
        when = rows.type_of(rows.cursor) or "TIMESTAMP WITH TIME ZONE"
        begins = quote(rows.cursor) if rows.cursor else literal(rows.loaded_at)
        return (
            AddedColumn(FROM, when, begins, required=True),
            AddedColumn(TO, when, "NULL", required=True),
            AddedColumn(CURRENT, "BOOLEAN", "TRUE", required=True),
            AddedColumn(HASH, "VARCHAR", row_hash(self._tracked(rows)), required=True),
        )

    def _tracked(self, rows: RowShape) -> list[Column]:
        names = [column.name for column in rows.columns]
        wanted = {find_column(name, names) for name in self.track} or {
            name for name in names if name not in rows.primary_key and name != rows.cursor
        }
        return [column for column in rows.columns if column.name in wanted]

    def statements(self, plan: LoadPlan) -> Iterator[Statement]:
        """Lay stored versions and incoming rows of each touched key on one line, then write what differs."""
        yield plan.keep_newest(per=(*plan.primary_key, plan.cursor) if plan.cursor else ())
        if plan.target_is_new:
            yield from _first_history(plan)
        if self.deletes == "close":
            yield self._close_absent(plan)
        yield Statement(f"CREATE TEMP TABLE {_LINE} AS {self._timeline(plan)}")
        found = f"{plan.same_key('old', 'line')} AND old.{_F} = line.{_AT} AND line.{_OP} ="
        yield Statement(
            f"UPDATE {plan.into} AS old SET {_T} = line.{_NEXT}, {_C} = (line.{_NEXT} IS NULL) FROM {_LINE} AS line "
            f"WHERE {found} 'close'",
            counts_as="ended",
        )
        yield Statement(
            f"DELETE FROM {plan.into} AS old USING {_LINE} AS line WHERE {found} 'remove'", counts_as="deleted"
        )
        columns = listed(plan.columns)
        yield Statement(
            f"INSERT INTO {plan.into} ({columns}, {_F}, {_T}, {_C}, {_H}) SELECT {listed(plan.columns, 'new')}, "
            f"line.{_AT}, line.{_NEXT}, line.{_NEXT} IS NULL, new.{_H} FROM {_LINE} AS line JOIN {plan.source} AS new "
            f"ON {plan.same_key('line', 'new')} AND new.{_F} = line.{_CAME} WHERE line.{_OP} = 'add'",
            counts_as="inserted",
        )
        yield Statement(f"SELECT count(*) FROM {_LINE} WHERE {_OP} = 'skip'", counts_as="filtered", asks=True)
        yield Statement(f"DROP TABLE {_LINE}")

    def _close_absent(self, plan: LoadPlan) -> Statement:
        """End the open versions of keys that did not come, never before they began."""
        return Statement(
            f"UPDATE {plan.into} AS old SET {_T} = greatest({_now(plan)}, old.{_F} + {_TICK}), "
            f"{_C} = FALSE WHERE old.{_C} AND NOT EXISTS "
            f"(SELECT 1 FROM {plan.source} AS new WHERE {plan.same_key()})",
            counts_as="deleted",
        )

    def _timeline(self, plan: LoadPlan) -> str:
        """A SELECT of what has to be done: a row a version or incoming row, with its ``op``.

        Events of a key: its stored versions (rank 2), the moments at which versions ended (rank 0)
        and the incoming rows (rank 3, or -1 where another of the batch took their place). Of events at one
        time the greatest rank wins, but an incoming row that only repeats the stored version steps back.
        """
        keys = listed(plan.primary_key)
        line = f"OVER (PARTITION BY {keys} ORDER BY {_AT}, {_RANK})"
        return (
            f"WITH stored AS ({_stored(plan)}), {self._arrived(plan)}, events AS ("
            # The incoming rows stand first: PostgreSQL types a union by its first two members.
            f"SELECT {keys}, {_AT}, {_CAME}, CASE WHEN FALSE THEN {_AT} END AS {_UNTIL}, {_HASH}, {_RANK} FROM arrived "
            f"UNION ALL SELECT {keys}, {_AT}, NULL, {_UNTIL}, {_HASH}, 2 FROM stored "
            f"UNION ALL SELECT {keys}, {_UNTIL}, NULL, NULL, NULL, 0 FROM stored WHERE {_UNTIL} IS NOT NULL), "
            f"placed AS (SELECT *, lag({_AT}) {line} AS {_BEFORE}, lag(CASE WHEN {_RANK} = 2 THEN {_HASH} END) {line} "
            f"AS {_STORED}, lead({_AT}) {line} AS {_AFTER}, lead({_HASH}) {line} AS {_FOLLOWS} FROM events), "
            f"settled AS (SELECT {keys}, {_AT}, {_UNTIL}, {_CAME}, {_HASH}, {_RANK}, {_wins()} AS {_WON} FROM placed), "
            f"judged AS (SELECT *, {_WON} AND {_HASH} IS DISTINCT FROM lag({_HASH}) OVER (PARTITION BY {keys}, {_WON} "
            f"ORDER BY {_AT}) AS {_KEPT} FROM settled), "
            f"dated AS (SELECT *, lead({_AT}) OVER (PARTITION BY {keys}, {_KEPT} ORDER BY {_AT}) AS {_NEXT} "
            f"FROM judged), "
            f"decided AS (SELECT *, CASE WHEN {_CAME} IS NOT NULL THEN CASE WHEN {_KEPT} THEN 'add' ELSE 'skip' END "
            f"WHEN {_RANK} = 2 AND NOT {_KEPT} THEN 'remove' "
            f"WHEN {_RANK} = 2 AND {_NEXT} IS DISTINCT FROM {_UNTIL} THEN 'close' END AS {_OP} FROM dated) "
            f"SELECT {keys}, {_AT}, {_NEXT}, {_CAME}, {_OP} FROM decided WHERE {_OP} IS NOT NULL"
        )

    def _arrived(self, plan: LoadPlan) -> str:
        """The CTE ``arrived``: incoming rows with the time at which they count."""
        # What comes back does so after the closing, never at it: the gap is what a second run knows it by.
        keys = listed(plan.primary_key)
        row = f"SELECT {keys}, {_F} AS {_CAME}, {_H} AS {_HASH}"
        if plan.cursor and self.deletes == "ignore":
            return f"arrived AS ({row}, {_F} AS {_AT}, 3 AS {_RANK} FROM {plan.source})"
        if not plan.cursor:
            # Nothing is late where the clock is ours: after a clock was set back the line still goes on.
            later = f"greatest(new.{_F}, past.last_from + {_TICK}, past.last_until + {_TICK})"
            opened = "NULL"
        else:
            later = (
                f"greatest(new.{_F}, CASE WHEN past.last_until IS NULL THEN NULL WHEN past.reopened IS NOT NULL THEN "
                f"past.reopened ELSE coalesce(min(CASE WHEN new.{_F} > past.last_until THEN new.{_F} END) OVER "
                f"(PARTITION BY {listed(plan.primary_key, 'new')}), "
                f"greatest({_now(plan)}, past.last_until + {_TICK})) END)"
            )
            opened = f"min(CASE WHEN {_AT} > ended THEN {_AT} END)"
        return (
            f"followed AS (SELECT *, lead({_AT}) OVER (PARTITION BY {keys} ORDER BY {_AT}) AS {_NEXT} FROM stored), "
            f"closed AS (SELECT *, max(CASE WHEN {_NEXT} IS DISTINCT FROM {_UNTIL} THEN {_UNTIL} END) OVER "
            f"(PARTITION BY {keys}) AS ended FROM followed), "
            f"past AS (SELECT {keys}, max({_AT}) AS last_from, max(ended) AS last_until, {opened} AS reopened "
            f"FROM closed GROUP BY {keys}), "
            f"shifted AS (SELECT {listed(plan.primary_key, 'new')}, new.{_F} AS {_CAME}, new.{_H} AS {_HASH}, "
            f"{later} AS {_AT} FROM {plan.source} AS new LEFT JOIN past ON {plan.same_key('past', 'new')}), "
            f"arrived AS (SELECT *, CASE WHEN row_number() OVER (PARTITION BY {keys}, {_AT} ORDER BY {_CAME} DESC) = 1 "
            f"THEN 3 ELSE -1 END AS {_RANK} FROM shifted)"
        )


def _stored(plan: LoadPlan) -> str:
    """A SELECT of the stored versions of the keys that came."""
    # Not EXISTS: DuckDB takes what IN looks for along into its scan, and reads the hashes of those rows only.
    keys = listed(plan.primary_key, "old")
    return (
        f"SELECT {keys}, old.{_F} AS {_AT}, old.{_T} AS {_UNTIL}, old.{_H} AS {_HASH} FROM {plan.into} AS old "
        f"WHERE ({keys}) IN (SELECT {listed(plan.primary_key)} FROM {plan.source})"
    )


def _wins() -> str:
    """SQL over ``placed``: of the events at its time this one counts. Two of one rank never stand at one time."""
    return (
        f"CASE {_RANK} WHEN 3 THEN NOT coalesce({_BEFORE} = {_AT} AND {_STORED} = {_HASH}, FALSE) "
        f"WHEN 2 THEN NOT coalesce({_AFTER} = {_AT} AND {_FOLLOWS} IS DISTINCT FROM {_HASH}, FALSE) "
        f"WHEN 0 THEN {_AFTER} IS DISTINCT FROM {_AT} ELSE FALSE END"
    )


def _now(plan: LoadPlan) -> str:
    """The load's time in the type of ``_valid_from``."""
    naive = plan.cursor is not None and plan.types[plan.columns.index(plan.cursor)] == "TIMESTAMP"
    return literal(plan.loaded_at.astimezone(UTC).replace(tzinfo=None) if naive else plan.loaded_at)


def _first_history(plan: LoadPlan) -> Iterator[Statement]:
    """Turn the stage into the first history: drop rows that repeat the one before them, close the others."""
    if plan.cursor is None:
        return  # one row a key: all versions are open
    keys = listed(plan.primary_key)
    several = f"({keys}) IN (SELECT ({keys}) FROM {plan.stage} GROUP BY {keys} HAVING count(*) > 1)"
    line = f"OVER (PARTITION BY {keys} ORDER BY {_F})"
    yield Statement(
        f"DELETE FROM {plan.stage} WHERE rowid IN (SELECT place FROM (SELECT rowid AS place, {_H} = lag({_H}) {line} "
        f"AS repeats FROM {plan.stage} WHERE {several}) WHERE repeats)",
        on="stage",
        counts_as="filtered",
        distinct=plan.primary_key,
    )
    yield Statement(
        f"UPDATE {plan.stage} AS old SET {_T} = line.following, {_C} = FALSE FROM (SELECT rowid AS place, "
        f"lead({_F}) {line} AS following FROM {plan.stage} WHERE {several}) AS line "
        "WHERE old.rowid = line.place AND line.following IS NOT NULL",
        on="stage",
        distinct=plan.primary_key,
    )


def row_hash(columns: Sequence[Column]) -> str:
    """SQL of the engine: the md5 of a row's values, by name and whatever their order.

    A NULL adds nothing, so that a new column changes no hash before it has a value. The length before each
    value keeps neighbours apart; a type that was widened without loss gives the same text.
    """
    # One call of concat: pieces that are joined in steps were two thirds of what a hash cost.
    parts = [piece for column in sorted(columns, key=lambda column: column.name) for piece in _pieces(column)]
    return f"md5(concat({', '.join(parts) or literal('')}))"


def _pieces(column: Column) -> tuple[str, ...]:
    """``name:5:value``, and nothing where the value is NULL."""
    name, kind = quote(column.name), column.type
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        text = f"to_json({name})::VARCHAR"
    elif kind.startswith("DECIMAL") and not kind.endswith(",0)"):
        text = f"rtrim(rtrim({name}::VARCHAR, '0'), '.')"
    elif kind == "FLOAT":
        text = f"{name}::DOUBLE::VARCHAR"
    else:
        text = f"{name}::VARCHAR"
    known = f"CASE WHEN {text} IS NOT NULL THEN"
    return f"{known} {literal(column.name + ':')} END", f"strlen({text})", f"{known} ':' END", text
