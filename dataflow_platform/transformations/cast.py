"""Transformation ``cast``."""

from collections.abc import Sequence

from pydantic import ConfigDict, Field, RootModel, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Tables, Transformation
from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.projection import found, projected


class Cast(RootModel[dict[str, str]], Transformation):
    """Changes the types of columns; a value that does not fit fails the run."""

    model_config = ConfigDict(frozen=True)

    root: dict[str, str] = Field(
        min_length=1,
        description="Column name to DuckDB type, such as `price: decimal(18, 2)`, `tags: varchar[]`. The cast is "
        "strict; where values may not fit, use derive with `try_cast(price as decimal(18, 2))` and a check.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Cast":
        self._types()
        return self

    def _types(self) -> dict[str, str]:
        types: dict[str, str] = {}
        for name, text in self.root.items():
            if name.lower() in types:
                raise ConfigError(
                    "column.duplicate", f"cast lists the column '{name}' twice", where=name,
                    fix="column names that differ only in case are the same: keep one of them",
                )  # fmt: skip
            try:
                types[name.lower()] = sql.data_type(text)
            except ConfigError as error:
                raise error.at(Location(path=name)) from None
        return types

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of ``columns``, cast in place."""
        types = self._types()
        cast = {name: f"CAST({sql.quote(found(name, columns).name)} AS {types[name.lower()]})" for name in self.root}
        return projected(columns, cast)
