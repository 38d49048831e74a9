"""Opens the warehouse of a pipeline by the pipeline's name."""

from collections.abc import Iterator
from contextlib import contextmanager

from dataflow_platform.core.base import Session
from dataflow_platform.core.errors import unknown_name
from dataflow_platform.engine.state import ensure_tables


@contextmanager
def open_pipeline(name: str) -> Iterator[tuple[Session, str, list[str]]]:
    """A session on the pipeline's destination, its schema and its stream names. Commits nothing by itself."""
    from dataflow_platform import definitions

    loaded = definitions.load()
    if name not in loaded.built.targets:
        raise unknown_name("pipeline", name, loaded.built.targets, "dataflow check")
    connection, schema, streams = loaded.built.targets[name]
    session = connection.destination().session()
    try:
        ensure_tables(session, schema)
        yield session, schema, streams
    finally:
        session.close()
