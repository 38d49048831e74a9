"""Where the tests find third-party packages of the bridges: each in an environment of its own, made by `.ci/run`."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("DATAFLOW_BRIDGES") or Path.home() / ".cache" / "dataflow-bridges")


def program(environment: str, name: str) -> str:
    """The path of a third-party program; the test is skipped where it is not installed."""
    path = FOLDER / environment / "bin" / name
    if not path.is_file():
        pytest.skip(f"{name} is not installed in {path.parent.parent}: see .ci/run")
    return str(path)


def version(environment: str, distribution: str) -> str:
    """The installed version of a package in that environment."""
    (found,) = FOLDER.glob(f"{environment}/lib/python*/site-packages/{distribution.replace('-', '_')}-*.dist-info")
    return found.name.removesuffix(".dist-info").rpartition("-")[2]
