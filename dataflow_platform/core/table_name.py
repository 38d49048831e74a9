"""The name of a table of the destination, as a person writes it."""

from typing import Annotated

from pydantic import AfterValidator

from dataflow_platform.core.errors import ConfigError


def _checked(name: str) -> str:
    parts = name.split(".")
    if len(parts) != 2 or not all(part.strip() == part and part for part in parts):
        raise ConfigError(
            "table.name",
            f"'{name}' does not name a table of the destination",
            where="table",
            fix="write it as schema.table, such as raw.airports",
        )
    return name


TableName = Annotated[str, AfterValidator(_checked)]
"""``schema.table``; ConfigError ``table.name`` for anything else."""
