"""A plan of what to read as a lazy relation."""

from dataclasses import replace

import duckdb

from dataflow_platform.connectors.rest import batches, overflow
from dataflow_platform.connectors.rest.client import place
from dataflow_platform.connectors.rest.reading import Plan
from dataflow_platform.connectors.rest.stream import PAGE, PageStream, Prefetch
from dataflow_platform.connectors.rest.walk import Page
from dataflow_platform.core.base import Scan
from dataflow_platform.core.errors import DataflowError

_SAMPLE_ROWS = 1000
_SAMPLE_PAGES = 10


def scan(connection: duckdb.DuckDBPyConnection, plan: Plan, cursor: str | None) -> Scan:
    """The endpoint's rows, read page by page while DuckDB runs the relation.

    DuckDB has to know the columns first. Where they are not all declared (``infer``), the first
    pages are read here, up to 1,000 rows or 10 pages; they are kept and not asked for again.
    ``rows_read`` of the scan raises the DataflowError that ended the reading, if one did: DuckDB
    itself hands on no more than its text.
    """
    endpoint = plan.endpoint
    # Fractions of a column declared DECIMAL must not pass through a double.
    plan = replace(plan, exact=any(kind.startswith("DECIMAL") for kind in endpoint.columns.values()))

    def start() -> Prefetch:
        return Prefetch(plan.pages())

    sampled, pages = (None, []) if not endpoint.infer else _sample(start())
    try:
        rows = [row for page in pages for row in page.rows]
        where = place(plan.access.address(endpoint.path), 1, endpoint.verb)
        remembered = dict(plan.state.position.get("columns", {}))
        declared = {**endpoint.columns, **({endpoint.overflow: "JSON"} if endpoint.overflow else {})}
        if endpoint.overflow:
            rows = overflow.tolerant(rows, declared, remembered)
        fields = batches.settle(rows, declared, remembered, endpoint.infer, where)
    except DataflowError:
        if sampled:
            sampled.close()
        raise
    rows_of = PageStream(start, fields, sampled, pages, endpoint.overflow)
    located = connection.from_arrow(rows_of)
    # Remembered, so that a run without rows has columns and a type does not change from run to run. What the
    # reading itself leaves there (a token, the cursors of parents) is put in while it goes on.
    plan.left["columns"] = {field.name: field.kind for field in fields if not field.declared}
    for name in ("delta", "parents"):
        if name in plan.state.position:
            plan.left.setdefault(name, plan.state.position[name])
    return Scan(
        relation=located.select(*(duckdb.ColumnExpression(field.name) for field in fields)),
        located=located,
        places={PAGE: "page"},
        position=plan.left,
        rows_read=rows_of.rows_read,
        bytes_read=lambda: rows_of.bytes,
        close=rows_of.close,
    )


def _sample(walk: Prefetch) -> tuple[Prefetch, list[Page]]:
    """The first pages, enough of them to tell the columns' types; the walk goes on after them."""
    pages: list[Page] = []
    try:
        while len(pages) < _SAMPLE_PAGES and sum(len(page.rows) for page in pages) < _SAMPLE_ROWS:
            page = walk.take()
            if page is None:
                break
            pages.append(page)
    except BaseException:
        walk.close()
        raise
    return walk, pages
