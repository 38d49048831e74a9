"""Reference files: small tables in CSV, JSON lines, Parquet or Excel, read whole and as they are written."""

import csv
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from dataflow_platform.core import paths
from dataflow_platform.core.base import Spec
from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.expression import data_type
from dataflow_platform.core.extra import require
from dataflow_platform.core.sql import find_column, literal, quote

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".xlsx": "xlsx",
}  # fmt: skip


class ReferenceFile(Spec):
    """A reference file."""

    shorthand = "path"

    path: str = Field(description="The file, relative to the project; `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.xlsx`.")
    types: dict[str, str] = Field(
        default_factory=dict,
        description="DuckDB types of columns, such as `{population: bigint}`. The others are texts as they are "
        "written, of Parquet what the file says.",
    )
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Between the fields of a CSV file; `,`, or tab for `.tsv`.",
    )
    sheet: str | None = Field(default=None, description="Sheet of an Excel file; the first if absent.")

    @field_validator("path")
    @classmethod
    def _known_format(cls, path: str) -> str:
        if Path(path).suffix.lower() not in FORMATS:
            raise ConfigError(
                "lookup.format", f"the name of '{path}' tells no format", where="path",
                fix=f"use a file that ends in {', '.join(FORMATS)}",
            )  # fmt: skip
        if path.lower().endswith(".xlsx"):
            require("openpyxl", "excel", "a reference file of Excel")
        return path

    @field_validator("types")
    @classmethod
    def _known_types(cls, types: dict[str, str]) -> dict[str, str]:
        return {name: data_type(kind) for name, kind in types.items()}

    @property
    def format(self) -> Literal["csv", "jsonl", "parquet", "xlsx"]:
        """What the file's name tells."""
        return FORMATS[Path(self.path).suffix.lower()]  # type: ignore[return-value]  # the keys are checked

    def names(self) -> list[str] | None:
        """The columns the file says it has; None for JSON lines, whose rows have what they have."""
        file = self._found()
        if self.format == "jsonl":
            return None
        if self.format == "csv":
            return self._header(file)
        if self.format == "parquet":
            import pyarrow.parquet as pq

            return list(pq.read_schema(file).names)
        return self._sheet_rows(file)[0]

    def rows(self, wanted: Sequence[str]) -> "str | pa.Table":
        """All rows: what the engine reads from, or a table of texts."""
        file = self._found()
        if self.format == "xlsx":
            return self._excel(file, wanted)
        if self.format == "parquet":
            return f"read_parquet({literal(str(file))})"
        names = self._header(file) if self.format == "csv" else wanted
        declared = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        if self.format == "jsonl":
            return f"read_json({literal(str(file))}, format = 'newline_delimited', columns = {{{declared}}})"
        return (
            f"read_csv({literal(str(file))}, auto_detect = false, header = true, delim = {literal(self._delimiter)}, "
            f"quote = '\"', escape = '\"', allow_quoted_nulls = false, columns = {{{declared}}})"
        )

    def columns(self, wanted: Sequence[str]) -> Mapping[str, str]:
        """The ``wanted`` columns in their types, as SQL over the rows."""
        types = {name.lower(): kind for name, kind in self.types.items()}
        made = {}
        for name in wanted:
            text = quote(name) if self.format == "parquet" else f"nullif({quote(name)}, '')"
            kind = types.get(name.lower())
            made[name] = quote(name) if kind is None else f"CAST({text} AS {kind})"
        return made

    @property
    def _delimiter(self) -> str:
        return self.delimiter or ("\t" if self.path.lower().endswith(".tsv") else ",")

    def _found(self) -> Path:
        file = paths.resolve(self.path)
        if not file.is_file():
            raise ConfigError(
                "lookup.file", f"there is no file '{self.path}'", where=Location(file=str(file)),
                fix="correct the path; it is relative to the project",
            )  # fmt: skip
        return file

    def _header(self, file: Path) -> list[str]:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            names = next(csv.reader(lines, delimiter=self._delimiter), [])
        return _distinct(names, file)

    def _sheet_rows(self, file: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
        import openpyxl

        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        try:
            sheet = book[find_column(self.sheet, book.sheetnames)] if self.sheet else book.worksheets[0]
            header, *rows = sheet.iter_rows(values_only=True)
            return _distinct([str(name) for name in header], file), rows
        finally:
            book.close()

    def _excel(self, file: Path, wanted: Sequence[str]) -> "pa.Table":
        import pyarrow as pa

        names, rows = self._sheet_rows(file)
        arrays = [pa.array([_cell(row[names.index(name)]) for row in rows], pa.string()) for name in wanted]
        return pa.table(arrays, names=list(wanted))


def _distinct(names: list[str], file: Path) -> list[str]:
    folded = [name.lower() for name in names]
    if not names or len(set(folded)) < len(names) or "" in folded:
        raise ConfigError(
            "lookup.header", "the first line does not name each column once", where=Location(file=str(file), line=1),
            fix="write a name above each column",
        )  # fmt: skip
    return names


def _cell(value: object) -> str | None:
    """A cell as text: whole numbers without a point, times in ISO 8601."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)
