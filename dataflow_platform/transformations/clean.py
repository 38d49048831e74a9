"""Transformation ``clean``."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from dataflow_platform.core.base import Column, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import chosen, projected
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.core.transformation import EVERYWHERE, Dialect

# Unicode's White_Space, and the marks without width that copied texts bring along.
_BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200C))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_RUN = f"[{_BLANKS}]+"


class Clean(Spec, Transformation):
    """Brings texts into one form: blanks, accents made of two signs, empty texts, case."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE
    shorthand: ClassVar[str | None] = "columns"

    columns: list[str] = Field(
        default_factory=list, description="The text columns to clean; every column of type varchar if absent."
    )
    trim: bool = Field(
        default=True,
        description="Take blanks off both ends: spaces, tabs, line breaks, non-breaking and zero-width spaces.",
    )
    collapse: bool = Field(default=False, description="Make one space of every run of blanks inside a text.")
    nfc: bool = Field(default=True, description="Write each letter with its accents as one sign (Unicode NFC).")
    empty_as_null: bool = Field(default=True, description="Make NULL of a text that is empty, after the above.")
    case: Literal["keep", "lower", "upper"] = Field(default="keep", description="The case of the letters.")

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns``, the wanted ones cleaned in place."""
        wanted = (
            chosen(self.columns, columns, "clean") if self.columns else [each for each in columns if _is_text(each)]
        )
        for column in wanted:
            if not _is_text(column):
                raise ConfigError(
                    "column.type", f"clean takes texts, column '{column.name}' is {column.type}", where=column.name,
                    fix="leave it out, or cast it to varchar in a step before",
                )  # fmt: skip
        return projected(columns, {column.name: self._cleaned(quote(column.name)) for column in wanted})

    def _cleaned(self, text: str) -> str:
        if self.nfc:
            text = f"nfc_normalize({text})"
        if self.collapse:
            text = f"regexp_replace({text}, {literal(_RUN)}, ' ', 'g')"
        if self.trim:
            text = f"trim({text}, {literal(_BLANKS)})"
        if self.case != "keep":
            text = f"{self.case}({text})"
        return f"nullif({text}, '')" if self.empty_as_null else text


def _is_text(column: Column) -> bool:
    return column.type == "VARCHAR"
