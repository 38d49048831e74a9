"""The code location: everything below ``defs/``, as Dagster definitions."""

import os
from pathlib import Path

import dagster as dg
from dotenv import load_dotenv

from dataflow_platform.core.paths import project_root
from dataflow_platform.pipeline.loader import Loaded, load_folder

DEFS = Path(__file__).parent / "defs"


def defs_folder() -> Path:
    """``DATAFLOW_DEFS`` (relative to the project root), else the folder shipped with the package."""
    configured = os.environ.get("DATAFLOW_DEFS")
    return project_root() / configured if configured else DEFS


def load() -> Loaded:
    """The defs folder, read with the variables of ``.env`` (which never override the environment's)."""
    load_dotenv(project_root() / ".env", override=False)
    return load_folder(defs_folder())


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors of the project."""
    loaded = load()
    parts = [loaded.built.definitions()]
    if loaded.foreign:
        # Components of other packages (dbt, ...) are built by Dagster itself.
        tree = dg.ComponentTree.for_project(Path(__file__))
        parts += [tree.build_defs(file.parent) for file in loaded.foreign]
    return dg.Definitions.merge(dg.Definitions(executor=dg.in_process_executor), *parts)
