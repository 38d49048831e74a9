"""Checks that Pandera itself runs, on batches of rows as they are staged, or on all rows where it takes them all."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from dataflow_platform.checks.pandera.flavour import Flavour
from dataflow_platform.checks.pandera.private_names import built_in
from dataflow_platform.checks.pandera.seen import Seen
from dataflow_platform.core import sql
from dataflow_platform.core.rule import Decision, RuleCode
from dataflow_platform.core.transformation import EngineFunction

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = count()
_PROBED = 200  # rows of the first batch that are asked about again
_ALONE = 8


class Code(RuleCode):
    """One check on the columns ``seen``; ``key`` names the one it is about, None: the check is on the frame.

    ``whole``: it needs all rows. Else a function that is not said to judge row by row is watched: where it answers
    with one value, or otherwise for the same rows in other company, it is asked again with all rows.
    """

    def __init__(
        self, check: Any, key: str | None, seen: Sequence[Seen], flavour: Flavour, whole: bool | None = None
    ) -> None:
        self.check, self.key, self.seen, self.flavour = check, key, list(seen), flavour
        name = built_in(check)
        self.whole = whole or bool(check.groupby) or hasattr(check, "samples") or name == "unique_values_eq"
        self._trusted = bool(check.element_wise) or name is not None
        self._marked = False
        columns = ", ".join(f"{each.value} AS {sql.quote(each.name)}" for each in self.seen)
        self.takes = f"SELECT {columns or '1 AS nothing'} FROM staged"
        self.violation: str | None = None
        if not self.whole and self.seen:
            types = tuple(each.column.type for each in self.seen)
            self.function = EngineFunction(f"_dataflow_rule_{next(_NUMBERS)}", types, "BOOLEAN", self._judge)
            given = ", ".join(f"CAST({each.value} AS {each.column.type})" for each in self.seen)
            self.violation = f"{self.function.name}({given})"
        else:
            self.whole = True

    def needs_all(self) -> bool:
        """True where no answer on a part of the rows would do."""
        if self.whole and self._marked and self.broken is None:
            # Some batches looked as if rows could be judged alone: what they marked means nothing.
            self.broken = f"'{self.check.name}' compares rows with one another; name it under `whole`"
        return self.whole and self.broken is None

    def decide(self, rows: "pa.RecordBatchReader") -> Decision:
        """What the check says of all rows."""
        try:
            failing = self._failing(rows.read_all())
        except Exception as error:  # noqa: BLE001  # a person's own code may fail with anything
            self.broken = _told(error)
            return Decision(1, self.broken, tolerated=False)
        said = words(self.check)
        if isinstance(failing, bool):
            return Decision(int(not failing), f"'{said}' {'holds' if failing else 'does not hold'}", tolerated=False)
        bad = failing.true_count
        return Decision(bad, f"{bad:,} of {len(failing):,} rows break '{said}'")

    def _judge(self, *columns: Any) -> Any:
        """An Arrow array: TRUE for each row that breaks the check."""
        import pyarrow as pa

        rows = len(columns[0])
        nothing = pa.nulls(rows, pa.bool_())
        if self.whole or self.broken:
            return nothing
        try:
            table = pa.table(list(columns), names=[each.name for each in self.seen])
            failing = self._failing(table)
            if isinstance(failing, bool) or not (self._trusted or self._row_by_row(table, failing)):
                self.whole = True
                return nothing
            self._trusted = True
            self._marked = self._marked or failing.true_count > 0
        except Exception as error:  # noqa: BLE001  # a person's own code may fail with anything
            self.broken = _told(error)
            return nothing
        return failing

    def _row_by_row(self, table: "pa.Table", failing: "pa.BooleanArray") -> bool:
        """Whether the first rows are judged alike turned round, twice, and each alone."""
        import pyarrow as pa

        head, said = table.slice(0, _PROBED), failing[:_PROBED].to_pylist()
        turned = head.take(pa.array(range(len(said) - 1, -1, -1)))
        try:
            if self._listed(pa.concat_tables([turned, head])) != [*reversed(said), *said]:
                return False
            bad = [place for place, fails in enumerate(said) if fails][: _ALONE // 2]
            good = [place for place, fails in enumerate(said) if not fails][: _ALONE - len(bad)]
            return all(self._listed(head.slice(place, 1)) == [said[place]] for place in [*bad, *good])
        except Exception:  # noqa: BLE001  # what cannot judge one row needs others
            return False

    def _listed(self, table: "pa.Table") -> Any:
        failing = self._failing(table)
        return failing if isinstance(failing, bool) else failing.to_pylist()

    def _failing(self, table: "pa.Table") -> "pa.BooleanArray | bool":
        """For each row whether it breaks the check; or the one answer, TRUE where it holds."""
        return self._by_polars(table) if self.flavour == "polars" else self._by_pandas(table)

    def _by_polars(self, table: "pa.Table") -> "pa.BooleanArray | bool":
        import polars as pl
        import pyarrow as pa
        from pandera.constants import CHECK_OUTPUT_KEY

        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        found = self.check(frame.lazy(), self.key)
        answers = found.check_output.collect()[CHECK_OUTPUT_KEY]
        if found.failure_cases is None or len(answers) != table.num_rows:
            return bool(answers.all())
        failing: pa.BooleanArray = answers.not_().fill_null(value=True).to_arrow()
        return failing

    def _by_pandas(self, table: "pa.Table") -> "pa.BooleanArray | bool":
        import pyarrow as pa

        frame = _typed(table.to_pandas(use_threads=False), self.seen)
        found = self.check(frame, self.key)
        answers = found.check_output
        if isinstance(answers, type(frame)):
            answers = answers.all(axis="columns")
        if not hasattr(answers, "reindex"):  # a value, no series
            return bool(found.check_passed)
        if self.check.groupby:
            return bool(found.check_passed)
        if not answers.index.equals(frame.index):
            if not answers.index.isin(frame.index).all() or not answers.index.is_unique:
                return bool(found.check_passed)
            # Rows that the check left out, because a value is missing, pass.
            answers = answers.reindex(frame.index, fill_value=True)
        passes = answers.fillna(value=False) if answers.hasnans else answers
        failing: pa.BooleanArray = pa.array(~passes.to_numpy(dtype=bool))
        return failing


def _typed(frame: Any, seen: Sequence[Seen]) -> Any:
    """The frame in the types that the schema names, where its values are such."""
    for each in seen:
        if each.dtype is None:
            continue
        with suppress(Exception):  # such as gaps among integers: they stay what pandas makes of them
            frame[each.name] = each.dtype.coerce(frame[each.name])
    return frame


def words(check: Any) -> str:
    """What a check says of itself."""
    return str(check.error or check.title or check.name)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
