"""How fast an API is asked: one budget for all streams of the process, and for all processes of the machine."""

import asyncio
import getpass
import json
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path

from dataflow_platform.connectors.rest.rate import Rate

_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_RESET = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset")
_GROWS_AFTER = 20
"""Answers without complaint before one more request is let under way."""


class Budget:
    """Who may ask when. Threads and event loops share one; ``file`` shares the pace with other processes."""

    def __init__(self, rate: Rate, file: Path | None) -> None:
        self._rate = rate
        self._file = file
        self._lock = threading.Lock()
        self._due = 0.0
        self._blocked_until = 0.0
        self._limit = rate.concurrency
        self._active = 0
        self._fine = 0
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    @property
    def concurrency(self) -> int:
        """Requests that may be under way at once right now."""
        return self._limit

    @asynccontextmanager
    async def turn(self, longest_wait: float) -> AsyncIterator[float | None]:
        """A place among the requests under way, once it is our turn.

        Yields None, or, without waiting, the seconds to wait where they are more than ``longest_wait``.
        """
        await self._enter()
        try:
            wait = self._reserve(longest_wait)
            if wait > longest_wait:
                yield wait
            else:
                if wait > 0:
                    await asyncio.sleep(wait)
                yield None
        finally:
            self._leave()

    async def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if self._active < self._limit:
                    self._active += 1
                    return
                place: asyncio.Future[None] = loop.create_future()
                self._waiting.append((loop, place))
            try:
                await place
            except asyncio.CancelledError:
                self._wake()
                raise

    def _leave(self) -> None:
        with self._lock:
            self._active -= 1
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            waiting = self._waiting.popleft() if self._waiting and self._active < self._limit else None
        if waiting:
            loop, place = waiting
            with suppress(RuntimeError):  # that loop is closed: its reader is gone
                loop.call_soon_threadsafe(_let_in, place)

    def _pace(self) -> tuple[float, float] | None:
        """Seconds between two requests, and how far requests may run ahead of that; None without a limit."""
        if self._rate.requests:
            # Never more than `requests` in any span of that length: what may come at once is taken off the rest.
            burst = max(1, self._rate.requests // 10)
            every = self._rate.per_seconds / (self._rate.requests - (burst if burst > 1 else 0))
            return every, (burst - 1) * every
        return (1 / self._rate.requests_per_second, 0.0) if self._rate.requests_per_second else None

    def _reserve(self, longest_wait: float) -> float:
        """Seconds until our turn, which is taken unless they are more than ``longest_wait``."""
        with self._lock:
            pace = self._pace()
            now = time.time()
            if pace is None:
                return max(0.0, self._blocked_until - now)
            if self._file is None:
                wait, self._due = _next(now, self._due, self._blocked_until, pace, longest_wait)
                return wait
            with _locked(self._file) as held:
                due, blocked = held.get("due", 0.0), max(held.get("blocked", 0.0), self._blocked_until)
                wait, held["due"] = _next(now, due, blocked, pace, longest_wait)
                held["blocked"] = blocked
            return wait

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """Take note of an answer: fewer at once after a refusal, more again later; wait where nothing is left."""
        with self._lock:
            if status in (429, 503):
                self._limit, self._fine = max(1, self._limit // 2), 0
            else:
                self._fine += 1
                if self._fine >= _GROWS_AFTER and self._limit < self._rate.concurrency:
                    self._limit, self._fine = self._limit + 1, 0
            remaining = _first(headers, (self._rate.remaining_header,) if self._rate.remaining_header else _REMAINING)
            reset = _first(headers, (self._rate.reset_header,) if self._rate.reset_header else _RESET)
            if remaining is not None and _is_zero(remaining) and reset is not None:
                wait = seconds_until(reset, self._rate.reset)
                if wait is not None:
                    self._blocked_until = max(self._blocked_until, time.time() + wait)

    def block(self, seconds: float) -> None:
        """Let nobody ask for so long: the API said so."""
        with self._lock:
            self._blocked_until = max(self._blocked_until, time.time() + seconds)


def _let_in(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_result(None)


def _next(now: float, due: float, blocked: float, pace: tuple[float, float], longest: float) -> tuple[float, float]:
    every, ahead = pace
    # A clock that was set back must not stop us for longer than one whole budget.
    due = min(due, now + 86_400)
    turn = max(now, due - ahead, blocked)
    wait = turn - now
    return (wait, due) if wait > longest else (wait, max(due, turn) + every)


class _locked:  # noqa: N801  # reads like a function where it is used
    """The numbers kept in ``file``, locked for the block and written back after it."""

    def __init__(self, file: Path) -> None:
        from filelock import FileLock

        self._file, self._lock = file, FileLock(f"{file}.lock")
        self._held: dict[str, float] = {}

    def __enter__(self) -> dict[str, float]:
        self._lock.acquire()
        with suppress(OSError, ValueError):
            self._held = {name: float(value) for name, value in json.loads(self._file.read_text()).items()}
        return self._held

    def __exit__(self, *error: object) -> None:
        try:
            self._file.write_text(json.dumps(self._held))
        finally:
            self._lock.release()


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((headers[name.lower()] for name in names if name.lower() in headers), None)


def _is_zero(text: str) -> bool:
    try:
        return float(text.split(",")[0]) <= 0
    except ValueError:
        return False


def seconds_until(text: str, kind: str = "auto", now: float | None = None) -> float | None:
    """Seconds until what a header names: so many seconds, a unix time (in seconds or ms), or a date; None if none."""
    now = time.time() if now is None else now
    try:
        number = float(text.split(",")[0].split(";")[0].strip())
    except ValueError:
        return _until_date(text.strip(), now)
    if kind == "seconds" or (kind == "auto" and number < 1e8):
        return max(0.0, number)
    return max(0.0, (number / 1000 if kind == "unix_ms" or number > 1e11 else number) - now)


def _until_date(text: str, now: float) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError):
            return max(0.0, parse(text).timestamp() - now)
    return None


_budgets: dict[str, Budget] = {}
_budgets_lock = threading.Lock()


def budget_of(host: str, credentials: tuple[str, ...], rate: Rate) -> Budget:
    """The process's one budget for these credentials at this host with this rate."""
    key = sha256("\0".join([host, *credentials, rate.model_dump_json()]).encode()).hexdigest()[:32]
    with _budgets_lock:
        if key not in _budgets:
            limited = rate.requests_per_second or rate.requests
            _budgets[key] = Budget(rate, _folder() / f"rate-{key}.json" if limited else None)
        return _budgets[key]


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"dataflow-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if (
        not os.access(folder, os.W_OK) or folder.is_symlink()
    ):  # somebody else made it first: this process keeps its pace alone
        folder = Path(tempfile.mkdtemp(prefix="dataflow-"))
    return folder
