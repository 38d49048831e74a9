"""Components of other packages (dbt, ...) in the defs folder: built by Dagster, one by one."""

import importlib.machinery
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import dagster as dg

from dataflow_platform.core.errors import ConfigError, DataflowError, Location
from dataflow_platform.core.paths import project_root
from dataflow_platform.pipeline.build import broken
from dataflow_platform.pipeline.document import Document, read, shown
from dataflow_platform.pipeline.loader import PREFIX


def foreign_definitions(file: Path) -> dg.Definitions:
    """The definitions of the YAML component in ``file``; a failing asset where it does not build.

    Each has a component tree of its own: in one tree, a neighbour that does not load breaks them all.
    """
    try:
        tree = dg.ComponentTree.from_module(_module_of(file.parent), project_root=_project_of(file))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Dagster's own components warn of is not for our users
            return tree.build_defs(file.parent)
    except Exception as error:  # noqa: BLE001  # whatever another package raises, the location stays up
        return broken(_document(file), as_config_error(error, file)).definitions()


def as_config_error(error: BaseException, file: Path) -> DataflowError:
    """The innermost cause, placed at the component's file."""
    while error.__cause__ is not None:
        error = error.__cause__
    return ConfigError(
        "component.build",
        f"the component does not build: {str(error).strip() or type(error).__name__}",
        where=Location(shown(file)),
        fix="run `make setup` (dbt projects are parsed there), or correct the component",
    )


def _document(file: Path) -> Document | Path:
    try:
        documents = read(file)
    except DataflowError:
        return file
    return next((each for each in documents if not str(each.value.get("type", "")).startswith(PREFIX)), file)


def _module_of(folder: Path) -> ModuleType:
    """A package of its own for ``folder``, wherever it lies: Dagster's tree starts at a module."""
    name = "dataflow_defs_" + "".join(letter if letter.isalnum() else "_" for letter in str(folder.resolve()))
    if name not in sys.modules:
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        sys.modules[name] = importlib.util.module_from_spec(spec)
    return sys.modules[name]


def _project_of(file: Path) -> Path:
    """The nearest folder above with a pyproject.toml: what ``project_root`` means in the file."""
    return next((folder for folder in file.parents if (folder / "pyproject.toml").is_file()), project_root())
