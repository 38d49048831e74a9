"""Plug-ins by name: one file is one plug-in, found by a folder scan and imported on use.

Third parties add theirs through entry points in the groups ``dataflow_platform.connectors``,
``.transformations``, ``.load_strategies`` and ``.checks``: the entry's name is the plug-in's name
and its value the module.

A connector may as well be a YAML file: ours in ``connectors/catalog``, the project's own in its ``connectors``
folder. Only a file that is asked for by name is read.
"""

import importlib
import importlib.metadata
import pkgutil
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from dataflow_platform.core.base import Check, Destination, LoadStrategy, Source, Transformation
from dataflow_platform.core.errors import ConfigError, did_you_mean
from dataflow_platform.core.paths import project_root

Kind = Literal["connectors", "transformations", "load_strategies", "checks"]
KINDS: tuple[Kind, ...] = ("connectors", "transformations", "load_strategies", "checks")
_WORDS: dict[Kind, str] = {
    "connectors": "connector",
    "transformations": "transformation",
    "load_strategies": "load strategy",
    "checks": "check",
}

T = TypeVar("T")


@cache
def _third_parties() -> dict[Kind, dict[str, str]]:
    # All groups at once: each question reads the metadata of every installed package.
    every = importlib.metadata.entry_points()
    return {kind: {each.name: each.value for each in every.select(group=f"dataflow_platform.{kind}")} for kind in KINDS}


@cache
def _ours(kind: Kind) -> dict[str, str]:
    folder = Path(__file__).parent.parent / kind
    found = (module.name for module in pkgutil.iter_modules([str(folder)]))
    return {name: f"dataflow_platform.{kind}.{name}" for name in found if not name.startswith("_")}


CATALOG = Path(__file__).parent.parent / "connectors" / "catalog"


@cache
def _files(folder: Path, changed: int) -> dict[str, Path]:
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def _files_in(folder: Path) -> dict[str, Path]:
    try:
        return _files(folder, folder.stat().st_mtime_ns)
    except OSError:
        return {}


def connector_files() -> dict[str, Path]:
    """Name -> file of every connector that is a YAML file; the shipped ones win over the project's."""
    return _files_in(project_root() / "connectors") | _files_in(CATALOG)


def modules(kind: Kind) -> dict[str, str]:
    """Name -> module of every plug-in of ``kind``, without importing any. Ours win over third parties'.

    A YAML file is named as a module would be where it is one of ours, else by its path.
    """
    files: dict[str, str] = {}
    if kind == "connectors":
        shipped = _files_in(CATALOG)
        files = {
            name: f"dataflow_platform.connectors.catalog.{name}" if name in shipped else str(file)
            for name, file in connector_files().items()
        }
    return files | _third_parties()[kind] | _ours(kind)


def names(kind: Kind) -> list[str]:
    """Every plug-in name of ``kind``, sorted."""
    return sorted(modules(kind))


def is_known(kind: Kind, name: str) -> bool:
    """True where there is a plug-in ``name``; only a name that is none of ours makes it look at third parties."""
    return name in _ours(kind) or (kind == "connectors" and name in connector_files()) or name in _third_parties()[kind]


def _plugin_class(kind: Kind, name: str, base: type[T]) -> type[T] | None:
    if not is_known(kind, name):
        word = _WORDS[kind]
        raise ConfigError(
            f"{word.replace(' ', '_')}.unknown",
            f"unknown {word} '{name}'",
            fix=did_you_mean(name, modules(kind), f"dataflow {kind.replace('_', '-')} list"),
        )
    path = _ours(kind).get(name) or _third_parties()[kind].get(name)
    if path is None:
        return _declared(name, base)
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise ConfigError(
            f"{_WORDS[kind].replace(' ', '_')}.import",
            f"{_WORDS[kind]} '{name}' cannot be imported: {error}",
            fix=f"install what it needs: pip install 'dataflow-platform[{name}]'",
        ) from error
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, base) and value.__module__.startswith(path):
            return value
    return None


def _declared(name: str, base: type[T]) -> type[T] | None:
    """The class of a connector that is a YAML file."""
    # By name: this floor imports nothing above it.
    maker = importlib.import_module("dataflow_platform.connectors.rest.declared")
    found: type[T] = maker.connector(name, connector_files()[name])
    return found if issubclass(found, base) else None


def source(name: str) -> type[Source]:
    """The source class of connector ``name``; ConfigError where there is none."""
    found = _plugin_class("connectors", name, Source)
    if found is None:
        raise ConfigError(
            "connector.not_a_source", f"connector '{name}' cannot be read from", fix="pick another source"
        )
    return found


def destination(name: str) -> type[Destination]:
    """The destination class of connector ``name``; ConfigError where there is none."""
    found = _plugin_class("connectors", name, Destination)
    if found is None:
        raise ConfigError(
            "connector.not_a_destination", f"connector '{name}' cannot be loaded into", fix="pick another destination"
        )
    return found


def roles(name: str) -> dict[str, type[Source] | type[Destination]]:
    """The roles ('source', 'destination') connector ``name`` plays, with the class of each."""
    found: dict[str, type[Source] | type[Destination]] = {}
    as_source = _plugin_class("connectors", name, Source)
    as_destination = _plugin_class("connectors", name, Destination)
    if as_source:
        found["source"] = as_source
    if as_destination:
        found["destination"] = as_destination
    return found


def _only(kind: Kind, name: str, base: type[T]) -> type[T]:
    found = _plugin_class(kind, name, base)
    if found is None:
        raise ConfigError(
            f"{_WORDS[kind].replace(' ', '_')}.empty",
            f"module '{modules(kind)[name]}' holds no {base.__name__}",
            fix=f"define one subclass of {base.__name__} in it",
        )
    return found


def transformation(name: str) -> type[Transformation]:
    """The class of transformation ``name``."""
    return _only("transformations", name, Transformation)


def check(name: str) -> type[Check]:
    """The class of check ``name``."""
    return _only("checks", name, Check)


def load_strategy(name: str) -> type[LoadStrategy]:
    """The class of load strategy ``name``."""
    return _only("load_strategies", name, LoadStrategy)
