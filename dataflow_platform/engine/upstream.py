"""The tables of the destination that a stream's steps and checks read beside its source."""

from collections.abc import Callable, Sequence

from dataflow_platform.core.base import Check, Column, Session, Table, Tables, Transformation
from dataflow_platform.core.errors import ConfigError, DataError, Location
from dataflow_platform.engine.stream_load import StreamLoad


def of_steps(load: StreamLoad, session: Session) -> Tables:
    """The tables the steps read, which the engine sees from now on; ConfigError where one is not there."""
    return _exposed(load.steps, session, "step", load.step_at)


def expose_to_checks(load: StreamLoad, session: Session) -> None:
    """Let the engine see the tables that checks compare with; ConfigError where one is not there."""
    _exposed(load.checks, session, "check", lambda position: Location(path=f"checks[{position}]"))


def _exposed(
    readers: Sequence[Transformation | Check], session: Session, word: str, at: Callable[[int], Location]
) -> Tables:
    known: dict[str, tuple[Column, ...]] = {}
    for position, reader in enumerate(readers):
        for name in reader.upstream():
            schema, _, table = name.rpartition(".")
            columns = known.get(name) or session.columns(Table(schema, table))
            if columns is None:
                raise ConfigError(
                    "table.unknown",
                    f"the {word} reads {name}, and there is no such table",
                    where=at(position),
                    fix=f"materialize {name.replace('.', '/')} first, or correct the name",
                )
            if name not in known:
                session.expose(Table(schema, table))
            known[name] = columns
    return known


def keep_promises(load: StreamLoad, session: Session) -> None:
    """DataError where a table is not what a step takes for granted."""
    for position, step in enumerate(load.steps):
        for promise in step.promises():
            found = session.in_engine(f"SELECT * FROM ({promise.broken_by}) AS broken LIMIT 1")
            if found:
                row = ", ".join(map(str, found[0]))[:80]
                raise DataError("step.promise", f"{promise.what}: {row}", where=load.step_at(position), fix=promise.fix)
