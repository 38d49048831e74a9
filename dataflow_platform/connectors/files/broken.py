"""What DuckDB says of a file it cannot read, as an error with file, line and the words found there."""

import csv
import io
import json
import re
from collections.abc import Sequence
from itertools import islice

import duckdb

from dataflow_platform.connectors.files.listing import File, not_permitted, opened, vanished
from dataflow_platform.connectors.files.reading import csv_options, delimiter, json_options, paths
from dataflow_platform.connectors.files.stream import FilesStream, Format
from dataflow_platform.core.errors import DataError, DataflowError, Location, unknown_name

_EXCERPT = 80


def meaning(text: str, path: str | None = None) -> DataflowError | None:
    """The error behind DuckDB's ``text``, about ``path`` where the text names no file; None where nobody knows."""
    named = re.search(r"""(?:[Ff]ile|pattern) ["'](.+?)["']""", text)
    path = named[1] if named else path
    if re.search(r"No files found that match|No such file or directory", text):
        return vanished(path)
    if "Permission denied" in text:
        return not_permitted(path)
    if re.search(r"not a GZIP stream|No magic bytes|too small to be a Parquet|Parquet file|expected records", text):
        packed = re.search(r"GZIP stream: (.+)", text)
        return _unreadable(packed[1] if packed else path, None, _first_line(text), None)
    return _csv_line(text) or _json_line(text)


def first_broken(files: Sequence[File], options: FilesStream, kind: Format) -> DataflowError | None:
    """The first of ``files`` that cannot be read by itself and why, found in an engine of its own."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")  # so that the first broken line is the one that is told
        for file in files:
            if kind == "csv":
                columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(_width(file, options)))
                plain = csv_options([file], options.model_copy(update={"columns": {}}), {})
                rows = f"read_csv({paths([file])}, {plain}, auto_detect = false, columns = {{{columns}}})"
            elif kind == "jsonl":
                rows = f"read_json({paths([file])}, {json_options()}, sample_size = -1)"
            else:
                rows = f"read_parquet({paths([file])})"
            try:
                connection.execute(f"SELECT max(COLUMNS(*)::VARCHAR) FROM {rows}")
            except duckdb.Error as error:
                text = str(error)
                return meaning(text, file.path) or _unreadable(file.path, None, _first_line(text), None)
    return None


def unknown_csv_column(text: str, files: Sequence[File], options: FilesStream) -> DataflowError | None:
    """The error for a name under ``columns`` that no CSV file has."""
    said = re.search(r'COLUMN_TYPES error.*?names: "([^"]*)"', text)
    if not said:
        return None
    with duckdb.connect() as connection:
        names = connection.sql(f"SELECT * FROM read_csv({paths(files[:1])}, {csv_options(files, options, {})})").columns
    return unknown_name("column", said[1], names, "check `columns`")


def _width(file: File, options: FilesStream) -> int:
    """How many fields the first line has."""
    with opened(file.path) as stream, io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="") as text:
        return len(next(csv.reader(text, delimiter=delimiter([file], options)), [""]))


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
