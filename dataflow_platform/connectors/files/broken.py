"""What DuckDB says of a file it cannot read, as an error with file, line and the words found there."""

import csv
import io
import json
import re
from collections.abc import Sequence
from itertools import islice

import duckdb

from dataflow_platform.connectors.files import exact, json_lines
from dataflow_platform.connectors.files.listing import File, not_permitted, opened, vanished
from dataflow_platform.connectors.files.reading import csv_options, header, paths
from dataflow_platform.connectors.files.stream import FilesStream, Format
from dataflow_platform.core.errors import DataError, DataflowError, Location

_EXCERPT = 80
_COLUMNLESS = {
    "expected records": "no line is a record: a JSON object with a field",
    "at least one non-root column": "the file has no column",
}


def meaning(text: str, path: str | None = None) -> DataflowError | None:
    """The error behind DuckDB's ``text``, about ``path`` where the text names no file; None where nobody knows."""
    if refused := exact.refused(text):
        return _inexact(*refused)
    named = re.search(r"""(?:[Ff]ile|pattern) ["'](.+?)["']""", text)
    path = named[1] if named else path
    if re.search(r"No files found that match|No such file or directory", text):
        return vanished(path)
    if "Permission denied" in text:
        return not_permitted(path)
    columnless = next((words for said, words in _COLUMNLESS.items() if said in text), None)
    if columnless:
        return _unreadable(path, None, columnless, None)
    if re.search(r"not a GZIP stream|No magic bytes|too small to be a Parquet|Parquet file", text):
        packed = re.search(r"GZIP stream: (.+)", text)
        return _unreadable(packed[1] if packed else path, None, _first_line(text), None)
    return _csv_line(text) or _json_line(text)


def first_broken(files: Sequence[File], options: FilesStream, kind: Format) -> DataflowError | None:
    """The first of ``files`` that cannot be read by itself and why, found in an engine of its own."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")  # so that the first broken line is the one that is told
        for file in files:
            if kind == "csv":
                columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(header(file, options))))
                plain = csv_options([file], options.model_copy(update={"columns": {}}))
                rows = f"read_csv({paths([file])}, {plain}, auto_detect = false, columns = {{{columns}}})"
            elif kind == "jsonl":
                rows = f"read_json({paths([file])}, {json_lines.OPTIONS}, sample_size = -1)"
            else:
                rows = f"read_parquet({paths([file])})"
            try:
                connection.execute(f"SELECT max(COLUMNS(*)::VARCHAR) FROM {rows}")
            except duckdb.Error as error:
                text = str(error)
                return meaning(text, file.path) or _unreadable(file.path, None, _first_line(text), None)
    return None


_WORDS = {
    "key": "a line has a key that the first rows had not: ",
    "unique key": "a line has a key twice",
    "record": "a line is no JSON object: every line has to be one record",
}


def _inexact(path: str, place: str, column: str, kind: str, value: str) -> DataError:
    """The error for a value that no guessed or declared type holds as it is."""
    what = f"could not convert string \"{value}\" to {kind} without a change (column '{column}')"
    line, excerpt = _found(path, place, column, value)
    shown = excerpt if excerpt is None or len(excerpt) <= _EXCERPT else excerpt[: _EXCERPT - 3] + "..."
    return DataError(
        "files.unreadable",
        _WORDS[kind] + (value if kind == "key" else "") if kind in _WORDS else what,
        where=Location(file=path, line=line, excerpt=shown),
        fix="declare the column under `columns` (VARCHAR keeps every text as it is), or mend the file",
    )


def _found(path: str, place: str, column: str, value: str) -> tuple[int | None, str | None]:
    """Number and text of the first line with ``value``; None where it is not found any more."""
    try:
        with opened(path) as stream, io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="") as text:
            if place:
                number, _, separator = place.partition(":")
                return _csv_line_with(text, int(number), separator, column, value)
            return _json_line_with(text, column, value)
    except OSError:
        return None, None


def _csv_line_with(
    text: io.TextIOWrapper, position: int, separator: str, column: str, value: str
) -> tuple[int | None, str | None]:
    rows = csv.reader(text, delimiter=separator)
    for row in rows:
        if rows.line_num == 1 and column in row:
            position = row.index(column)
        elif position < len(row) and row[position][:200] == value:
            return rows.line_num, separator.join(row)
    return None, None


def _json_line_with(text: io.TextIOWrapper, column: str, value: str) -> tuple[int | None, str | None]:
    for number, line in enumerate(text, 1):
        # What DuckDB writes of a value may differ from the file in blanks and escapes.
        if value in (line.strip()[:200], *_spelled(line, column)):
            return number, line.strip()
    return None, None


def _spelled(line: str, column: str) -> set[str]:
    """How a refusal may write what ``line`` holds in ``column``: the keys, where no column is meant."""
    found: set[str] = set()
    for number in (str, None):  # with the digits of the file, and as JSON writes them
        try:
            row = json.loads(line, parse_float=number, parse_int=number)
        except ValueError:
            return found
        if not isinstance(row, dict):
            return found
        held = row.get(column) if column else list(row)
        written = json.dumps(held, ensure_ascii=False, separators=(",", ":"))
        found |= {str(held)[:200], written[:200]} | (set() if column else set(row))
    return found


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].partition("Error: ")[2][:200] or text.strip()[:200]


def _unreadable(path: str | None, line: int | None, what: str, excerpt: str | None) -> DataError:
    shown = excerpt if excerpt is None or len(excerpt) <= _EXCERPT else excerpt[: _EXCERPT - 3] + "..."
    return DataError(
        "files.unreadable",
        what,
        where=Location(file=path, line=line, excerpt=shown),
        fix="mend the file, or set the stream's `columns`, `null_values` or `delimiter`",
    )


def _csv_line(text: str) -> DataError | None:
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if not line:
        return None
    original = re.search(r"Original Line: (.*)\n", text)
    told = re.search(r"^(?:Expected Number|Error when|Value with|Invalid unicode|Maximum line).*", text, re.MULTILINE)
    file = re.search(r"^\s*file = (.*)$", text, re.MULTILINE)
    what = told[0] if told else "the line is no CSV of this dialect"
    return _unreadable(file[1] if file else None, int(line[1]), what, original[1] if original else None)


def _json_line(text: str) -> DataError | None:
    said = re.search(r'JSON (?:transform error )?in file "(.+?)",.*?in line (\d+): (.*)', text)
    if not said:
        return None
    path, line, excerpt = said[1], int(said[2]), None
    try:
        with opened(path) as stream:
            # Where the text itself is broken DuckDB counts one line too far.
            for number, raw in enumerate(islice(stream, max(line - 2, 0), line), start=max(line - 1, 1)):
                excerpt = raw.decode("utf-8", errors="replace").strip()
                if not _is_json(excerpt):
                    line = number
                    break
    except OSError:
        excerpt = None
    return _unreadable(path, line, said[3].strip(), excerpt)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return not text
    return True
