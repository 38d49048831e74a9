"""What the bridges' sources share: their settings, and a reading whose position is stored with its rows."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import duckdb
from pydantic import ConfigDict, Field

from dataflow_platform.connectors._protocol.handing_over import hidden_texts
from dataflow_platform.connectors._protocol.program import Call, words_of
from dataflow_platform.connectors._protocol.reading import Conversation, Reading
from dataflow_platform.core.base import Scan, Source, State, Stream
from dataflow_platform.core.errors import ConfigError


class ProgramSource(Source):
    """A source that is a program of others, run apart from this one."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    bridge: ClassVar[str]
    """The protocol's name; its errors begin with it."""
    secret_fields: ClassVar[frozenset[str]] = frozenset({"secrets"})

    command: str = Field(
        description="The program with its arguments, in an environment of its own. It gets PATH, HOME, locale and "
        "proxies of our environment and nothing else."
    )
    config: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Its settings as its documentation names them, but secrets."
    )
    secrets: dict[str, str] = Field(
        default_factory=dict, repr=False,
        description='Settings that are secret, each from the environment: `api_key: "{{ env.NAME }}"`. A dotted name '
        "goes into an inner object of `config`. Shown nowhere, also where the program prints them.",
    )  # fmt: skip
    environment: dict[str, str] = Field(
        default_factory=dict, repr=False, description="Further environment variables of the program; no secrets."
    )
    idle_seconds: float = Field(
        default=3600,
        gt=0,
        description="A program that sends nothing for so long is ended; the load fails and may be retried.",
    )

    def call(self) -> Call:
        """How the program is called; ConfigError where it is not there."""
        hidden = hidden_texts(self.config, self.secrets)
        return Call(self.bridge, words_of(self.bridge, self.command), self.environment, hidden, self.idle_seconds)


def scan(
    bridge: str,
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    state: State,
    columns: Mapping[str, str],
    start: Callable[[str | None, Mapping[str, str]], Conversation],
) -> Scan:
    """A scan of what ``start`` begins, given the stored position as a text and the columns of earlier loads.

    A partition run starts from no position and stores none.
    """
    if state.until is not None:
        # The program's own bookmark passes the rows that would wait above the bound: they would never come again.
        raise ConfigError(
            f"{bridge}.upper_bound", f"stream '{stream.name}': it keeps its own bookmark, no upper bound holds it back",
            where="upper_bound", fix="leave upper_bound out, or set an end in its own settings",
        )  # fmt: skip
    stored: Mapping[str, Any] = {} if state.window else state.position
    remembered: Mapping[str, str] = stored.get("columns", {})
    reading = Reading(lambda: start(stored.get("state"), remembered), columns, remembered)
    position: dict[str, Any] = dict(state.position)
    if not state.window:
        position["columns"] = {field.name: field.kind for field in reading.fields}
    notes: dict[str, str] = {}

    def ended(told: str | None, conversation: Conversation) -> None:
        notes.update(conversation.notes())
        if told is not None and not state.window:
            position["state"] = told

    reading.ended = ended
    return Scan(
        connection.from_arrow(reading),
        position,
        rows_read=reading.rows_read,
        bytes_read=lambda: reading.bytes,
        close=reading.close,
        notes=notes,
    )
