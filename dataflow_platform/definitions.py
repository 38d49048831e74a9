"""The code location: everything below ``defs/``, as Dagster definitions."""

import os
import sys
from pathlib import Path

import dagster as dg
from dotenv import load_dotenv

from dataflow_platform.core.paths import project_root
from dataflow_platform.pipeline.foreign import foreign_definitions
from dataflow_platform.pipeline.loader import Loaded, load_folder, read_connections
from dataflow_platform.pipeline.resolve import Connection

DEFS = Path(__file__).parent / "defs"


def defs_folder() -> Path:
    """``DATAFLOW_DEFS`` (relative to the project root), else the folder shipped with the package."""
    configured = os.environ.get("DATAFLOW_DEFS")
    return project_root() / configured if configured else DEFS


def load() -> Loaded:
    """The defs folder, read with the variables of ``.env`` (which never override the environment's)."""
    load_dotenv(project_root() / ".env", override=False)
    return load_folder(defs_folder())


def connections() -> dict[str, Connection]:
    """The connections the defs folder declares; no pipeline is built, so none asks its source for tables."""
    load_dotenv(project_root() / ".env", override=False)
    return read_connections(defs_folder())


def build(loaded: Loaded) -> dg.Definitions:
    """Everything of a loaded defs folder; runs stay in one process unless a job says otherwise."""
    parts = [loaded.built.definitions(), *(foreign_definitions(file) for file in loaded.foreign)]
    return dg.Definitions.merge(dg.Definitions(executor=dg.in_process_executor), *parts)


def find_commands() -> None:
    """Make the commands of this environment (dbt) findable where nobody activated it."""
    here = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if here not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join((here, path))


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors of the project."""
    find_commands()
    return build(load())
