"""The code location: everything below ``defs/``, as Dagster definitions."""

import os
import warnings
from pathlib import Path

import dagster as dg
from dotenv import load_dotenv

from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.paths import project_root
from dataflow_platform.pipeline.build import broken
from dataflow_platform.pipeline.document import read, shown
from dataflow_platform.pipeline.loader import PREFIX, Loaded, load_folder

DEFS = Path(__file__).parent / "defs"


def defs_folder() -> Path:
    """``DATAFLOW_DEFS`` (relative to the project root), else the folder shipped with the package."""
    configured = os.environ.get("DATAFLOW_DEFS")
    return project_root() / configured if configured else DEFS


def load() -> Loaded:
    """The defs folder, read with the variables of ``.env`` (which never override the environment's)."""
    load_dotenv(project_root() / ".env", override=False)
    return load_folder(defs_folder())


def foreign(tree: dg.ComponentTree, file: Path) -> dg.Definitions:
    """The definitions of another package's component; a failing asset where it does not build."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            return tree.build_defs(file.parent)
    except Exception as error:  # whatever another package raises: one component never takes the location down
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        told = ConfigError(
            "component.build",
            f"the component does not build: {cause}",
            where=Location(shown(file)),
            fix="run `make setup` (dbt projects are parsed there), or correct the component",
        )
        documents = [each for each in read(file) if not str(each.value.get("type", "")).startswith(PREFIX)]
        return broken(documents[0] if documents else file, told).definitions()


@dg.definitions
def defs() -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors of the project."""
    loaded = load()
    parts = [loaded.built.definitions()]
    if loaded.foreign:
        # Components of other packages (dbt, ...) are built by Dagster itself.
        tree = dg.ComponentTree.for_project(Path(__file__))
        parts += [foreign(tree, file) for file in loaded.foreign]
    return dg.Definitions.merge(dg.Definitions(executor=dg.in_process_executor), *parts)
