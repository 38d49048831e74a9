"""Where the clear values of masked columns go, from step to step; and what keeps them out of all that is written.

Invariant 7, nothing clear is written: only the one query from the source to the stage has clear values in hand.
What leaves it is masked or refused here; what it spills is encrypted; errors of its run lose their words.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import duckdb

from dataflow_platform.core.base import Column, Transformation
from dataflow_platform.core.duckdb_extension import load_extension
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, Location, TransientError
from dataflow_platform.engine.lineage import DIRECT, Kind, Origin, Relation

LEFT_OUT = "its words are left out: they may hold a value that a step masks"
# Areas of errors that the engine makes itself, of names, types and counts; a value is in none of them.
_OURS = frozenset(
    {
        "check",
        "column",
        "contract",
        "cursor",
        "expression",
        "function",
        "identifier",
        "load",
        "load_strategy",
        "mask",
        "portable",
        "python",
        "replay",
        "step",
        "stream",
        "table",
        "transform",
        "type",
    }
)
_QUOTING = ("data.value", "engine.connection_lost", "engine.disk_full", "engine.memory", "engine.query")
"""Errors of the engine that say behind a colon what DuckDB said."""
_CARRYING = DIRECT | Kind.CONDITIONAL
T = TypeVar("T")


def hides(steps: Sequence[Transformation]) -> bool:
    """True where one of the steps masks."""
    return any(type(step).masks is not Transformation.masks for step in steps)


class ClearValues:
    """Which columns carry clear values of which source columns, behind each step; idle where no step masks."""

    def __init__(self, source: Relation, steps: Sequence[Transformation]) -> None:
        self._active = hides(steps)
        self._carried = source
        self._position = -1
        self._hidden: dict[Origin, tuple[str, int]] = {}
        """What masked columns were made of: the masked column, and the position of its step."""
        self._shown: set[Origin] = set()
        self.blurred: frozenset[str] = frozenset()
        """Columns in which values that differed may have become equal."""
        self._kept: list[tuple[int, set[Origin]]] = []
        """The steps that keep rows in a file, with what those rows carry."""

    def follow(
        self, step: Transformation, columns: Sequence[Column], plain: Mapping[str, str],
        through: Callable[[Relation], Relation],
    ) -> None:  # fmt: skip
        """Go through the next step, which gets ``columns`` and makes ``through(lineage)`` of their lineage.

        ``plain``: source column -> the one that is it by now.
        """
        if not self._active:
            return
        self._position += 1
        if step.rows_function(columns) is not None:
            self._kept.append((self._position, {origin for column in columns for origin in self._of(column.name)}))
        hidden, shown = step.masks(columns), step.shows(columns)
        for name in hidden:
            for origin in self._of(name):
                self._hidden.setdefault(origin, (name, self._position))
        self._shown |= {Origin(source) for source, name in plain.items() if name in shown}
        carried = {name: {} if name in hidden else sources for name, sources in self._carried.columns.items()}
        for name in shown:
            carried[name] = {origin: kinds for origin, kinds in carried[name].items() if origin not in self._hidden}
        self._carried = through(Relation(carried))
        blurred = self.blurred | set(step.blurs(columns))
        traced = Relation({name: {Origin(name): Kind.IDENTITY} if name in blurred else {} for name in carried})
        self.blurred = frozenset(name for name, sources in through(traced).columns.items() if sources)

    def _of(self, column: str) -> list[Origin]:
        """What a column holds the values of, or was chosen by."""
        return [origin for origin, kinds in (self._carried.of(column) or {}).items() if kinds & _CARRYING]

    def _is_secret(self, origin: Origin) -> bool:
        return origin in self._hidden and origin not in self._shown

    def secret(self) -> frozenset[str]:
        """The source's columns of which nothing clear may be written."""
        return frozenset(origin.column for origin in self._hidden if not origin.table and self._is_secret(origin))

    def refuse(self, cursor: str | None, at: Callable[[int], Location]) -> None:
        """ConfigError where columns behind the last step, the cursor or a file would hold what a step masks."""
        for keeping, kept in self._kept:
            for origin in filter(self._is_secret, kept):
                raise ConfigError(
                    "mask.late",
                    f"the step keeps its rows in a file, and '{origin.column}' is masked only behind it",
                    where=at(keeping),
                    fix="mask in a step before it, or take batches (takes: batch)",
                )
        # Invariant 7, nothing clear is written: what was made of a masked column before the mask is one more copy.
        for name in self._carried.columns:
            for origin in filter(self._is_secret, self._of(name)):
                column, position = self._hidden[origin]
                raise ConfigError(
                    "mask.carried",
                    f"column '{name}' carries clear values of '{origin.column}', which column '{column}' masks",
                    where=at(position),
                    fix=f"mask '{name}' as well, drop it behind the mask, or say that it may: clear: [{name}]",
                )
        if cursor in self.secret():
            column, position = self._hidden[Origin(cursor)]
            raise ConfigError(
                "mask.cursor",
                f"column '{column}' masks the cursor '{cursor}', which is kept in clear to know where reading ends",
                where=at(position),
                fix="take another cursor, or load all rows without one",
            )


def telling_types(types: Mapping[str, str], secret: Collection[str]) -> dict[str, str]:
    """The types of the source's columns, to be kept: that of an ENUM, which lists its values, in one word."""
    return {name: "ENUM" if name in secret and "ENUM(" in kind else kind for name, kind in types.items()}


def encrypt_spills(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the engine encrypt what it spills, under a key it never writes down."""
    # Invariant 7, nothing clear is written: rows that wait in memory are written to disk where it is full.
    asked = "SELECT current_setting('temp_file_encryption')"
    if str(connection.execute(asked).fetchall()[0][0]).lower() == "true":
        return
    try:
        # Its OpenSSL makes the keys; without it DuckDB refuses to write anything encrypted.
        load_extension(connection, "httpfs", "httpfs", "mask.spill")
        connection.execute("SET temp_file_encryption = true")
    except duckdb.PermissionException:
        raise TransientError(
            "mask.spill", "another load of this process has spilled unencrypted, and this one holds clear values",
            fix="run it again; give both one Dagster pool to queue them",
        ) from None  # fmt: skip
    except ConfigError:
        raise ConfigError(
            "mask.spill", "the engine may spill clear values to disk, and nothing is there to encrypt them",
            where="transform", fix="pip install 'dataflow-platform[masking]'",
        ) from None  # fmt: skip


def wordless(masks: bool, run: Callable[[], T]) -> T:
    """What ``run`` gives. Where a load ``masks``: its errors without words that may hold values, nor their causes."""
    if not masks:
        return run()
    try:
        return run()
    except DataflowError as error:
        told = error if error.code.partition(".")[0] in _OURS else _without_words(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, its words may hold a value
        failed = f"the load failed with {type(error).__name__}; {LEFT_OUT}"
        told = DataError("mask.failed", failed, fix="look at the values at their source")
    # Invariant 7, nothing clear is written: Dagster stores an error with all that it was raised from.
    told.__cause__ = told.__context__ = None
    raise told


def _without_words(error: DataflowError) -> DataflowError:
    place = Location(error.where.file, error.where.line, error.where.path)
    # Of the engine's own texts what stands before the colon is ours.
    failed = error.what.partition(":")[0] if error.code in _QUOTING else "what was asked failed"
    what = f"{failed}; {LEFT_OUT}"
    if isinstance(error, TransientError):
        return TransientError(error.code, what, where=place, fix=error.fix, retry_after=error.retry_after)
    kind = ConfigError if isinstance(error, ConfigError) else DataError
    return kind(error.code, what, where=place, fix=error.fix)
