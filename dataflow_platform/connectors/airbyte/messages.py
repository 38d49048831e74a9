"""Airbyte's protocol: one JSON object a line; a record's schema stands in the catalog, not among the messages."""

from collections.abc import Iterator, Mapping
from typing import Any

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.connectors._protocol.handing_over import HandedOver
from dataflow_platform.connectors._protocol.program import Program
from dataflow_platform.connectors._protocol.reading import Conversation, Declared, Event, Reached
from dataflow_platform.connectors._protocol.values import decode, json_text
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError

_SERIOUS = ("FATAL", "ERROR")


class Messages:
    """The messages of one run. A TRACE of an error is raised when the program has ended: more of them may follow."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.bytes = 0
        self._errors: list[Mapping[str, Any]] = []
        self._said = ""

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for line in self._program:
            self.bytes += len(line)
            message = self._decoded(line)
            kind = message.get("type")
            if kind == "LOG":
                log = message.get("log") or {}
                self._said = str(log.get("message", "")) if log.get("level") in _SERIOUS else self._said
            elif kind == "TRACE":
                self._trace(message.get("trace") or {})
            else:
                yield message
        self._finish()

    def garbage(self, why: str) -> DataflowError:
        """The error for the line that was just read."""
        return faults.garbage("airbyte", self._program.call.name, self._program.line, why)

    def _decoded(self, line: bytes) -> Mapping[str, Any]:
        try:
            message = decode(line)
        except ValueError:
            raise self.garbage("it is no JSON") from None
        if not isinstance(message, dict):
            raise self.garbage("it is no JSON object")
        return message

    def _trace(self, trace: Mapping[str, Any]) -> None:
        status = (trace.get("stream_status") or {}).get("status")
        if trace.get("type") == "ERROR":
            self._errors.append(trace.get("error") or {})
        elif status == "INCOMPLETE":
            self._errors.append({"message": "the stream ended as INCOMPLETE"})

    def _finish(self) -> None:
        try:
            self._program.finish()
        except TransientError as error:
            if error.code == "airbyte.failed" and (self._errors or self._said):
                raise self._told() from None
            raise
        if self._errors:
            raise self._told()

    def _told(self) -> DataflowError:
        """The first error the program told; it says itself whose fault it is."""
        error = self._errors[0] if self._errors else {}
        text = self._program.without_secrets(str(error.get("message") or self._said))[:500]
        kind = ConfigError if error.get("failure_type") == "config_error" else TransientError
        return kind(
            "airbyte.failed", f"'{self._program.call.name}' failed: {text}", where="command",
            fix="nothing of this reading was loaded; correct what it says, or run again",
        )  # fmt: skip


class AirbyteRun(Conversation):
    """One `read` in which one stream is configured, its columns as the catalog has them."""

    bridge = "airbyte"

    def __init__(self, program: Program, handed: HandedOver, stream: str, schema: Mapping[str, Any]) -> None:
        self._program = program
        self._handed = handed
        self._messages = Messages(program)
        self._schema = schema
        self._reconfigured = False
        self.stream = stream

    def events(self) -> Iterator[Event]:
        """The columns, records and states."""
        yield Declared(self._schema)
        for message in self._messages:
            self.bytes = self._messages.bytes
            kind = message.get("type")
            if kind == "RECORD":
                yield self._record(message.get("record"))
            elif kind == "STATE":
                state = message.get("state")
                if not isinstance(state, dict):
                    raise self._messages.garbage("a STATE without `state`")
                yield Reached(json_text([state]))
            elif kind == "CONTROL":
                self._reconfigured = True
            else:
                raise self._messages.garbage("its `type` is none that a reading has")

    def notes(self) -> Mapping[str, str]:
        """A changed config, which nobody keeps."""
        return {"config": "the connector asked to keep a changed config: not done"} if self._reconfigured else {}

    def close(self) -> None:
        """End the program and remove what was handed over."""
        self._program.close()
        self._handed.close()

    def _record(self, record: Any) -> Mapping[str, Any]:
        data = record.get("data") if isinstance(record, dict) else None
        if not isinstance(data, dict):
            raise self._messages.garbage("a RECORD without `data`")
        if record.get("stream") != self.stream:
            raise faults.unselected("airbyte", str(record.get("stream"))[:80], self.stream)
        return data
