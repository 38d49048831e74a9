"""Reconciliation: what the target holds is what passed into the stage, proved by a hash that travels with each row.

The hash of a row is computed in the pass that stages it, before anything is written, and kept beside it. Sums
of hashes prove that no row was lost, added or exchanged, in whatever order the rows come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataflow_platform.core.base import Column, Session, State, Table
from dataflow_platform.core.errors import DataError
from dataflow_platform.core.sql import qualified, quote
from dataflow_platform.engine import engine_limits
from dataflow_platform.engine.contract import apply
from dataflow_platform.engine.stream_load import Fingerprint, StagedLoad

HASH = "_dataflow_row_hash"
_RANGES = 3  # how many ranges of keys an error names
_LONGEST = 80  # characters of a key in an error


def is_wanted(staged: StagedLoad, wanted: State) -> bool:
    """True where this load is reconciled; ``wanted`` is where reading starts, ``auto`` means full loads."""
    load = staged.load
    everything = load.stream.cursor is None or wanted.cursor is None
    full = everything and not wanted.position and wanted.window is None
    return load.reconcile == "on" or (load.reconcile == "auto" and full)


def hashed(columns: Sequence[Column]) -> str:
    """A column to select: the hash of each row's ``columns``, as they will be loaded."""
    return f"{_row_hash(columns)} AS {quote(HASH)}"


def _row_hash(columns: Sequence[Column]) -> str:
    return f"hash({', '.join(map(_exactly, columns)) or '0'})"


def _exactly(column: Column) -> str:
    """What tells a value from every other one: DuckDB's hash alone takes what is equal, or nested, for the same."""
    name, kind = quote(column.name), column.type
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")) or kind == "INTERVAL":
        return f"CAST({name} AS VARCHAR)"  # an empty list hashes like NULL, a month like 30 days
    return f"{name}, {name} = 0 AND signbit({name})" if kind in ("FLOAT", "DOUBLE") else name  # 0.0 equals -0.0


def taken(session: Session, table: Table) -> Fingerprint:
    """The fingerprint of the rows a staging table holds, by the hashes they carry."""
    return _sum(session, f"SELECT {quote(HASH)} FROM {qualified(table.schema, table.name)}")


def _sum(session: Session, hashes: str) -> Fingerprint:
    rows, total = session.in_engine(f"SELECT count(*), coalesce(sum(hashed), 0) FROM ({hashes}) AS found(hashed)")[0]
    return Fingerprint(int(rows), int(total))


def as_records(staged: StagedLoad) -> list[dict[str, Any]]:
    """What reconciliation found, beside the checks in the load record; it is no asset check of its own."""
    if staged.reconciled is None:
        return []
    said = {"name": "reconciled", "passed": True, "severity": "error", "failing": 0, "sentence": staged.reconciled}
    return [{**said, "asset_check": False}]


@dataclass
class Reconciliation:
    """The comparison of one load, step by step while it is published; nothing happens where none is wanted."""

    staged: StagedLoad
    left: Fingerprint | None = None
    """The rows the strategy left in the stage."""
    swapped: bool = False
    """The staging table is to become the target."""

    @property
    def _table(self) -> Table:
        assert self.staged.staged is not None
        return self.staged.staged

    @property
    def _columns(self) -> tuple[Column, ...]:
        assert self.staged.shape is not None
        return self.staged.shape.columns

    @property
    def _in_place(self) -> bool:
        return self.staged.load.destination.facts.read_back == "in_place"

    def begin(self) -> None:
        """The stage holds the rows that were judged, before any of them is set aside or left out."""
        self.left = self.staged.fingerprint
        if self.left is None or self._untouched:
            return
        if taken(self.staged.session, self._table) != self.left:
            raise self._corrupted("rows came or went in the staging table after they were checked")
        # A strategy that chooses among rows must not choose by a value that was changed.
        if self.staged.load.strategy.needs_primary_key:
            self._verify_stage()

    def cleared(self) -> None:
        """What is in the stage now is what will be loaded."""
        if self.left is not None and not self._untouched:
            self.left = taken(self.staged.session, self._table)

    @property
    def _untouched(self) -> bool:
        """Nothing is taken out of the stage: what came into it is what has to leave, looked at once."""
        return not self.staged.rows_quarantined and not self.staged.load.strategy.needs_primary_key

    def depart(self, swaps: bool) -> None:
        """The rows are about to leave the stage (``swaps``: as the whole target) and are what they were."""
        self.swapped = swaps
        if self.left is None or (swaps and self._in_place):
            return  # what becomes the target in place is looked at once it is the target
        if not self.staged.load.strategy.needs_primary_key:
            self._verify_stage()
        if not self._in_place:
            self._drop_hash(self._table)

    def _verify_stage(self) -> None:
        assert self.staged.plan is not None
        rows = f"SELECT * FROM {qualified(self._table.schema, self._table.name)}"
        self._compare_with_own_hashes(apply.as_loaded(rows, self.staged.plan))

    def arrive(self, inserted: int) -> None:
        """The target holds the ``inserted`` rows of this load, before the stage is dropped."""
        staged, session = self.staged, self.staged.session
        if staged.fingerprint is None:
            return
        target, columns = staged.load.target, self._columns
        read_back = staged.load.destination.facts.read_back
        if self.swapped and self._in_place:
            with engine_limits.bounded(session, len(columns) + 1, frugal=True):
                found = _sum(session, self._hashes(session.written(target, columns, whole=True)))
            if found != self.left:
                kept = (*columns, Column(HASH, "UBIGINT"))
                self._compare_with_own_hashes(session.written(target, kept, whole=True))
                raise self._corrupted("rows were added, lost or exchanged on the way into the table")
            self._drop_hash(target)
        elif self._in_place or (read_back == "by_copy" and staged.load.reconcile == "on"):
            self._compare_with_stage(session.written(target, columns, whole=self.swapped), inserted)
        else:
            staged.reconciled = f"{staged.fingerprint.rows:,} rows left the stage as they came into it"
            return
        staged.reconciled = f"{staged.fingerprint.rows:,} rows: the table holds what came into the stage"

    def _compare_with_own_hashes(self, rows: str) -> None:
        if _sum(self.staged.session, self._hashes(rows)) == self.left:
            return
        bad = f"SELECT * FROM ({rows}) AS rows WHERE {_row_hash(self._columns)} IS DISTINCT FROM {quote(HASH)}"
        raise self._corrupted(self._located(bad) or "rows were added or lost in the staging table")

    def _compare_with_stage(self, arrived: str, inserted: int) -> None:
        """Every row of ``arrived`` carries a hash of the stage; not all of the stage need be there.

        Where rows were also changed in place (``_valid_to``) there may be more than were inserted, never fewer.
        """
        session = self.staged.session
        told = {row[0] for row in session.in_engine(f"DESCRIBE {arrived}")}
        columns = [column for column in self._columns if column.name in told]
        arrived = f"SELECT *, {_row_hash(columns)} AS {quote(HASH)} FROM ({arrived}) AS arrived"
        staged = self._staged_rows(columns)
        hashes = f"SELECT {quote(HASH)} FROM"
        if self.swapped and _sum(session, f"{hashes} ({arrived})") == _sum(session, f"{hashes} ({staged})"):
            return
        known = f"{quote(HASH)} IN ({hashes} ({staged}))"
        if not self.swapped and session.in_engine(f"SELECT count(*) FROM ({arrived}) WHERE {known}")[0][0] >= inserted:
            return
        bad = f"SELECT * FROM ({arrived}) WHERE NOT {known}"
        if self.staged.primary_key:
            # Versions that ended are unlike any staged row, and right.
            keys = f"({', '.join(map(quote, self.staged.primary_key))})"
            lost = f"SELECT {keys} FROM ({staged}) WHERE {quote(HASH)} NOT IN ({hashes} ({arrived}))"
            narrowed = f"{bad} AND {keys} IN ({lost})"
            bad = narrowed if session.in_engine(f"SELECT 1 FROM ({narrowed}) LIMIT 1") else bad
        raise self._corrupted(
            self._located(bad, self._differing(bad, columns))
            or f"fewer than {inserted:,} rows of the stage are in the table"
        )

    def _staged_rows(self, columns: Sequence[Column]) -> str:
        name = qualified(self._table.schema, self._table.name)
        if self._in_place:
            return f"SELECT * FROM {name}"
        # Rows that travelled left their hashes behind: those were compared with the values just before.
        typed = ", ".join(f"TRY_CAST({quote(each.name)} AS {each.type}) AS {quote(each.name)}" for each in columns)
        return f"SELECT *, {_row_hash(columns)} AS {quote(HASH)} FROM (SELECT {typed} FROM {name})"

    def _hashes(self, query: str) -> str:
        return f"SELECT {_row_hash(self._columns)} FROM ({query}) AS rows"

    def _drop_hash(self, table: Table) -> None:
        self.staged.session.in_engine(f"ALTER TABLE {qualified(table.schema, table.name)} DROP COLUMN {quote(HASH)}")

    def _differing(self, bad: str, columns: Sequence[Column]) -> str:
        """The columns in which rows differ from the staged rows of the same key; '' where nobody can tell."""
        keys = self.staged.primary_key
        others = [column.name for column in columns if column.name not in keys]
        if not keys or not others:
            return ""
        same = " AND ".join(f"bad.{quote(key)} = good.{quote(key)}" for key in keys)
        counted = ", ".join(
            f"count(*) FILTER (bad.{quote(name)}::VARCHAR IS DISTINCT FROM good.{quote(name)}::VARCHAR)"
            for name in others
        )
        good = qualified(self._table.schema, self._table.name)
        counts = self.staged.session.in_engine(f"SELECT {counted} FROM ({bad}) AS bad JOIN {good} AS good ON {same}")[0]
        named = [f"{name} ({count:,})" for name, count in zip(others, counts, strict=True) if count]
        return f", in column {', '.join(named)}" if named else ""

    def _located(self, bad: str, differing: str = "") -> str:
        """Where the rows of the query ``bad`` are: a few ranges of keys, or of hashes where there is no key."""
        keys = self.staged.primary_key or (HASH,)
        key = quote(keys[0]) if len(keys) == 1 else f"({', '.join(map(quote, keys))})"
        places = f"SELECT DISTINCT {key} AS place FROM ({bad})"
        ranges = self.staged.session.in_engine(
            f"SELECT min(place)::VARCHAR, max(place)::VARCHAR, count(*) FROM (SELECT place, "
            f"ntile({_RANGES}) OVER (ORDER BY place) AS part FROM ({places})) GROUP BY part ORDER BY part"
        )
        if not ranges:
            return ""
        label = ", ".join(keys) if self.staged.primary_key else "row hash"
        named = [
            f"{first[:_LONGEST]}" if first == last else f"{first[:_LONGEST]} to {last[:_LONGEST]} ({rows:,} rows)"
            for first, last, rows in ((str(first), str(last), rows) for first, last, rows in ranges)
        ]
        total = sum(rows for *_, rows in ranges)
        return f"{total:,} rows are not what came into the stage: {label} {'; '.join(named)}{differing}"

    def _corrupted(self, what: str) -> DataError:
        load = self.staged.load
        return DataError(
            "load.corrupted",
            f"{what}; nothing was published",
            where=f"{load.target.schema}.{load.target.name}",
            fix="run it again; if it comes back, suspect memory or disk, or triggers and rules of the table",
        )
