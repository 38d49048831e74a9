"""``dataflow connectors record``: pages of a real API for tests, without secrets and without anybody's data."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dataflow_platform.core.errors import ConfigError, unknown_name


@click.command("record")
@click.argument("connection")
@click.argument("stream")
@click.option("--pages", default=3, show_default=True, help="How many pages to ask for.")
@click.option("--to", "file", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.option("--header", "headers", multiple=True, help="Keep this header of the answers as well.")
def record(connection: str, stream: str, pages: int, file: Path, headers: tuple[str, ...]) -> None:
    """Ask the API of CONNECTION for pages of STREAM and keep them for tests.

    CONNECTION is of a connector that is a YAML file. Numbers, times and the names of fields stay; every other text
    becomes another of the same length, the same one everywhere. Keys and tokens are left out. Look at the file
    before you share it: numbers may tell something as well.
    """
    from dataflow_platform.cli.connections import declared_connections
    from dataflow_platform.connectors.rest.declared import DeclaredApi
    from dataflow_platform.core.base import State, Stream

    declared = declared_connections()
    if connection not in declared:
        raise unknown_name("connection", connection, declared, "dataflow connections list")
    source = declared[connection].source()
    if not isinstance(source, DeclaredApi):
        raise ConfigError(
            "connector.no_recording", f"connection '{connection}' is no API of a YAML file", where=connection,
            fix="write the API as connectors/NAME.yaml (docs/rest_connectors.md)",
        )  # fmt: skip
    source.run_prepare()
    options = type(source).StreamOptions.model_validate({"stream": stream})
    noted = asyncio.run(_noted(source.plan(Stream(stream, options), State()), pages, headers))
    noted.save(file)
    click.echo(f"{len(noted.pages)} answers of {connection}.{stream} in {file}")


async def _noted(plan: Any, pages: int, headers: tuple[str, ...]) -> Any:
    from dataflow_platform.connectors.rest.recording import Recorder

    names = tuple(name.lower() for name in headers)
    recorder = Recorder(plan.access.base_url, plan.access.secrets, names)
    reading = replace(plan, access=replace(plan.access, recorder=recorder)).pages()
    try:
        for _ in range(pages):
            if await reading.next() is None:
                break
    finally:
        await reading.close()
    return recorder
