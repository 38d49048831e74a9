"""The SQL of dbt models from a manifest alone: Jinja with the macros the manifest holds, no dbt, no database."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, TemplateError, Undefined
from jinja2.ext import do
from jinja2.sandbox import SandboxedEnvironment

from dataflow_platform.core.errors import ConfigError

Node = Mapping[str, Any]


class _Returned(Exception):
    """What a macro gave back by `return(...)`."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Manifest:
    """A dbt manifest as ``dbt parse`` writes it. ``variables`` are those of dbt_project.yml, which it lacks."""

    def __init__(self, content: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        self.content = content
        self.variables = variables
        self.project = str(content["metadata"].get("project_name") or "")
        self.dialect = str(content["metadata"].get("adapter_type") or "duckdb")
        self.nodes: Mapping[str, Node] = {**content.get("nodes", {}), **content.get("sources", {})}

    def sql(self, node: Node) -> str:
        """The SQL of a node; ConfigError ``dbt.render`` where it cannot be told without a database."""
        compiled = node.get("compiled_code")
        if compiled:
            return str(compiled)
        try:
            return _Rendering(self, node).text()
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            raise ConfigError(
                "dbt.render", f"the SQL of {node['name']} cannot be told without dbt: {error}",
                where=str(node.get("original_file_path", "")), fix="run dbt compile, which writes it into the manifest",
            ) from error  # fmt: skip

    def named(self, name: str, package: str | None, kind: tuple[str, ...]) -> Node:
        """A model, seed or snapshot by the name `ref` gives it."""
        for node in self.nodes.values():
            if node["name"] == name and node["resource_type"] in kind and package in (None, node["package_name"]):
                return node
        raise KeyError(f"ref('{name}')")

    def source(self, source: str, table: str) -> Node:
        """A table of a source."""
        for node in self.content.get("sources", {}).values():
            if node["source_name"] == source and node["name"] == table:
                return dict(node)
        raise KeyError(f"source('{source}', '{table}')")


class _Rendering:
    """One node's text, with what dbt's Jinja knows while it parses."""

    def __init__(self, manifest: Manifest, node: Node) -> None:
        self._manifest = manifest
        self._node = node
        self._macros = _macros_by_name(manifest)
        self._made: dict[str, Callable[..., Any]] = {}
        self._environment: Environment = SandboxedEnvironment(extensions=[do], undefined=_Called)
        self._environment.globals.update(self._globals())

    def text(self) -> str:
        """The SQL."""
        return self._environment.from_string(str(self._node.get("raw_code") or "")).render()

    def _globals(self) -> dict[str, Any]:
        node, project = self._node, self._manifest.project
        known: dict[str, Any] = {
            "ref": self._ref, "source": self._source, "var": self._var, "config": _Config(node.get("config", {})),
            "env_var": lambda name, default="": os.environ.get(name, default), "this": _relation(node),
            "is_incremental": lambda: False, "execute": False, "return": _give_back, "log": lambda *_, **__: "",
            "model": node, "target": _Target(node, self._manifest.dialect), "adapter": _Adapter(self),
            "project_name": project, "flags": {}, "modules": {}, "run_query": _refuse("run_query"),
            "statement": _refuse("statement"), "doc": lambda *_: "", "builtins": {}, "none": None,
        }  # fmt: skip
        # A macro of the project goes before one of a package, that before dbt's own.
        for name in self._macros:
            known.setdefault(name, self.macro(name))
        for package in {macro["package_name"] for macros in self._macros.values() for macro in macros}:
            known.setdefault(package, _Package(self, package))
        return known

    def macro(self, name: str, package: str | None = None) -> Callable[..., Any]:
        """A macro, made when it is called."""

        def call(*arguments: Any, **named: Any) -> Any:
            found = [each for each in self._macros.get(name, []) if package in (None, each["package_name"])]
            if not found:
                raise KeyError(f"macro {name}")
            key = str(found[0]["unique_id"])
            if key not in self._made:
                module = self._environment.from_string(found[0]["macro_sql"]).module
                self._made[key] = getattr(module, name)
            try:
                return self._made[key](*arguments, **named)
            except _Returned as returned:
                return returned.value

        return call

    def dispatched(self, name: str) -> Callable[..., Any]:
        """What `adapter.dispatch` chooses."""
        for prefix in (self._manifest.dialect, "default"):
            if f"{prefix}__{name}" in self._macros:
                return self.macro(f"{prefix}__{name}")
        raise KeyError(f"macro {name}")

    def _ref(self, *names: str, **version: Any) -> str:
        package, name = names if len(names) == 2 else (None, names[0])
        return _relation(self._manifest.named(name, package, ("model", "seed", "snapshot")))

    def _source(self, source: str, table: str) -> str:
        return _relation(self._manifest.source(source, table))

    def _var(self, name: str, default: Any = None) -> Any:
        variables = self._manifest.variables
        own = variables.get(self._node.get("package_name", ""))
        found = own.get(name, variables.get(name)) if isinstance(own, Mapping) else variables.get(name)
        if found is None and default is None:
            raise KeyError(f"var('{name}')")
        return default if found is None else found


class _Called(Undefined):
    """A name nobody knows: an error where it is used, none where it is only asked for."""


class _Config:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def __call__(self, *_: Any, **__: Any) -> str:
        return ""

    def get(self, name: str, default: Any = None, **_: Any) -> Any:
        return self._settings.get(name, default)

    def require(self, name: str, **_: Any) -> Any:
        return self._settings[name]


class _Target:
    def __init__(self, node: Node, kind: str) -> None:
        self.type, self.name = kind, os.environ.get("DATAFLOW_DBT_TARGET", kind)
        self.schema, self.database, self.dbname = node.get("schema"), node.get("database"), node.get("database")


class _Adapter:
    def __init__(self, rendering: _Rendering) -> None:
        self._rendering = rendering

    def dispatch(self, name: str, *_: Any, **__: Any) -> Callable[..., Any]:
        return self._rendering.dispatched(name)

    def quote(self, name: str) -> str:
        return f'"{name}"'


class _Package:
    def __init__(self, rendering: _Rendering, package: str) -> None:
        self._rendering = rendering
        self._package = package

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._rendering.macro(name, self._package)


def _macros_by_name(manifest: Manifest) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    macros = [each for each in manifest.content.get("macros", {}).values() if "materialization" not in each["name"]]
    for macro in sorted(macros, key=lambda each: _rank(each["package_name"], manifest)):
        found.setdefault(str(macro["name"]), []).append(macro)
    return found


def _rank(package: str, manifest: Manifest) -> int:
    if package == manifest.project:
        return 0
    return 2 if package == "dbt" or package == f"dbt_{manifest.dialect}" else 1


def _relation(node: Node) -> str:
    return str(node.get("relation_name") or f'"{node.get("schema")}"."{node.get("alias") or node["name"]}"')


def _give_back(value: Any = None) -> Any:
    raise _Returned(value)


def _refuse(name: str) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise ValueError(f"{name} asks the database")

    return call
