"""The schema that a path names: a DataFrameSchema or DataFrameModel of either flavour, in Python or in YAML."""

import importlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from dataflow_platform.checks.pandera import yaml_schema
from dataflow_platform.checks.pandera.flavour import Flavour
from dataflow_platform.core.base import Column
from dataflow_platform.core.dotted_path import load_object
from dataflow_platform.core.errors import ConfigError

FLAVOURS: tuple[Flavour, ...] = ("pandas", "polars")


@dataclass(frozen=True)
class Asked:
    """What the schema asks of one column, or of all whose names a pattern matches."""

    name: str
    schema: Any
    flavour: Flavour
    by_name: frozenset[str]
    """Names, in lower case, of the columns that the schema names one by one."""

    def matching(self, columns: Sequence[Column]) -> list[Column]:
        """The columns that are meant; case does not matter in a name, in a pattern it does."""
        if not self.schema.regex:
            return [column for column in columns if column.name.lower() == self.name.lower()]
        names = self._matched([column.name for column in columns])
        return [column for column in columns if column.name in names]

    def _matched(self, names: Sequence[str]) -> set[str]:
        if self.flavour == "polars":
            # Columns named one by one are left to what is asked of them there.
            return {name for name in names if name.lower() not in self.by_name and re.fullmatch(self.name, name)}
        return {name for name in names if re.match(self.name, name)}


@dataclass(frozen=True)
class Declared:
    """A schema with its flavour, and the title its rules begin with."""

    schema: Any
    flavour: Flavour
    title: str

    def asked(self) -> list[Asked]:
        """What is asked of columns, in the schema's order."""
        by_name = frozenset(str(name).lower() for name, column in self.schema.columns.items() if not column.regex)
        return [Asked(str(name), column, self.flavour, by_name) for name, column in self.schema.columns.items()]


def unsupported(what: str, where: str, fix: str) -> ConfigError:
    """The error for a part of a schema that cannot be run."""
    return ConfigError("pandera.unsupported", f"{what} cannot be run in the engine", where=where, fix=fix)


def declared(path: str) -> Declared:
    """The schema behind ``path``; ConfigError where there is none, or where part of it cannot be run."""
    if path.endswith(yaml_schema.FILES):
        schema, flavour = yaml_schema.from_yaml(path)
        title = PurePath(path).stem
    else:
        schema, flavour = _of_python(path)
        title = path.rpartition(":")[2]
    found = Declared(schema, flavour, str(schema.name or title))
    _refuse_unsupported(found)
    return found


def _of_python(path: str) -> tuple[Any, Flavour]:
    found = load_object(path)
    for flavour in FLAVOURS:
        if flavour not in sys.modules:
            continue
        module = importlib.import_module(f"pandera.{flavour}")
        if isinstance(found, module.DataFrameSchema):
            return found, flavour
        if isinstance(found, type) and issubclass(found, module.DataFrameModel):
            return _of_model(found, path), flavour
    raise ConfigError(
        "pandera.schema", f"'{path}' is no pandera DataFrameSchema or DataFrameModel", where="schema",
        fix="name a schema made with pandera.pandas or pandera.polars",
    )  # fmt: skip


def _of_model(model: Any, path: str) -> Any:
    try:
        return model.to_schema()
    except Exception as error:  # pandera looks at a model's fields only now
        raise ConfigError(
            "pandera.schema", f"the model '{path}' is none: {type(error).__name__}: {error}"[:500], where="schema",
            fix="mend the model's fields and checks",
        ) from error  # fmt: skip


_STEPS = "a check changes no data: take it out and use the steps cast, derive or filter"
_NO_INDEX = "rows of a stream have no index: declare a column"


def _refuse_unsupported(found: Declared) -> None:
    schema, title = found.schema, found.title
    for what, value, fix in (
        ("dataframe-level parsers", schema.parsers, _STEPS),
        ("index", schema.index, _NO_INDEX),
        ("add_missing_columns", schema.add_missing_columns, _STEPS),
    ):
        if value:
            raise unsupported(what, title, fix)
    for name, column in schema.columns.items():
        if not isinstance(name, str):
            raise unsupported(f"the column name {name!r}", title, "give the column one name")
        if getattr(column, "parsers", None):
            raise unsupported(f"parsers of column '{name}'", title, _STEPS)
        if column.regex:
            _refuse_bad_pattern(name, title)


def _refuse_bad_pattern(pattern: str, title: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            "check.pattern", f"the column pattern {pattern!r} cannot be used: {error}", where=title,
            fix="write a regular expression, or regex=False",
        ) from error  # fmt: skip
