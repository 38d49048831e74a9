"""docs/types.md, made of what a run of the matrix saw."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.types.case import Case
from tests.types.matrix import Cell

PAGE = Path(__file__).parents[2] / "docs" / "types.md"
Results = Mapping[str, Mapping[str, Sequence[tuple[Case, Cell]]]]
"""Source -> destination -> the outcome of each case."""

_HEAD = """# What becomes of a value

Written by `make types` from a run of `tests/types/test_matrix.py`, which fails where this page says something else.
Each type goes from a real source into a real destination, twice: once into a new table, once added to it. It is read
back by the destination's own driver and compared with the original, floats to the bit. There are three outcomes:

- **exact**: the same value in the same type.
- **widened**: the same value in the type named here, because the destination has no such type.
- **refused**: nothing is loaded, and the error says these words.

A value that changes without a word is a failing test.

{count} types and spellings, {cells} cells. A Delta table is read back by the library deltalake and by DuckDB's delta
extension, which have to agree; a Parquet dataset by pyarrow. The PostgreSQL of the tests is built without the
extension `hstore` and without libxml: its `hstore` is a base type of that name, its `xml` was stored unparsed.

## Rules for files

- **CSV** has no types. The first {sample:,} rows propose one; each later text must be exactly a value of it, or the
  load fails and names file, line and column. What no type holds exactly is text: `007`, `+1`, `0x1F`, `t`, `10:00`,
  `01/02/2020` (which is the month?), fractions with more digits than a double keeps.
- An empty CSV field without quotes is NULL; `""` is an empty text (NULL in a column of another type).
- **JSON** numbers keep the digits of the file. One with a fraction is a DOUBLE where a double holds it exactly; a
  column with a longer one is text, and `columns: {{price: "DECIMAL(20,2)"}}` makes a number of it. Objects, lists and
  columns that mix texts with numbers stay JSON. A key the first rows did not have, or one twice in a line, is refused.
- Blanks round a column's name in the first line of a CSV file do not count. Two names that differ only in case are
  refused.
- Dates and times are read in ISO 8601 only. One with an offset becomes the instant it means, in UTC.
- A type declared under `columns` refuses what it would have to round.
- **Parquet**: decimals beyond 38 digits are refused; so are nanoseconds of times and of timestamps with zone.

## SQLite

A SQLite column holds any value. One that declares a whole number, a text, a REAL, bytes, a DATE or a DATETIME is read
as that, and the load is refused where SQLite finds another kind of value in it; `as_text` reads such a column as text.
DECIMAL and NUMERIC are the doubles SQLite makes of them. A column without a type is text.

## PostgreSQL as destination

`jsonb` keeps what a document says: order of keys, blanks and the sign of a negative zero are its own. A key that
comes twice is refused.

## Delta and Parquet dataset as destination

An infinite date or timestamp, inside of a list too, and the time 24:00 in a Parquet dataset are refused: DuckDB alone
would find them again. A column the table is partitioned by holds days of the years 1 to 9999, no text with NUL, not
the text `__HIVE_DEFAULT_PARTITION__`, and in Delta no empty text. deltalake's own dataset (1.6) finds no row by a
filter on a column in a file without bounds of it: one with NaN or an infinite number, or a day before year 1.
"""


def rendered(results: Results, kept: Mapping[str, Sequence[Case]]) -> str:
    """The page for ``results``. Of ``kept``, which origins may be missing there, the section stays as it is."""
    from dataflow_platform.connectors.files.exact import SAMPLE

    arrivals = list(next(iter(results.values())))
    cases = {name: [case for case, _ in next(iter(found.values()))] for name, found in results.items()}
    count = sum(map(len, {**kept, **cases}.values()))
    parts = [_HEAD.format(count=count, cells=count * len(arrivals), sample=SAMPLE)]
    parts += [_section(origin, found) for origin, found in results.items()]
    parts += [_kept(origin) for origin in kept if origin not in results]
    return "".join(parts)


def _section(origin: str, arrivals: Mapping[str, Sequence[tuple[Case, Cell]]]) -> str:
    lines = [f"\n{_title(origin)}\n\n| type | {' | '.join(arrivals)} |\n|---|{'---|' * len(arrivals)}\n"]
    for row in zip(*arrivals.values(), strict=True):
        shown = [_code(row[0][0].label), *(_shown(cell) for _, cell in row)]
        lines.append(f"| {' | '.join(shown)} |\n")
    return "".join(lines)


def _title(origin: str) -> str:
    return f"## From {origin}"


def _kept(origin: str) -> str:
    """The section as the committed page has it; '' where it has none."""
    found = re.search(rf"\n{_title(origin)}\n.*?(?=\n## |\Z)", PAGE.read_text(encoding="utf-8"), flags=re.S)
    return found[0] if found else ""


def _shown(cell: Cell) -> str:
    if cell.outcome == "exact":
        return "exact"
    return f"widened: {_code(cell.words)}" if cell.outcome == "widened" else f"refused: {_words(cell.words)}"


def _words(text: str) -> str:
    """The first line of an error, without what differs from run to run, safe in a table."""
    line = (
        re.sub(r"(?<![\w/])/\S+/", "", text.splitlines()[0])
        .replace("|", "\\|")
        .replace("<", "&lt;")
        .replace("*", "\\*")
    )
    return line if len(line) <= 130 else line[:127].rstrip() + "..."


def _code(text: str) -> str:
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"
