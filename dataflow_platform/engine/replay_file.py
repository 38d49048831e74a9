"""Rows of quarantine in a file: written for a person to correct, and read back."""

from pathlib import Path

import duckdb

from dataflow_platform.core.base import Session
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import literal

FORMATS = {".jsonl": "JSON lines", ".csv": "CSV", ".parquet": "Parquet"}
_WRITE = {
    ".jsonl": "FORMAT json",
    ".csv": "FORMAT csv, HEADER",
    ".parquet": "FORMAT parquet",
}


def write(session: Session, rows: str, path: Path) -> int:
    """Write the rows of an engine query; how many. The suffix says how: .jsonl, .csv or .parquet."""
    known = _known(path)
    try:
        return int(session.in_engine(f"COPY ({rows}) TO {literal(str(path))} ({_WRITE[known]})")[0][0])
    except duckdb.IOException as error:
        raise ConfigError(
            "quarantine.file", str(error).splitlines()[0], where=str(path), fix="write to a folder you may write to"
        ) from error


def corrected(session: Session, rows: str, path: Path) -> str:
    """A SELECT of those of ``rows`` that the file has, with the ``source_values`` the file says.

    ``changed`` is true where these are others than were kept.
    """
    known = _known(path)
    if not path.is_file():
        raise ConfigError("quarantine.file", f"there is no file {path}", fix="dataflow quarantine export writes one")
    file = literal(str(path))
    if known == ".jsonl":
        columns = "{quarantine_id: 'VARCHAR', source_values: 'JSON'}"
        read = f"read_json({file}, format = 'newline_delimited', columns = {columns})"
    elif known == ".csv":
        read = f"read_csv({file}, header = true, all_varchar = true, nullstr = '', strict_mode = true)"
    else:
        read = f"read_parquet({file})"
    try:
        session.in_engine(
            "CREATE TEMP TABLE _dataflow_corrected AS SELECT CAST(quarantine_id AS VARCHAR) AS quarantine_id, "
            f"CAST(CAST(source_values AS JSON) AS VARCHAR) AS source_values FROM {read}"
        )
        twice = session.in_engine(
            "SELECT quarantine_id FROM _dataflow_corrected GROUP BY 1 HAVING count(*) > 1 OR quarantine_id IS NULL"
        )
    except duckdb.Error as error:
        raise ConfigError(
            "quarantine.file",
            f"the file cannot be read: {str(error).splitlines()[0]}",
            where=str(path),
            fix="keep the columns quarantine_id and source_values as `dataflow quarantine export` wrote them",
        ) from error
    if twice:
        raise ConfigError(
            "quarantine.file", f"row '{twice[0][0]}' stands in the file twice", where=str(path), fix="keep one of them"
        )
    return (
        "SELECT open.* REPLACE (file.source_values AS source_values), "
        f"json(file.source_values) <> json(open.source_values) AS changed FROM ({rows}) AS open "
        "JOIN _dataflow_corrected AS file USING (quarantine_id)"
    )


def _known(path: Path) -> str:
    if path.suffix not in FORMATS:
        raise ConfigError(
            "quarantine.file",
            f"'{path.name}' does not say a format",
            where=str(path),
            fix=f"end it with {', '.join(FORMATS)}",
        )
    return path.suffix
