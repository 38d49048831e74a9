"""The line of a bad row in its text file: found in a second look, and only where there is a bad row.

Several threads read a text file, and none of them counts. So the files that hold bad rows are read again in their
order, and the records with the values of a bad row are numbered. Of equal records the first bad row is the first.
"""

from collections.abc import Callable, Sequence

from dataflow_platform.core.base import Table
from dataflow_platform.core.sql import literal, qualified, quote
from dataflow_platform.engine import rejected, validate
from dataflow_platform.engine.extract import SOURCE_VIEW, Extraction
from dataflow_platform.engine.stream_load import StagedLoad

_BAD, _FOUND, _TOLD = (Table("temp", f"_dataflow_{name}") for name in ("bad", "found", "told"))
_FEW = 200  # so many files are picked out of those that were read; DuckDB skips the others


def tell(result: StagedLoad, extraction: Extraction) -> None:
    """Add to the position of each staged bad row its ``line``; its ``record`` where lines and records do not fit."""
    lines = extraction.scan.lines
    file = next((name for name, word in extraction.places.items() if word == "file"), None)
    if lines is None or file is None or result.staged is None or rejected.POSITION not in result.hidden:
        return
    session = result.session
    stage = qualified(result.staged.schema, result.staged.name)
    place, source = quote(rejected.POSITION), quote(rejected.SOURCE)
    session.in_engine(
        f"CREATE TEMP TABLE {quote(_BAD.name)} AS SELECT rowid AS id, {place} ->> '$.file' AS file, "
        f"{source} AS texts, row_number() OVER (PARTITION BY {place}, {source} ORDER BY rowid) AS nth "
        f"FROM {stage} WHERE {validate.is_bad(result.rules)}"
    )
    spans = _find(result, file)
    _ask(result, lines, spans)
    session.in_engine(
        f"UPDATE {stage} AS old SET {place} = CAST(json_merge_patch(CAST({place} AS JSON), new.place) AS VARCHAR) "
        "FROM (SELECT id, place FROM "
        f"(SELECT *, max(nth) OVER (PARTITION BY file, texts) AS last FROM {_FOUND.sql}) "
        # Where a step made several rows of one record there are more bad rows than records.
        f"AS found JOIN {_BAD.sql} AS bad ON bad.file = found.file AND bad.texts = found.texts "
        f"AND least(bad.nth, found.last) = found.nth JOIN {_TOLD.sql} AS told ON told.number = found.number) AS new "
        "WHERE old.rowid = new.id"
    )
    for table in (_BAD, _FOUND, _TOLD):
        session.in_engine(f"DROP TABLE {table.sql}")


def _find(result: StagedLoad, file: str) -> list[tuple[str, int, int]]:
    """Number the records of all files, keep those that look like a bad row; first and last number of each file."""
    session, named = result.session, quote(file)
    names = [name for (name,) in session.in_engine(f"SELECT DISTINCT file FROM {_BAD.sql} LIMIT {_FEW + 1}")]
    picked = "" if len(names) > _FEW else f" WHERE {named} IN ({', '.join(map(literal, names))})"
    # Without an order this window takes the rows as they come, on one thread: file by file, from the first to the last.
    records = f"(SELECT *, row_number() OVER () AS number FROM (FROM {SOURCE_VIEW}{picked}) AS rows)"
    spans = session.in_engine(
        f"SELECT {named}, min(number), max(number) FROM {records} AS records GROUP BY {named} "
        "HAVING max(number) - min(number) + 1 = count(*)"
    )
    texts = rejected.origin_texts(result, {name: name for name in result.source_types})
    session.in_engine(
        f"CREATE TEMP TABLE {quote(_FOUND.name)} AS SELECT *, row_number() OVER (PARTITION BY file, texts "
        f"ORDER BY number) AS nth FROM (SELECT {named} AS file, number, {texts} AS texts FROM {records} AS records) "
        f"AS looked_at SEMI JOIN {_BAD.sql} AS bad ON looked_at.file = bad.file AND looked_at.texts = bad.texts"
    )
    return [(str(name), int(first), int(last)) for name, first, last in spans]


def _ask(
    result: StagedLoad,
    lines: Callable[[str, Sequence[int], int], Sequence[int] | None],
    spans: list[tuple[str, int, int]],
) -> None:
    """Ask the source for the lines of the records found, file by file: ``_TOLD`` has the place of each number."""
    import pyarrow as pa

    session = result.session
    session.in_engine(f"CREATE TEMP TABLE {quote(_TOLD.name)} (number BIGINT, place JSON)")
    for name, first, last in spans:
        rows = session.in_engine(f"SELECT number FROM {_FOUND.sql} WHERE file = {literal(name)} ORDER BY number")
        if not rows:
            continue
        numbers = [int(number) for (number,) in rows]
        records = [number - first + 1 for number in numbers]
        told = lines(name, records, last - first + 1)
        if told is None:
            continue
        table = pa.table({"number": numbers, "value": list(told or records)})
        word = "line" if told else "record"
        session.connection.register("_dataflow_lines", table)
        session.in_engine(
            f"INSERT INTO {_TOLD.sql} SELECT number, json_object({literal(word)}, value) FROM _dataflow_lines"
        )
        session.connection.unregister("_dataflow_lines")
