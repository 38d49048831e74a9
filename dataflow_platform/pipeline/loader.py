"""Reads a defs folder: our YAML documents directly, everything else through Dagster's component tree.

Why not all through Dagster's tree: one file it cannot read takes the whole location down, and a
thousand pipelines cost ten times the CPU. See docs/decisions.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dataflow_platform.core.errors import ConfigError, DataflowError, did_you_mean
from dataflow_platform.pipeline import build, resolve
from dataflow_platform.pipeline.document import Document, read
from dataflow_platform.pipeline.resolve import Connection

PREFIX = "dataflow_platform."
FILE_NAMES = ("defs.yaml", "defs.yml")


@dataclass
class Loaded:
    """A defs folder: what was built, and the YAML files that are somebody else's components."""

    built: build.Built
    connections: dict[str, Connection]
    foreign: list[Path] = field(default_factory=list)


def load_folder(folder: Path) -> Loaded:
    """Everything below ``folder``. Never raises for a bad file: it becomes a failing asset and a problem."""
    documents, foreign, built = _read_all(folder)
    connections = _connections(documents, built)
    for document in documents:
        kind = str(document.value["type"]).removeprefix(PREFIX)
        if kind == "Pipeline":
            built.add(build.pipeline(document, connections))
        elif kind == "Job":
            built.add(build.job(document))
        elif kind != "Connections":
            built.add(build.broken(document, _unknown_type(document)))
    return Loaded(built, connections, foreign)


def _read_all(folder: Path) -> tuple[list[Document], list[Path], build.Built]:
    built = build.Built()
    ours: list[Document] = []
    foreign: list[Path] = []
    for file in sorted(path for name in FILE_NAMES for path in folder.rglob(name)):
        try:
            documents = read(file)
        except DataflowError as error:
            built.add(build.broken(file, error))
            continue
        mine = [document for document in documents if str(document.value.get("type", "")).startswith(PREFIX)]
        untyped = [document for document in documents if "type" not in document.value]
        for document in untyped:
            built.add(build.broken(document, _without_type(document)))
        ours += mine
        if len(mine) + len(untyped) < len(documents):
            foreign.append(file)
    return ours, foreign, built


def _connections(documents: list[Document], built: build.Built) -> dict[str, Connection]:
    found: dict[str, Connection] = {}
    for document in documents:
        if document.value["type"] != f"{PREFIX}Connections":
            continue
        try:
            declared = resolve.connections(document)
        except DataflowError as error:
            built.add(build.broken(document, error))
            continue
        for name, connection in declared.items():
            if name in found:
                where = document.locate("attributes", "connections", name)
                twice = ConfigError(
                    "connection.duplicate", f"connection '{name}' is declared twice", where=where,
                    fix=f"rename one of them; the other is in {found[name].document.file}",
                )  # fmt: skip
                built.add(build.broken(document, twice))
            found[name] = connection
    return found


def read_connections(folder: Path) -> dict[str, Connection]:
    """The named connections declared anywhere below ``folder``; no pipeline is built."""
    documents, _, built = _read_all(folder)
    return _connections(documents, built)


@cache
def connections_below(folder: Path) -> dict[str, Connection]:
    """The same, read once a process, for pipelines loaded one by one."""
    return read_connections(folder)


def _unknown_type(document: Document) -> ConfigError:
    kind = str(document.value["type"])
    known = [f"{PREFIX}{name}" for name in ("Pipeline", "Connections", "Job")]
    return ConfigError(
        "type.unknown",
        f"unknown type '{kind}'",
        where=document.locate("type"),
        fix=did_you_mean(kind, known, "a definition is a Pipeline, Connections or Job"),
    )


def _without_type(document: Document) -> ConfigError:
    return ConfigError(
        "key.missing", "'type' is missing", where=document.locate(), fix="add it: type: dataflow_platform.Pipeline"
    )
