"""Check ``custom_python``."""

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from dataflow_platform.checks import RowCheck, column_of, rule, rule_names, word
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rule
from dataflow_platform.core.dotted_path import load_object
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.rule import Decision, RuleCode
from dataflow_platform.core.transformation import EngineFunction

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = count()
_LONGEST = 300  # characters of an error that are kept


class CustomPython(RowCheck):
    """A function of your own that judges each row, batch by batch, or all rows together.

    Where it raises an error the check is broken, and the others judge as if nothing had happened.
    """

    function: str = Field(description="A function by its dotted path, `package.module:name`.")
    takes: Literal["batch", "rows"] = Field(
        default="batch",
        description="`batch`: it gets a `pyarrow.RecordBatch`, as often as there are batches, and gives an array or "
        "a list as long, true or missing where the row is good. `rows`: it gets all rows that would be published "
        "as a `pyarrow.RecordBatchReader`, once, and gives the number of rows that fail, or true or false for all of "
        "them, or such a number with a sentence.",
    )
    columns: list[str] = Field(default_factory=list, description="The columns it gets; all if absent.")
    message: str | None = Field(default=None, description="What to tell of a row that breaks it.")

    @model_validator(mode="after")
    def _check(self) -> "CustomPython":
        if not callable(load_object(self.function)):
            raise ConfigError("check.function", f"{self.function} is no function", where="function", fix="name one")
        return self

    def names(self) -> list[str]:
        """The function's own name."""
        return rule_names(self, [word(self.function.rpartition(":")[2])])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule, judged by the function."""
        read = [column_of(name, columns) for name in self.columns] if self.columns else list(columns)
        judge = _Judge(self.function, read, self.takes == "batch")
        message = self.message or f"{self.function} says no"
        only = read[0].name if len(read) == 1 else None
        made = rule(
            self, self.names()[0], message, column=only, violation=judge.violation,
            shows=[column.name for column in read] if self.columns else (), code=(judge,),
        )  # fmt: skip
        return [made]


class _Judge(RuleCode):
    """The function over the columns ``read``."""

    def __init__(self, path: str, read: Sequence[Column], by_batch: bool) -> None:
        self._path, self._names = path, [column.name for column in read]
        self.violation: str | None = None
        if by_batch:
            types = tuple(column.type for column in read)
            self.function = EngineFunction(f"_dataflow_check_{next(_NUMBERS)}", types, "BOOLEAN", self._breaks)
            self.violation = f"{self.function.name}({', '.join(map(sql.quote, self._names))})"
        else:
            self.takes = f"SELECT {', '.join(map(sql.quote, self._names))} FROM staged"

    def needs_all(self) -> bool:
        """True where the function takes all rows."""
        return bool(self.takes)

    def decide(self, rows: "pa.RecordBatchReader") -> Decision:
        """What the function says of all rows."""
        try:
            answer = load_object(self._path)(rows)
            if isinstance(answer, bool):
                return Decision(int(not answer), "it holds" if answer else "it does not hold")
            number, *words = answer if isinstance(answer, tuple) else (answer,)
            if isinstance(number, bool) or not isinstance(number, int) or number < 0 or len(words) > 1:
                raise TypeError(f"it gave {type(answer).__name__}, not a number of rows")
            return Decision(number, str(words[0]) if words else f"{number:,} rows fail")
        except Exception as error:  # noqa: BLE001  # a person's own code may fail with anything
            self.broken = f"{type(error).__name__}: {error}"[:_LONGEST]
            return Decision(1, self.broken, tolerated=False)

    def _breaks(self, *columns: Any) -> Any:
        """An Arrow array: TRUE for each row that the function does not call good."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = len(columns[0])
        if self.broken is None:
            try:
                answer = load_object(self._path)(pa.record_batch(list(columns), names=self._names))
                answer = answer.combine_chunks() if isinstance(answer, pa.ChunkedArray) else answer
                good: Any = answer if isinstance(answer, pa.Array) else pa.array(answer, pa.bool_())
                if len(good) != rows:
                    raise ValueError(f"it gave {len(good):,} answers for {rows:,} rows")
                return pc.invert(pc.fill_null(good.cast(pa.bool_()), True))
            except Exception as error:  # noqa: BLE001  # a person's own code may fail with anything
                self.broken = f"{type(error).__name__}: {error}"[:_LONGEST]
        return pa.array([False] * rows, pa.bool_())
