"""One reading of a dlt resource, in a thread of its own: no more pages ahead than a few, and its state kept."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import Any

from dataflow_platform.connectors._protocol.reading import Conversation, Declared, Event, Reached
from dataflow_platform.connectors.dlt.items import Row, hinted, inferred, records
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError

_PAGE, _AHEAD, _SAMPLE = 1000, 4, 1000
_END = object()


class DltRun(Conversation):
    """The records of ``resource``; ``state`` is dlt's own, as the text the last load stored, or None."""

    bridge = "dlt"

    def __init__(
        self,
        make: Callable[[], Any],
        resource: str,
        state: str | None,
        known: Mapping[str, str],
        shown: Callable[[str], str],
    ) -> None:
        self.stream = resource
        self._make = make
        self._state = state
        self._known = known
        self._shown = shown
        self._pages: Queue[Any] = Queue(_AHEAD)
        self._closed = threading.Event()
        # What dlt keeps for a reading (its configuration, the state) hangs on the thread.
        self._thread = threading.Thread(target=self._read, name="dlt-reader", daemon=True)
        self._thread.start()

    def events(self) -> Iterator[Event]:
        """The columns, from hints and the first records; the records; and the state at the end."""
        sample: list[Row] = []
        hints: Mapping[str, str] = {}
        waiting = True
        while True:
            page = self._next()
            if isinstance(page, Mapping):
                hints = page
            elif isinstance(page, list):
                sample += page
            if waiting and (len(sample) >= _SAMPLE or isinstance(page, Reached)):
                waiting = False
                yield Declared({}, inferred(sample, {**self._known, **hints}, self.stream))
            if not waiting:
                yield from sample
                sample = []
            if isinstance(page, Reached):
                yield page
                return

    def close(self) -> None:
        """Let the thread end; safe to call twice. A resource that hangs is left behind: it can't be ended."""
        self._closed.set()
        with suppress(Empty):
            while True:
                self._pages.get_nowait()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _next(self) -> Any:
        while True:
            try:
                page = self._pages.get(timeout=0.5)
                break
            except Empty:
                if self._closed.is_set():
                    raise TransientError(
                        "dlt.closed", "the scan was closed while it was read", fix="run the load again"
                    ) from None
        if isinstance(page, Exception):
            raise page
        return page

    def _put(self, page: Any) -> bool:
        """False once nobody takes pages any more."""
        while not self._closed.is_set():
            with suppress(Full):
                self._pages.put(page, timeout=0.5)
                return True
        return False

    def _read(self) -> None:
        try:
            self._walk()
        except DataflowError as error:
            self._put(error)
        except Exception as error:  # noqa: BLE001  # whatever a resource raises is told by the reader's thread
            self._put(_told(error, self.stream, self._shown))

    def _walk(self) -> None:
        from dlt.common.configuration.container import Container
        from dlt.common.json import json
        from dlt.common.pipeline import StateInjectableContext

        state: Any = json.typed_loads(self._state) if self._state else {}
        with Container().injectable_context(StateInjectableContext(state=state)):
            source = self._make()
            chosen = source.resources[self.stream]
            # Hints that hang on the item have no columns to tell beforehand.
            with suppress(Exception):
                self._put(hinted(chosen.compute_table_schema().get("columns", {})))
            page: list[Row] = []
            for item in source.with_resources(self.stream):
                page.extend(records(item, self.stream))
                if len(page) >= _PAGE:
                    self.bytes += len(page)
                    if not self._put(page):
                        return
                    page = []
            if page and not self._put(page):
                return
            self._put(Reached(json.typed_dumps(state)))


def _told(error: Exception, stream: str, shown: Callable[[str], str]) -> DataflowError:
    from dlt.common.configuration.exceptions import ConfigurationException

    cause: BaseException = error
    while cause.__cause__ is not None and type(cause).__name__ == "ResourceExtractionError":
        cause = cause.__cause__
    text = shown(f"{type(cause).__name__}: {cause}")[:400]
    if isinstance(error, ConfigurationException) or isinstance(cause, ConfigurationException | TypeError):
        return ConfigError(
            "dlt.config", f"resource '{stream}' cannot be made: {text}", where="arguments",
            fix="give what it needs under arguments and secrets",
        )  # fmt: skip
    return TransientError(
        "dlt.failed", f"resource '{stream}' failed: {text}", where=f"resource {stream}",
        fix="nothing of this reading was loaded; correct what it says, or run again",
    )  # fmt: skip
