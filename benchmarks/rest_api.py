"""An API's rows into DuckDB, beside dlt: ``python -m benchmarks.rest_api --rounds 3`` (dlt must be importable)."""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROWS, CHILDREN, LATENCY, AT_ONCE = 100_000, 2_000, 0.05, 50


def _record(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"Customer {number} of the benchmark",
        "email": f"customer.{number}@example.com",
        "amount": number * 1.25,
        "paid": number % 3 == 0,
        "created_at": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:00:00Z",
        "country": ("DE", "FR", "PL", "ES")[number % 4],
        "visits": number % 977,
        "note": None if number % 5 else "a note of some length, as people write them",
        "balance": -number * 3,
    }


def serve(port: int) -> None:
    """The API: pages by a cursor, made ahead so that it costs little; and children that take their time."""
    from aiohttp import web

    pages: dict[int, list[bytes]] = {}
    for size in (100, 1000):
        texts = [json.dumps([_record(n) for n in range(begin, begin + size)]) for begin in range(0, ROWS, size)]
        pages[size] = [
            f'{{"data": {text}, "next": {json.dumps(str(number + 1) if number + 1 < len(texts) else None)}}}'.encode()
            for number, text in enumerate(texts)
        ]

    async def rows(request: web.Request) -> web.Response:
        body = pages[int(request.query["limit"])][int(request.query.get("cursor", 0))]
        return web.Response(body=body, content_type="application/json")

    async def parents(request: web.Request) -> web.Response:
        return web.json_response([{"id": number} for number in range(CHILDREN)])

    async def child(request: web.Request) -> web.Response:
        await asyncio.sleep(LATENCY)
        return web.json_response([{"value": request.match_info["id"]}])

    application = web.Application()
    application.router.add_get("/rows", rows)
    application.router.add_get("/parents", parents)
    application.router.add_get("/parents/{id}/children", child)
    web.run_app(application, host="127.0.0.1", port=port, print=lambda *words: None, access_log=None)


def _loaded(url: str, folder: str, options: dict[str, Any], rate: dict[str, Any] | None = None) -> None:
    from dataflow_platform.connectors.duckdb import DuckDB
    from dataflow_platform.connectors.rest import Rest
    from dataflow_platform.core import registry
    from dataflow_platform.core.base import Stream, Table
    from dataflow_platform.engine.load import publish
    from dataflow_platform.engine.stage import stage
    from dataflow_platform.engine.stream_load import StreamLoad

    stream = Stream("rows", Rest.StreamOptions.model_validate(options))
    rest, warehouse = Rest(base_url=url, rate=rate or {}), DuckDB(path=f"{folder}/ours.duckdb")
    replace = registry.load_strategy("replace")()
    publish(stage(StreamLoad("bench", stream, rest, warehouse, Table("bench", "rows"), replace, "replace",
                             str(uuid.uuid4()))))  # fmt: skip


def _paged(size: int) -> dict[str, Any]:
    paging = {"type": "next_cursor", "body_path": "next", "param": "cursor"}
    return {"path": "rows", "params": {"limit": size}, "records": "data", "paging": paging}


def ours_100(url: str, folder: str) -> None:
    """The engine: read, staged, reconciled, published."""
    _loaded(url, folder, _paged(100))


def ours_1000(url: str, folder: str) -> None:
    """The same with 1,000 rows a page."""
    _loaded(url, folder, _paged(1000))


def children(url: str, folder: str) -> None:
    """A request for each of 2,000 parents."""
    parent = {"endpoint": "parents", "values": {"id": "id"}, "columns": {"parent": "id"}, "concurrency": AT_ONCE}
    _loaded(url, folder, {"path": "parents/{id}/children", "parent": parent}, {"concurrency": AT_ONCE})


def _dlt(url: str, folder: str, size: int, file_format: str) -> None:
    import dlt
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

    paginator = JSONResponseCursorPaginator(cursor_path="next", cursor_param="cursor")
    client = RESTClient(base_url=url, paginator=paginator)

    @dlt.resource(name="rows")  # type: ignore[untyped-decorator]
    def rows() -> Any:
        yield from client.paginate("/rows", params={"limit": size}, data_selector="data")

    warehouse = dlt.destinations.duckdb(f"{folder}/dlt.duckdb")
    pipeline = dlt.pipeline("bench", destination=warehouse, dataset_name="bench", pipelines_dir=folder)
    pipeline.run(rows(), write_disposition="replace", loader_file_format=file_format)


def dlt_100_parquet(url: str, folder: str) -> None:
    """dlt's REST client, Parquet files."""
    _dlt(url, folder, 100, "parquet")


def dlt_1000_parquet(url: str, folder: str) -> None:
    """The same with 1,000 rows a page."""
    _dlt(url, folder, 1000, "parquet")


def dlt_1000_insert(url: str, folder: str) -> None:
    """dlt's default for DuckDB."""
    _dlt(url, folder, 1000, "insert_values")


WAYS: dict[str, Callable[[str, str], None]] = {
    way.__name__: way for way in (ours_100, dlt_100_parquet, ours_1000, dlt_1000_parquet, dlt_1000_insert, children)
}


def _imported(way: str) -> None:
    if way.startswith("dlt"):
        import pyarrow.parquet
    else:
        import aiohttp  # noqa: F401
        import pyarrow  # noqa: F401  # type: ignore[import-untyped,unused-ignore]

        import dataflow_platform.connectors.duckdb
        import dataflow_platform.connectors.rest
        import dataflow_platform.engine.load
        import dataflow_platform.engine.stage  # noqa: F401


def _memory() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def one(way: str, url: str, folder: str) -> None:
    """One way, in this process; prints seconds, CPU seconds, and peak memory above that after the imports, in MB."""
    _imported(way)
    before, cpu, wall = _memory(), time.process_time(), time.perf_counter()
    WAYS[way](url, folder)
    took = time.perf_counter() - wall, time.process_time() - cpu
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps([*took, peak - before]))


def run(rounds: int, ways: Sequence[str]) -> str:
    """Measure the ways in turn; a Markdown table of medians."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.rest_api", "--serve", str(port)])
    found: dict[str, list[list[float]]] = {way: [] for way in ways}
    try:
        time.sleep(4)
        for _ in range(rounds):
            for way in ways:
                with tempfile.TemporaryDirectory(prefix="dataflow-bench-") as folder:
                    words = [sys.executable, "-m", "benchmarks.rest_api", "--way", way, "--folder", folder,
                             "--url", f"http://127.0.0.1:{port}"]  # fmt: skip
                    done = subprocess.run(words, capture_output=True, text=True, check=True, env=dict(os.environ))
                    found[way].append(json.loads(done.stdout.splitlines()[-1]))
    finally:
        server.terminate()
        server.wait(10)
    lines = ["| way | wall s | CPU s | MB above the imports |", "|---|---|---|---|"]
    for way, runs in found.items():
        wall, cpu, memory = (statistics.median(each[i] for each in runs) for i in range(3))
        lines.append(f"| {way} | {wall:.2f} | {cpu:.2f} | {memory:.0f} |")
    limit = CHILDREN / AT_ONCE * LATENCY
    lines.append(f"\n{CHILDREN:,} children, {LATENCY * 1000:.0f} ms each, {AT_ONCE} at once: {limit:.1f} s at least.")
    return "\n".join(lines)


def main() -> None:
    """Serve, run one way, or measure all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=int)
    parser.add_argument("--way", choices=list(WAYS))
    parser.add_argument("--only", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--url", default="")
    parser.add_argument("--folder", default="")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    elif options.way:
        one(options.way, options.url, options.folder)
    else:
        print(run(options.rounds, options.only))


if __name__ == "__main__":
    main()
