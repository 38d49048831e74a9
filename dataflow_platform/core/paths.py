"""Where the project lives on disk: relative paths in YAML mean the same from every working directory."""

import os
from pathlib import Path


def project_root() -> Path:
    """``DATAFLOW_HOME``, else the nearest folder at or above the current one with a ``dagster.yaml``, else here."""
    configured = os.environ.get("DATAFLOW_HOME")
    if configured:
        return Path(configured)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "dagster.yaml").is_file()), here)


def resolve(path: str) -> Path:
    """``path`` itself where absolute, else below the project root."""
    given = Path(path).expanduser()
    return given if given.is_absolute() else project_root() / given
