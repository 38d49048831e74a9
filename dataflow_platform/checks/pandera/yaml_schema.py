"""Schemas in Pandera's YAML form, as ``schema.to_yaml()`` writes them.

Pandera itself skips a word it does not know. Here it is an error: a misspelled check would be a check that never runs.
"""

import importlib
from collections.abc import Iterable
from typing import Any

from dataflow_platform.checks.pandera.flavour import Flavour
from dataflow_platform.core.errors import ConfigError, Location, did_you_mean
from dataflow_platform.core.paths import resolve

FILES = (".yaml", ".yml")
_MORE_WORDS = frozenset(
    {"name", "checks", "columns", "index", "metadata", "version", "on_missing", "on_missing_columns"}
)


def from_yaml(path: str) -> tuple[Any, Flavour]:
    """The schema in the file ``path`` (relative to the project's root) and its flavour; ConfigError with the line."""
    import yaml

    file = resolve(path)
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "path.file", f"cannot read the schema {file}: {error}", where=Location(file=path),
            fix="name a YAML file below the project's root, or package.module:name",
        ) from error  # fmt: skip
    try:
        given, tree = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise _unreadable(path, str(getattr(error, "problem", error)), mark.line + 1 if mark else None) from error
    if not isinstance(given, dict) or not isinstance(given.get("columns") or {}, dict):
        raise _unreadable(path, "it is no mapping with `columns`")
    flavour = _flavour(path, given)
    module = importlib.import_module(f"pandera.{flavour}")
    try:
        schema = module.DataFrameSchema.from_yaml(text)
    except Exception as error:  # pandera raises whatever it stumbles over
        raise _unreadable(path, f"{type(error).__name__}: {error}") from error
    _refuse_unknown(path, given, schema, module, tree)
    return schema, flavour


def _flavour(path: str, given: dict[str, Any]) -> Flavour:
    said = str(given.get("api") or given.get("schema_type") or "pandas").removesuffix("_dataframe")
    if said == "polars":
        return "polars"
    if said not in ("pandas", "dataframe"):
        raise _unreadable(path, f"it is a schema for {said}")
    return "pandas"


def _refuse_unknown(path: str, given: dict[str, Any], schema: Any, module: Any, tree: Any) -> None:
    import yaml

    every = yaml.safe_load(module.DataFrameSchema({"x": module.Column()}).to_yaml(minimal=False))
    _known_only(path, given, {*every, *_MORE_WORDS}, (), tree)
    words = {*every["columns"]["x"], *_MORE_WORDS}
    for name, asked in (given.get("columns") or {}).items():
        made = schema.columns[name]
        checks = [key for key in asked or {} if key not in words]
        listed = (asked or {}).get("checks") or []
        if len(made.checks) != len(checks) + len(listed):
            _known_only(path, asked, {*words, *_check_names(module)}, ("columns", str(name)), tree)
            raise _unreadable(path, f"not every check of column '{name}' is known to pandera")
    if len(schema.checks) != len(given.get("checks") or []):
        raise _unreadable(path, "not every check of the whole frame is known to pandera")


def _check_names(module: Any) -> Iterable[str]:
    return (name for name in dir(module.Check) if not name.startswith("_"))


def _known_only(path: str, given: dict[str, Any], known: set[str], at: tuple[str, ...], tree: Any) -> None:
    for key in given:
        if key not in known:
            raise ConfigError(
                "pandera.yaml", f"'{key}' is nothing that pandera knows",
                where=Location(file=path, line=_line(tree, (*at, str(key))), path=".".join((*at, str(key)))),
                fix=did_you_mean(str(key), known, "write what schema.to_yaml() writes"),
            )  # fmt: skip


def _line(tree: Any, at: tuple[str, ...]) -> int | None:
    """The line of the key at the end of the path ``at``."""
    line = None
    for word in at:
        found = next((pair for pair in tree.value if str(pair[0].value) == word), None)
        if found is None:
            return line
        line, tree = found[0].start_mark.line + 1, found[1]
    return line


def _unreadable(path: str, why: str, line: int | None = None) -> ConfigError:
    return ConfigError(
        "pandera.yaml", f"the schema cannot be read: {why[:300]}", where=Location(file=path, line=line),
        fix="write it as schema.to_yaml() writes it",
    )  # fmt: skip
