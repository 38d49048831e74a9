"""The messages of a tap in order: records are spooled and loaded, a STATE is echoed once all before it is committed."""

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dataflow_platform.cli.singer_target.config import TargetConfig
from dataflow_platform.cli.singer_target.spool import ORDER, LastOfKey, Spool, SpoolOptions, SpoolSource
from dataflow_platform.connectors._protocol import faults
from dataflow_platform.connectors._protocol.program import LONGEST
from dataflow_platform.connectors._protocol.values import decode, json_text
from dataflow_platform.core import injection, registry
from dataflow_platform.core.base import Destination, Stream, Table, Transformation
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad

_NOTHING = object()


class Landing:
    """Takes messages and loads them, stream by stream; ``echo`` is given each STATE that was reached, as JSON text."""

    def __init__(self, config: TargetConfig, folder: Path, echo: Callable[[str], None]) -> None:
        self._config = config
        self._folder = folder
        self._echo = echo
        self._destination: Destination = config.opened()
        self._spools: dict[str, Spool] = {}
        self._tables: set[str] = set()
        """Streams whose table is known to be there."""
        self._state: Any = _NOTHING
        self._echoed: Any = _NOTHING
        self._rows, self._bytes, self._loads = 0, 0, 0
        self._run = secrets.token_hex(8)
        self._flushed = time.monotonic()
        self._line = 0

    def take(self, lines: Iterable[bytes]) -> None:
        """Load all messages; a DataflowError leaves what was echoed loaded, and nothing promised beyond it."""
        for line in lines:
            self._line += 1
            if not line.isspace():
                self._message(line)
        self._load_all()

    def _message(self, line: bytes) -> None:
        if len(line) > LONGEST:
            raise faults.long_line("target", "the tap", self._line, LONGEST)
        try:
            message = decode(line)
        except ValueError:
            raise self._garbage("it is no JSON") from None
        if not isinstance(message, dict):
            raise self._garbage("it is no JSON object")
        kind = message.get("type")
        if kind == "RECORD":
            self._record(message, len(line))
        elif kind == "SCHEMA":
            self._schema(message)
        elif kind == "STATE":
            if "value" not in message:
                raise self._garbage("a STATE without `value`")
            self._state = message["value"]
        elif kind == "ACTIVATE_VERSION":
            print(f"ACTIVATE_VERSION of '{message.get('stream')}': older rows are kept", file=sys.stderr)
        else:
            raise self._garbage("its `type` is none of RECORD, SCHEMA, STATE, ACTIVATE_VERSION")

    def _record(self, message: Mapping[str, Any], size: int) -> None:
        name, record = str(message.get("stream")), message.get("record")
        if not isinstance(record, dict):
            raise self._garbage("a RECORD without `record`")
        if name not in self._spools:
            raise faults.no_schema("target", name)
        self._spools[name].add(record, size)
        self._rows += 1
        self._bytes += size
        config = self._config
        if (
            self._rows >= config.batch_rows
            or self._bytes >= config.batch_megabytes << 20
            or time.monotonic() - self._flushed >= config.batch_seconds
        ):
            self._load_all()

    def _schema(self, message: Mapping[str, Any]) -> None:
        name, declared = message.get("stream"), message.get("schema")
        if not isinstance(name, str) or not name or not isinstance(declared, dict):
            raise self._garbage("a SCHEMA without `stream` or `schema`")
        key = message.get("key_properties") or ()
        if not isinstance(key, list | tuple) or not all(isinstance(part, str) for part in key):
            raise self._garbage("`key_properties` is no list of names")
        known = self._spools.get(name)
        if known is not None and known.declared == declared and known.key == tuple(key):
            return
        if known is not None:  # what came under the old schema is loaded under it
            self._load_all()
        self._spools[name] = Spool(name, declared, key, self._folder / f"{len(self._tables)}-{secrets.token_hex(4)}")
        self._tables.discard(name)

    def _load_all(self) -> None:
        """Load what is held, each stream in a transaction of its own; then the last STATE is true and is echoed."""
        for spool in self._spools.values():
            # A stream without records makes its table all the same, once.
            if spool.waiting or spool.stream not in self._tables:
                spool.finish()
                self._load(spool)
                spool.empty()
                self._tables.add(spool.stream)
        self._rows = self._bytes = 0
        self._flushed = time.monotonic()
        if self._state is not self._echoed:
            self._echoed = self._state
            self._echo(json_text(self._state))

    def _load(self, spool: Spool) -> None:
        keyed = bool(spool.key) and self._config.keyed == "merge"
        how = "merge" if keyed else "append"
        steps: list[Transformation] = [LastOfKey(key=spool.key)] if keyed else []
        steps.append(registry.transformation("drop").model_validate([ORDER]))  # type: ignore[attr-defined]
        state = None if self._state is _NOTHING else json_text(self._state)
        self._loads += 1
        load = StreamLoad(
            pipeline=self._config.pipeline,
            stream=Stream(spool.stream, SpoolOptions(), None, spool.key),
            source=SpoolSource(file=str(spool.file), state=state),
            destination=self._destination,
            target=Table(self._config.schema_name, spool.stream),
            strategy=registry.load_strategy(how)(),
            strategy_name=how,
            load_id=f"{self._run}-{self._loads}",
            run_id=self._run,
            steps=steps,
            contract=self._config.contract,
        )
        record = publish(stage(load))
        if record.rows_quarantined:
            print(f"'{spool.stream}': {record.rows_quarantined} rows are in quarantine", file=sys.stderr)
        injection.reach("returning")

    def _garbage(self, why: str) -> Exception:
        return faults.garbage("target", "the tap", self._line, why)


def land(config: TargetConfig, lines: Iterable[bytes], echo: Callable[[str], None]) -> None:
    """Load the messages in ``lines``; the file of records is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="dataflow-target-") as folder:
        Landing(config, Path(folder), echo).take(lines)
