"""Errors of programs that speak a line protocol. ``bridge`` is the protocol's name: ``singer``, ``airbyte``."""

from collections.abc import Iterable, Sequence

from dataflow_platform.core.errors import ConfigError, DataError, TransientError


def not_found(bridge: str, command: str) -> ConfigError:
    """The program cannot be started because it is not there."""
    return ConfigError(
        f"{bridge}.command",
        f"there is no program '{command}'",
        where="command",
        fix="install it into an environment of its own and write its path: command: .taps/bin/NAME",
    )


def not_started(bridge: str, command: str, why: str) -> ConfigError:
    """The operating system refused to start the program."""
    return ConfigError(
        f"{bridge}.command", f"'{command}' cannot be started: {why}", where="command", fix="make the file executable"
    )


def failed(bridge: str, command: str, status: int, tail: str) -> TransientError:
    """The program ended with another status than 0; ``tail``: what it said last, without secrets."""
    ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    said = f"; it said last: {tail}" if tail else "; it said nothing"
    return TransientError(
        f"{bridge}.failed",
        f"'{command}' {ended}{said}",
        where="command",
        fix="nothing of this reading was loaded; correct what it says, or run again",
    )


def silent(bridge: str, command: str, seconds: float) -> TransientError:
    """The program has sent nothing for too long and was ended."""
    return TransientError(
        f"{bridge}.silent",
        f"'{command}' sent no message for {seconds:g} s and was ended",
        where="idle_seconds",
        fix="run again, or raise `idle_seconds` if it may wait that long",
    )


def closed(bridge: str) -> TransientError:
    """The scan was closed by somebody else."""
    return TransientError(f"{bridge}.closed", "the scan was closed while it was read", fix="run the load again")


def garbage(bridge: str, command: str, number: int, why: str) -> DataError:
    """Line ``number`` (from 1) of the program's output is no message."""
    return DataError(
        f"{bridge}.message",
        f"'{command}' wrote something that is no message: {why}",
        where=f"line {number} of its output",
        fix="a program must print messages only; its log belongs on standard error",
    )


def long_line(bridge: str, command: str, number: int, limit: int) -> DataError:
    """One message is longer than a message may be."""
    return DataError(
        f"{bridge}.message",
        f"'{command}' wrote a message of more than {limit >> 20} MB",
        where=f"line {number} of its output",
        fix="leave the long property out of the selection",
    )


def no_schema(bridge: str, stream: str) -> DataError:
    """A record came before anything said what its columns are."""
    return DataError(
        f"{bridge}.record_before_schema",
        f"a record of '{stream}' came before the stream's schema",
        where=f"stream {stream}",
        fix="report it to the program's makers: a schema comes first",
    )


def no_columns(bridge: str, stream: str) -> DataError:
    """The schema names no property."""
    return DataError(
        f"{bridge}.no_columns",
        f"the schema of '{stream}' names no property",
        where=f"stream {stream}",
        fix="declare them: columns: {id: BIGINT, ...}",
    )


def same_name(bridge: str, names: Sequence[str], stream: str) -> DataError:
    """Two columns that a database takes for one."""
    return DataError(
        f"{bridge}.columns",
        f"columns differ only in case: {', '.join(names)}",
        where=f"stream {stream}",
        fix="leave one of them out of the selection",
    )


def changed(bridge: str, stream: str, what: str) -> DataError:
    """The schema became another one in the middle of a reading."""
    return DataError(
        f"{bridge}.schema_changed",
        f"the schema of '{stream}' changed in the middle of the reading: {what}",
        where=f"stream {stream}",
        fix="run again to read under the new schema, or declare the column: columns: {name: TYPE}",
    )


def unselected(bridge: str, stream: str, wanted: str) -> DataError:
    """A record of a stream nobody asked for."""
    return DataError(
        f"{bridge}.unselected",
        f"a record of '{stream}' came, only '{wanted}' was selected",
        where=f"stream {stream}",
        fix="set `unselected: skip` if the program cannot select; skipped rows are counted in the load's notes",
    )


def new_field(bridge: str, name: str, stream: str) -> DataError:
    """A record has a property its schema does not name."""
    return DataError(
        f"{bridge}.new_field",
        f"a record of '{stream}' has '{name}', its schema has not",
        where=f"stream {stream}",
        fix=f"declare it: columns: {{{name}: VARCHAR}}",
    )


def wrong_type(bridge: str, name: str, kind: str, value: str, stream: str) -> DataError:
    """A value that its column cannot hold exactly; ``value`` in words, never itself."""
    return DataError(
        f"{bridge}.type",
        f"column '{name}' of '{stream}' is {kind}, a record has {value}",
        where=f"stream {stream}",
        fix=f"declare what fits: columns: {{{name}: JSON}} takes any value as its JSON text",
    )


def unknown_stream(bridge: str, name: str, known: Iterable[str]) -> ConfigError:
    """The program does not offer a stream of this name."""
    from dataflow_platform.core.errors import unknown_name

    error = unknown_name("stream", name, known, "dataflow connections discover NAME")
    return ConfigError(f"{bridge}.stream", error.what, where="stream", fix=error.fix)
