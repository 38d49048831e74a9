"""A table in disjoint ranges of pages, each for a connection of its own."""

_AT_LEAST = 1_000
"""Pages (of 8 kB) a connection is worth; DuckDB's scanner takes as many at a time."""
_AT_MOST = 8
"""Connections one table is read by, however many threads the engine has."""


def page_ranges(pages: int, threads: int) -> list[str]:
    """Conditions of which each row meets exactly one; a single empty one where one query is right."""
    count = min(threads, pages // _AT_LEAST, _AT_MOST)
    if count < 2:
        return [""]
    # The outer ends are open: pages the table has got meanwhile hold rows of the snapshot, too.
    edges = [pages * part // count for part in range(1, count)]
    begins = ["", *(f"ctid >= '({edge},0)'" for edge in edges)]
    ends = [*(f"ctid < '({edge},0)'" for edge in edges), ""]
    return [" AND ".join(filter(None, pair)) for pair in zip(begins, ends, strict=True)]
