"""The SQL that reads files: everything is said, only types are guessed."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from dataflow_platform.connectors.files import exact, json_lines, parquet_files
from dataflow_platform.connectors.files.alike import refuse_alike
from dataflow_platform.connectors.files.listing import PACKED, File, format_of, opened, suffix
from dataflow_platform.connectors.files.stream import FilesStream, Format
from dataflow_platform.core.errors import ConfigError, Location, unknown_name
from dataflow_platform.core.sql import literal, quote

_FILE = json_lines.FILE
_NUMBER = "file_row_number"  # what DuckDB calls the row's number in a Parquet file, from 0
FILE, ROW = "_dataflow_file", "_dataflow_row"
PLACES = {FILE: "file", ROW: "row"}
"""Columns that say where a row stood, and their words."""
_UNITED = "union_by_name = true, hive_partitioning = false"
_NOT_UNPACKED = frozenset({"bz2", "xz", "zip", "7z", "lz4", "br", "tar", "tgz", "rar"})

Ask = Callable[[str], list[tuple[Any, ...]]]
"""The rows of a query whose answer is small."""


def common_format(files: Sequence[File], options: FilesStream) -> Format:
    """The one format of ``files``; ConfigError where names tell none or several, or DuckDB cannot unpack one."""
    for file in files:
        packing = suffix(file.name)
        told = options.format or format_of(file.name)
        if packing in _NOT_UNPACKED or (packing in PACKED and told == "parquet"):
            raise ConfigError(
                "files.compression",
                f"cannot read {packing} around '{file.name}'",
                where=Location(file=file.path),
                fix="use plain, gzip (.gz) or zstd (.zst) files; Parquet compresses inside the file",
            )
    formats = {options.format or format_of(file.name) for file in files}
    found = formats.pop()
    if found is None or formats:
        raise ConfigError(
            "files.format",
            f"the names matching '{options.path}' do not tell one format, as '{files[0].name}'",
            where="format",
            fix="set `format` to csv, jsonl or parquet, or make `path` narrower",
        )
    return found


def select_from(files: Sequence[File], options: FilesStream, folder_length: int, ask: Ask) -> str:
    """A SELECT over ``files``, exact or failing, with declared types and the file's name applied.

    Behind the columns stand those of ``PLACES`` that are known: a Parquet file numbers its rows, text files are read
    by several threads that do not count lines (see ``lines``).

    ``folder_length`` is how many characters of a path lie before the part below the root.
    """
    kind = common_format(files, options)
    types = declared_types(options, ask)
    if kind == "csv":
        rows, columns = _csv(files, options, types, ask)
    elif kind == "jsonl":
        rows, columns = json_lines.rows(paths(files), types, ask)
    else:
        rows, columns = _parquet(files, types, ask)
    file = f"substr({quote(_FILE)}, {folder_length + 1})"
    if options.filename_column:
        columns = {**columns, options.filename_column: file}
    columns = {**columns, FILE: file}
    if kind == "parquet" and _NUMBER not in columns:
        columns[ROW] = f"{_NUMBER} + 1"
    return f"SELECT {', '.join(exact.named(made, name) for name, made in columns.items())} FROM {rows}"


def declared_types(options: FilesStream, ask: Ask) -> dict[str, str]:
    """The declared types in DuckDB's own words: INTEGER for int, TIMESTAMP WITH TIME ZONE for timestamptz."""
    if not options.columns:
        return {}
    from dataflow_platform.core.expression import data_type

    typed = [f"CAST(NULL AS {data_type(kind)}) AS {quote(name)}" for name, kind in options.columns.items()]
    described = ask(f"DESCRIBE SELECT {', '.join(typed)}")
    return dict(zip(options.columns, (str(row[1]) for row in described), strict=True))


def _csv(files: Sequence[File], options: FilesStream, types: dict[str, str], ask: Ask) -> tuple[str, dict[str, str]]:
    """The rows as texts, and SQL that makes each column's values of them."""
    reader = f"read_csv({paths(files)}, {_UNITED}, {csv_options(files, options)}"
    # One form of dates for the guess: others are taken for what nobody told us.
    guess = ask(f"DESCRIBE SELECT * FROM {reader}, dateformat = '%Y-%m-%d')")
    guessed = {str(name): str(kind) for name, kind, *_ in guess}
    for file in files if options.header else ():
        refuse_alike(header(file, options), file.path)
    for name in types:
        if name not in guessed:
            raise unknown_name("column", name, guessed, "check `columns`")
    rows = f"{reader}, all_varchar = true, allow_quoted_nulls = false, filename = {literal(_FILE)})"
    texts = {name: quote(name) for name in guessed}
    open_types = {name: kind for name, kind in guessed.items() if name not in types}
    found = types | types_of(rows, {name: f"nullif({texts[name]}, '')" for name in open_types}, open_types, ask)
    columns = {}
    separator = delimiter(files, options)
    for number, (name, text) in enumerate(texts.items()):
        # An empty field in quotes is a text; where the column holds none it is as good as nothing.
        value = text if found[name] == "VARCHAR" else f"nullif({text}, '')"
        columns[name] = exact.typed(found[name], value, name, quote(_FILE), name in types, f"{number}:{separator}")
    return rows, columns


def types_of(rows: str, texts: dict[str, str], guessed: dict[str, str], ask: Ask) -> dict[str, str]:
    """The type of each column of ``texts`` (SQL over ``rows``) that its first values fit exactly."""
    tried, asked = exact.probe(texts, guessed)
    answers = ask(f"SELECT {tried} FROM (SELECT * FROM {rows} LIMIT {exact.SAMPLE})")[0] if asked else ()
    return exact.chosen(answers, asked, list(texts))


def _parquet(files: Sequence[File], types: dict[str, str], ask: Ask) -> tuple[str, dict[str, str]]:
    rows = f"read_parquet({paths(files)}, {_UNITED}, filename = {literal(_FILE)})"
    seen = {str(name): str(kind) for name, kind, *_ in ask(f"DESCRIBE SELECT * FROM {rows}") if name != _FILE}
    parquet_files.refuse_inexact(paths(files), ask)
    for name in types:
        if name not in seen:
            raise unknown_name("column", name, seen, "check `columns`")
    changed = {name: _changed(name, seen[name], kind) for name, kind in types.items()}
    return rows, {name: changed.get(name, quote(name)) for name in seen}


def _changed(name: str, there: str, kind: str) -> str:
    """SQL: a typed column as another type that holds the very same value."""
    value, made = quote(name), f"CAST({quote(name)} AS {kind})"
    refused = exact.refusal(quote(_FILE), name, kind, f"CAST({value} AS VARCHAR)")
    return f"CASE WHEN CAST({made} AS {there}) IS DISTINCT FROM {value} THEN {refused} ELSE {made} END"


def no_rows(options: FilesStream) -> str:
    """A SELECT with the declared columns, for a pattern nothing has matched yet."""
    from dataflow_platform.core.expression import data_type

    typed = [f"CAST(NULL AS {data_type(kind)}) AS {quote(name)}" for name, kind in options.columns.items()]
    if options.filename_column:
        typed.append(f"CAST(NULL AS VARCHAR) AS {quote(options.filename_column)}")
    return f"SELECT {', '.join(typed)}"


def paths(files: Sequence[File]) -> str:
    """A SQL list of paths. DuckDB reads ``*``, ``?`` and ``[`` in them as patterns: they are escaped."""
    return "[" + ", ".join(literal(re.sub(r"([*?\[])", r"[\1]", file.path)) for file in files) + "]"


def delimiter(files: Sequence[File], options: FilesStream) -> str:
    """What separates the fields of these CSV files."""
    tabs = all(re.search(r"\.tsv(\.|$)", file.name.lower()) for file in files)
    return options.delimiter or ("\t" if tabs else ",")


def header(file: File, options: FilesStream) -> list[str]:
    """The fields of the first line of a CSV file."""
    with (
        opened(file.path) as stream,
        io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="") as text,
    ):
        return next(csv.reader(text, delimiter=delimiter([file], options)), [""])


def csv_options(files: Sequence[File], options: FilesStream) -> str:
    """The dialect, said in full: where DuckDB may guess it, it leaves out lines that do not fit."""
    nulls = ", ".join(literal(value) for value in dict.fromkeys((*options.null_values, "")))
    said = (
        f"delim = {literal(delimiter(files, options))}, quote = '\"', escape = '\"', comment = '', skip = 0, "
        f"strict_mode = true, header = {literal(options.header)}, nullstr = [{nulls}]"
    )
    if options.columns and not options.header:
        said += f", names = [{', '.join(literal(name) for name in options.columns)}]"
    return said
