"""YAML files with the line of every value, so that each error shows where it is."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jinja2 import TemplateError
from jinja2.sandbox import SandboxedEnvironment

from dataflow_platform.core.errors import ConfigError, Location, did_you_mean

# The C loader reads a thousand pipelines in a tenth of the time; it is in every binary wheel.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """One YAML document: its plain values, and the line of each by path."""

    file: Path
    value: Mapping[str, Any]
    lines: Mapping[Path_, int] = field(default_factory=dict, repr=False)

    def locate(self, *path: str | int) -> Location:
        """Where the value at ``path`` stands: file, line and an excerpt; the nearest parent if it is absent."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        return Location(shown(self.file), line, dotted(path) or None, _excerpt(self.file, line))


def dotted(path: Path_) -> str:
    """``('streams', 0, 'name')`` as ``streams[0].name``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(file: Path) -> str:
    """``file`` relative to the current folder where it lies below it."""
    try:
        return str(file.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def _excerpt(file: Path, line: int) -> str | None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    around = range(max(1, line - 1), min(len(lines), line + 1) + 1)
    return "\n".join(f"{'>' if number == line else ' '} {number:>3} | {lines[number - 1]}" for number in around)


def read(file: Path) -> list[Document]:
    """Every document of ``file``; ConfigError with line and excerpt where it is no YAML."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "yaml.unreadable",
            f"cannot read the file: {error}",
            where=Location(shown(file)),
            fix="check rights and encoding",
        ) from error
    documents = []
    try:
        for node in yaml.compose_all(text, Loader=_Loader):
            if node is not None:
                documents.append(_document(file, node))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise ConfigError(
            "yaml.syntax",
            f"this is no YAML: {getattr(error, 'problem', None) or error}",
            where=Location(shown(file), line, None, _excerpt(file, line)),
            fix="correct the line (indentation, a colon, a quote)",
        ) from error
    return documents


def _document(file: Path, node: yaml.Node) -> Document:
    lines: dict[Path_, int] = {}
    duplicates: list[tuple[Path_, int]] = []
    _collect(node, (), lines, duplicates)
    loader = _Loader("")
    try:
        value = loader.construct_document(node)
    finally:
        loader.dispose()
    if not isinstance(value, dict):
        raise ConfigError(
            "yaml.form",
            "a definition is a mapping with `type` and `attributes`",
            where=Location(shown(file), 1),
            fix="start the file with: type: dataflow_platform.Pipeline",
        )
    document = Document(file, value, lines)
    for path, line in duplicates:
        raise ConfigError(
            "yaml.duplicate_key",
            f"key '{path[-1]}' is given twice",
            where=Location(shown(file), line, dotted(path), _excerpt(file, line)),
            fix="keep one of them",
        )
    return document


def _collect(node: yaml.Node, path: Path_, lines: dict[Path_, int], duplicates: list[tuple[Path_, int]]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            line = key.start_mark.line + 1
            if inner in lines:
                duplicates.append((inner, line))
            lines[inner] = line
            _collect(value, inner, lines, duplicates)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _collect(value, (*path, position), lines, duplicates)


class _Environment:
    """``env`` in templates: ``{{ env.NAME }}`` must be set, ``{{ env('NAME', 'default') }}`` need not."""

    # By item, not by attribute: the template engine asks its own attributes of everything it calls.
    def __getitem__(self, name: str) -> str:
        return self(name)

    def __call__(self, name: str, default: str | None = None) -> str:
        value = os.environ.get(name, default)
        if value is None:
            raise ConfigError(
                "variable.missing",
                f"environment variable {name} is not set",
                fix=did_you_mean(name, _likely(name), f"set it in the environment or in .env: {name}=..."),
            )
        return value


def _likely(name: str) -> Iterator[str]:
    # Only names that share a prefix: the whole environment is nobody's suggestion list.
    prefix = name.split("_")[0]
    return (known for known in os.environ if known.startswith(prefix))


_TEMPLATES = SandboxedEnvironment(autoescape=False)


def render(document: Document, value: Any, path: Path_ = ()) -> Any:
    """``value`` with every ``{{ env.NAME }}`` filled in; ConfigError with its place where one is missing."""
    if isinstance(value, dict):
        return {key: render(document, inner, (*path, str(key))) for key, inner in value.items()}
    if isinstance(value, list):
        return [render(document, inner, (*path, position)) for position, inner in enumerate(value)]
    if not isinstance(value, str) or "{{" not in value:
        return value
    try:
        return _TEMPLATES.from_string(value).render(env=_Environment())
    except ConfigError as error:
        raise error.at(document.locate(*path)) from None
    except TemplateError as error:
        raise ConfigError(
            "template.syntax",
            f"cannot fill in the template: {error}",
            where=document.locate(*path),
            fix="only {{ env.NAME }} and {{ env('NAME', 'default') }} are known",
        ) from error
