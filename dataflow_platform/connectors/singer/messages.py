"""Singer's messages: https://hub.meltano.com/singer/spec. One JSON object a line, its `type` says what it is."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.connectors._protocol.handing_over import HandedOver
from dataflow_platform.connectors._protocol.program import Program
from dataflow_platform.connectors._protocol.reading import Conversation, Declared, Event, Reached
from dataflow_platform.connectors._protocol.values import decode, json_text


class TapRun(Conversation):
    """One run of a tap in which one stream is selected. ``skipped`` counts records of other streams."""

    bridge = "singer"

    def __init__(
        self, program: Program, handed: HandedOver, stream: str, unselected: Literal["refuse", "skip"]
    ) -> None:
        self._program = program
        self._handed = handed
        self._skips = unselected == "skip"
        self.stream = stream
        self.skipped = 0
        self.versions: list[Any] = []
        """What ACTIVATE_VERSION messages said."""

    def events(self) -> Iterator[Event]:
        """Records, schemas and states; log lines among them are errors."""
        for line in self._program:
            self.bytes += len(line)
            event = self._event(self._decoded(line))
            if event is not None:
                yield event
        self._program.finish()

    def notes(self) -> Mapping[str, str]:
        """Records that were skipped, and a version that was not activated."""
        told = {}
        if self.skipped:
            told["skipped"] = f"{self.skipped} records of streams that were not selected"
        if self.versions:
            told["activate_version"] = f"the tap asked to activate version {self.versions[-1]}: not done"
        return told

    def close(self) -> None:
        """End the tap and remove what was handed over."""
        self._program.close()
        self._handed.close()

    def _decoded(self, line: bytes) -> Mapping[str, Any]:
        try:
            message = decode(line)
        except ValueError:
            raise self._garbage("it is no JSON") from None
        if not isinstance(message, dict):
            raise self._garbage("it is no JSON object")
        return message

    def _event(self, message: Mapping[str, Any]) -> Event | None:
        kind = message.get("type")
        if kind == "RECORD":
            return self._record(message)
        if kind == "STATE":
            if "value" not in message:
                raise self._garbage("a STATE without `value`")
            return Reached(json_text(message["value"]))
        if kind == "SCHEMA":
            schema = message.get("schema")
            if not isinstance(schema, dict):
                raise self._garbage("a SCHEMA without `schema`")
            return Declared(schema) if message.get("stream") == self.stream else None
        if kind == "ACTIVATE_VERSION":
            if message.get("stream") == self.stream:
                self.versions.append(message.get("version"))
            return None
        raise self._garbage("its `type` is none of RECORD, SCHEMA, STATE, ACTIVATE_VERSION")

    def _record(self, message: Mapping[str, Any]) -> Event | None:
        record = message.get("record")
        if not isinstance(record, dict):
            raise self._garbage("a RECORD without `record`")
        if message.get("stream") == self.stream:
            return record
        if not self._skips:
            raise faults.unselected("singer", str(message.get("stream"))[:80], self.stream)
        self.skipped += 1
        return None

    def _garbage(self, why: str) -> Exception:
        return faults.garbage("singer", self._program.call.name, self._program.line, why)
