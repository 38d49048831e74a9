"""A program's messages as an Arrow stream DuckDB pulls: batches of bounded size, one program a reading."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.connectors._protocol.kinds import Field, fields_of, settled
from dataflow_platform.connectors._protocol.values import Row, batch, schema
from dataflow_platform.core import injection

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS, _BYTES = 10_000, 8 << 20
"""A batch is full at so many rows, or so many bytes of messages."""


@dataclass(frozen=True)
class Declared:
    """The program says what columns the records from here on have: as a JSON schema, or by their kinds."""

    schema: Mapping[str, Any]
    kinds: Mapping[str, str] | None = None

    def fields(self, conversation: "Conversation", declared: Mapping[str, str]) -> tuple[Field, ...]:
        """The columns; what a person ``declared`` wins."""
        if self.kinds is not None:
            return settled(conversation.bridge, conversation.stream, {**self.kinds, **declared})
        return fields_of(conversation.bridge, conversation.stream, self.schema, declared)


@dataclass(frozen=True)
class Reached:
    """The program says where it stands, all records before it included: a text, which keeps every digit."""

    position: str


Event = Row | Declared | Reached
"""A record of the stream, or one of the above."""


class Conversation(ABC):
    """One run of a program: its messages of one stream, in the order they came."""

    bridge: str
    stream: str
    bytes: int = 0
    """Bytes of messages so far."""

    @abstractmethod
    def events(self) -> Iterator[Event]:
        """The messages until the program has ended well; a DataflowError where it did not."""

    def notes(self) -> Mapping[str, str]:
        """What a person may want to know of the run."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """End the program, whatever it does. Safe to call twice, and from another thread."""


class Reading:
    """What DuckDB scans: an object with the Arrow stream interface. Each execution is a run of its own.

    The first run begins at once, up to the stream's schema: DuckDB has to know the columns first. Where none comes,
    the ``remembered`` columns of an earlier load do. ``error`` keeps what ended the reading: DuckDB hands on its text.
    """

    def __init__(
        self, start: Callable[[], Conversation], declared: Mapping[str, str], remembered: Mapping[str, str]
    ) -> None:
        self._start = start
        self._declared = declared
        self._lock = threading.Lock()
        self._open: list[Conversation] = []
        self._closed = False
        self.error: Exception | None = None
        self.rows = 0
        self.bytes = 0
        self.position: str | None = None
        """Where the last run said it stands; None where it did not say."""
        self.ended: Callable[[str | None, Conversation], None] = lambda position, conversation: None
        """Called when a run has ended well, with what it said last."""
        self._first: tuple[Conversation, Iterator[Event], list[Event]] | None = None
        try:
            self.fields = self._settled(remembered)
        except BaseException:
            self.close()
            raise

    def _settled(self, remembered: Mapping[str, str]) -> tuple[Field, ...]:
        conversation, events = self._begun()
        early: list[Event] = []
        for event in events:
            if isinstance(event, Declared):
                self._first = conversation, events, early
                return event.fields(conversation, self._declared)
            if not isinstance(event, Reached):
                raise faults.no_schema(conversation.bridge, conversation.stream)
            early.append(event)
        self._first = conversation, iter(()), early
        return settled(conversation.bridge, conversation.stream, {**remembered, **self._declared})

    def _begun(self) -> tuple[Conversation, Iterator[Event]]:
        with self._lock:
            conversation = self._start()
            self._open.append(conversation)
        return conversation, conversation.events()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(schema(self.fields), self._batches())
        return reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]

    def rows_read(self) -> int:
        """Rows handed on so far; raises the error that ended the reading, if one did."""
        if self.error:
            raise self.error
        return self.rows

    def close(self) -> None:
        """End every run. Safe to call twice."""
        with self._lock:
            self._closed = True
            running, self._open = self._open, []
        for conversation in running:
            conversation.close()

    def _batches(self) -> "Iterator[pa.RecordBatch]":
        try:
            if self._closed:
                raise faults.closed("bridge")
            begun, self._first = self._first, None
            conversation, events, early = begun or (*self._begun(), [])
            self.error, self.rows, self.bytes, self.position = None, 0, 0, None
            for event in early:
                self._note(event)
            yield from self._filled(conversation, events)
            # Only a run that ended well says where the next load begins.
            self.ended(self.position, conversation)
        except Exception as error:
            self.error = error
            raise
        conversation.close()

    def _filled(self, conversation: Conversation, events: Iterator[Event]) -> "Iterator[pa.RecordBatch]":
        arrow, rows, edge = schema(self.fields), list[Row](), conversation.bytes + _BYTES
        for event in events:
            if isinstance(event, Declared | Reached):
                self._note(event, conversation)
                continue
            rows.append(event)
            if len(rows) >= _ROWS or conversation.bytes >= edge:
                yield self._counted(
                    batch(conversation.bridge, conversation.stream, rows, self.fields, arrow), conversation
                )
                injection.reach("batch_read")
                rows, edge = [], conversation.bytes + _BYTES
        if rows:
            yield self._counted(batch(conversation.bridge, conversation.stream, rows, self.fields, arrow), conversation)
            injection.reach("batch_read")
        self.bytes = conversation.bytes

    def _counted(self, rows: "pa.RecordBatch", conversation: Conversation) -> "pa.RecordBatch":
        self.rows += rows.num_rows
        self.bytes = conversation.bytes
        return rows

    def _note(self, event: Event, conversation: Conversation | None = None) -> None:
        if isinstance(event, Reached):
            self.position = event.position
        elif isinstance(event, Declared) and conversation is not None:
            self._hold_to(event, conversation)

    def _hold_to(self, event: Declared, conversation: Conversation) -> None:
        """Columns may be told again, and left out; a new one or another type would change rows already handed on."""
        told = event.fields(conversation, self._declared)
        known = {field.name: field.kind for field in self.fields}
        for field in told:
            if field.name not in known:
                raise faults.changed(conversation.bridge, conversation.stream, f"'{field.name}' is new")
            if known[field.name] != field.kind:
                what = f"'{field.name}' was {known[field.name]}, now it is {field.kind}"
                raise faults.changed(conversation.bridge, conversation.stream, what)
