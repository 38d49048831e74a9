"""The SQL that reads files: everything is said, only types are guessed."""

import re
from collections.abc import Callable, Sequence

from dataflow_platform.connectors.files.listing import PACKED, File, format_of, suffix
from dataflow_platform.connectors.files.stream import FilesStream, Format
from dataflow_platform.core.errors import ConfigError, Location, unknown_name
from dataflow_platform.core.sql import data_type, literal, quote

_NOT_UNPACKED = frozenset({"bz2", "xz", "zip", "7z", "lz4", "br", "tar", "tgz", "rar"})

Describe = Callable[[str], dict[str, str]]
"""Column -> type of a query, without running it."""


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


def select_from(files: Sequence[File], options: FilesStream, folder_length: int, describe: Describe) -> str:
    """A SELECT over ``files`` with declared types and the file's name applied.

    ``folder_length`` is how many characters of a path lie before the part below the root.
    """
    kind = common_format(files, options)
    types = {name: data_type(written) for name, written in options.columns.items()}
    said = f"{paths(files)}, union_by_name = true, hive_partitioning = false"
    named = f", filename = {literal(options.filename_column)}" if options.filename_column else ""
    changed: dict[str, str] = {}
    if kind == "csv":
        rows = f"read_csv({said}, {csv_options(files, options, types)}{named})"
    elif kind == "jsonl":
        # A key that no line has is a column without values; `columns` of read_json takes all or none.
        seen = describe(f"SELECT * FROM read_json({said}, {json_options()})") if types else {}
        columns = f", columns = {_struct({**seen, **types})}" if types else ""
        rows = f"read_json({said}, {json_options()}{columns}{named})"
    else:
        rows = f"read_parquet({said}{named})"
        seen = describe(f"SELECT * FROM {rows}") if types else {}
        for name, written in types.items():
            if name not in seen:
                raise unknown_name("column", name, seen, "check `columns`")
            changed[name] = f"CAST({quote(name)} AS {written})"
    if options.filename_column:
        changed[options.filename_column] = f"substr({quote(options.filename_column)}, {folder_length + 1})"
    replaced = ", ".join(f"{expression} AS {quote(name)}" for name, expression in changed.items())
    return f"SELECT *{f' REPLACE ({replaced})' if replaced else ''} FROM {rows}"


def no_rows(options: FilesStream) -> str:
    """A SELECT with the declared columns, for a pattern nothing has matched yet."""
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


def csv_options(files: Sequence[File], options: FilesStream, types: dict[str, str]) -> str:
    """The dialect, said in full: where DuckDB may guess it, it leaves out lines that do not fit."""
    nulls = ", ".join(literal(value) for value in dict.fromkeys((*options.null_values, "")))
    said = (
        f"delim = {literal(delimiter(files, options))}, quote = '\"', escape = '\"', comment = '', skip = 0, "
        f"strict_mode = true, header = {literal(options.header)}, nullstr = [{nulls}]"
    )
    if types:
        said += f", types = {_struct(types)}"
    if options.columns and not options.header:
        said += f", names = [{', '.join(literal(name) for name in options.columns)}]"
    return said


def json_options() -> str:
    """One object a line."""
    return "format = 'newline_delimited', records = true"


def _struct(values: dict[str, str]) -> str:
    return "{" + ", ".join(f"{literal(name)}: {literal(value)}" for name, value in values.items()) + "}"
