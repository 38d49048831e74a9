"""The reference pages, written from what the code says of itself: fields, facts, docstrings, commands."""

import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dataflow_platform.core import registry
from dataflow_platform.core.base import Check, ConnectorFacts, DestinationFacts
from dataflow_platform.core.evidence import proofs

GENERATED = "<!-- Written by `dataflow docs` from the code. Change the code, not this page. -->\n"
EVIDENCE = {
    "real_server": "tests run against the product itself",
    "vendor_emulator": "tests run against an emulator by the product's vendor",
    "community_emulator": "tests run against a third party's emulator",
    "own_stub": "tests run against a stub of our own",
    "contract": "its SQL is compiled under test by its own dialect; no server was reached",
    "unverified": "never tried",
}
_WORDS: dict[Any, str] = {
    str: "text", int: "integer", float: "number", bool: "true/false", dict: "map", list: "list",
    Any: "anything", None: "null", type(None): "null",
}  # fmt: skip


def ours(kind: registry.Kind) -> list[str]:
    """The names of the shipped plug-ins of ``kind`` that are code; third parties document theirs."""
    from dataflow_platform.cli.catalogue_page import CATALOG_MODULE

    found = sorted(registry.modules(kind).items())
    return [
        name for name, module in found
        if module.startswith("dataflow_platform.") and not module.startswith(CATALOG_MODULE)
    ]  # fmt: skip


def describe_type(annotation: Any) -> str:
    """What a person may write for a field of this type, in words."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe_type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(describe_type(part) for part in arguments if part is not type(None))
    if origin is not None and issubclass(origin, Mapping):
        return f"map of {describe_type(arguments[0])} to {describe_type(arguments[1])}"
    if origin in (list, tuple, set, frozenset):
        return f"list of {describe_type(arguments[0])}"
    return str(getattr(annotation, "__name__", annotation))


def nested_models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The models ``model``'s fields are made of, each once, in the order they appear."""
    found: list[type[BaseModel]] = []

    def visit(annotation: Any) -> None:
        if inspect.isclass(annotation) and not get_args(annotation) and issubclass(annotation, BaseModel):
            if annotation not in found:
                found.append(annotation)
                for inner in annotation.model_fields.values():
                    visit(inner.annotation)
        else:
            for part in get_args(annotation):
                visit(part)

    for field in model.model_fields.values():
        visit(field.annotation)
    return found


def field_rows(model: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    """Name, type, default and description of every field, required ones first; a value as a whole has no name."""
    rows = []
    for name, field in model.model_fields.items():
        written = "(the value)" if name == "root" else (field.alias or name)
        rows.append((written, describe_type(field.annotation), _default(field), field.description or ""))
    return sorted(rows, key=lambda row: row[2] != "required")


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.default if field.default is not PydanticUndefined else field.default_factory()
    if isinstance(value, BaseModel):
        return type(value).__name__ if not value.model_dump(exclude_defaults=True) else repr(value)
    if value is None or value == "" or value == [] or value == {} or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def field_table(model: type[BaseModel], inherited: type[BaseModel] | None = None) -> str:
    """A Markdown table of the fields; those of ``inherited`` are left out (said once elsewhere)."""
    skip = set(inherited.model_fields) if inherited else set()
    rows = [row for row in field_rows(model) if row[0] not in skip]
    if not rows:
        return "No fields.\n"
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, kind, default, meaning in rows:
        shown = default if default in ("", "required") else f"`{default}`"
        lines.append("| " + " | ".join(_cell(part) for part in (f"`{name}`", kind, shown, meaning)) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def model_section(model: type[BaseModel], level: int, inherited: type[BaseModel] | None = None) -> str:
    """The fields of ``model`` and, below it, of every model they are made of."""
    parts = [_shorthand(model), field_table(model, inherited)]
    for inner in nested_models(model):
        parts += [f"{'#' * level} {inner.__name__}\n", _doc(inner), _shorthand(inner), field_table(inner)]
    return "\n".join(part for part in parts if part)


def _shorthand(model: type[BaseModel]) -> str:
    short = getattr(model, "shorthand", None)
    return f"A bare value stands for `{short}`.\n" if short else ""


def _doc(described: Any) -> str:
    text = inspect.cleandoc(described.__doc__ or "")
    return text.replace("``", "`") + "\n" if text else ""


def _page(title: str, lead: str, sections: Iterator[str]) -> str:
    text = "\n".join([f"# {title}\n", GENERATED, f"{lead}\n", *sections])
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


def connectors_page() -> str:
    """docs/connectors.md"""

    def sections() -> Iterator[str]:
        yield "| connector | system | reads | loads | family | evidence |\n|---|---|---|---|---|---|"
        for name in ours("connectors"):
            roles = registry.roles(name)
            facts = next(iter(roles.values())).facts
            reads, loads = ("yes" if role in roles else "" for role in ("source", "destination"))
            cells = (f"[{name}](#{name})", _cell(facts.title), reads, loads, facts.family, _evidence(name))
            yield f"| {' | '.join(cells)} |"
        yield "\nEvidence says what the tests of a connector ran against:\n"
        yield from (f"- `{word}`: {meaning}." for word, meaning in EVIDENCE.items())
        yield "\n`make evidence` runs those tests and writes down what passed, with the version each server told."
        explained: dict[type[BaseModel], str] = {}
        for name in ours("connectors"):
            yield f"\n## {name}\n"
            for role, plugin in registry.roles(name).items():
                yield f"### {name} as {role}\n"
                yield _doc(plugin)
                yield "\n".join(f"- {line}" for line in [*fact_lines(plugin.facts), *proof_lines(name, role)]) + "\n"
                if plugin.secret_fields:
                    secrets = ", ".join(f"`{field}`" for field in sorted(plugin.secret_fields))
                    yield f"- secrets, accepted only as `{{{{ env.NAME }}}}`: {secrets}\n"
                yield f"Connection:\n\n{model_section(plugin, 4)}"
                options = getattr(plugin, "StreamOptions", None)
                if options and options in explained:
                    yield f"Stream (`from:`): the options of [{explained[options]}](#{explained[options]}).\n"
                elif options:
                    explained[options] = name
                    yield f"Stream (`from:`):\n\n{model_section(options, 4)}"

    return _page("Connectors", "A connector is one file in `dataflow_platform/connectors/`.", sections())


def fact_lines(facts: ConnectorFacts) -> list[str]:
    """What a connector says of itself, a line each."""
    extra = (f"dataflow-platform[{facts.extra}]",) if facts.extra else ()
    wanted = " ".join(f"'{package}'" for package in (*extra, *facts.packages))
    lines = [
        f"title: {facts.title}",
        f"family: {facts.family}",
        f"evidence: {facts.evidence} ({facts.evidence_note})",
        f"install: `pip install {wanted}`" if wanted else "install: nothing more",
    ]
    if facts.grants:
        lines.append(f"rights: {facts.grants}")
    if isinstance(facts, DestinationFacts):
        lines += [
            f"load strategies: {', '.join(sorted(facts.load_strategies)) or 'none'}",
            f"schema evolutions: {', '.join(sorted(facts.evolutions)) or 'none'}",
            f"transaction: {facts.transaction}",
            f"writers: {'one process at a time' if facts.single_writer else 'many'}",
        ]
    return lines


def proof_lines(name: str, role: str) -> list[str]:
    """What the tests of connector ``name`` ran against, a line a server, with the tests' ids."""
    proof = proofs().get((name, role))
    if not proof:
        return ["ran against: nothing"]
    return [f"ran against {server}: {', '.join(f'`{test}`' for test in tests)}" for server, tests in proof.ran.items()]


def _evidence(name: str) -> str:
    """The claims of a connector's roles, each once, with the servers behind them."""
    told = []
    for role, plugin in registry.roles(name).items():
        claim, proof = plugin.facts.evidence, proofs().get((name, role))
        servers = ", ".join(proof.ran) if proof and proof.evidence == claim != "contract" else ""
        told.append(f"{claim}: {servers}" if servers else claim)
    return _cell("; ".join(dict.fromkeys(told)))


def plugin_page(
    kind: registry.Kind, title: str, lead: str, find: Callable[[str], Any], inherited: type[BaseModel] | None = None
) -> str:
    """One page for all plug-ins of ``kind``."""

    def sections() -> Iterator[str]:
        if inherited:
            yield f"## Common fields\n\n{field_table(inherited)}"
        for name in ours(kind):
            plugin = find(name)
            yield f"## {name}\n"
            yield _doc(plugin)
            if getattr(plugin, "needs_primary_key", False):
                yield "Needs `primary_key`.\n"
            yield model_section(plugin, 3, inherited)

    return _page(title, lead, sections())


def checks_page(lead: str) -> str:
    """docs/checks.md"""
    from dataflow_platform.core import anomaly
    from dataflow_platform.pipeline.typed_rule import READINGS, TypedRule

    parts = [
        plugin_page("checks", "Checks", lead, registry.check, Check),
        f"## Rules as type, field, condition\n\n{_doc(TypedRule)}",
        "`- {type: range, field: age, condition: 0..120, severity: error}` is `- in_range: {column: age, min: 0, "
        "max: 120, severity: error}`.\n",
        field_table(TypedRule),
        "| type | check | condition |\n|---|---|---|",
        *(
            f"| `{name}` | [{reading.check}](#{reading.check}) | {_cell(reading.example)} |"
            for name, reading in READINGS.items()
        ),
        "\n## Detectors of anomaly\n",
    ]
    for name in anomaly.names():
        detector = type(anomaly.detector(name))
        parts += [f"### {name}\n", _doc(detector), field_table(detector)]
    return "\n".join(line.rstrip() for line in "\n".join(parts).rstrip().splitlines()) + "\n"


def pipeline_page() -> str:
    """docs/pipeline.md"""
    from dataflow_platform.pipeline.spec import ConnectionsSpec, JobSpec, PipelineSpec

    def sections() -> Iterator[str]:
        for name, model in (("Pipeline", PipelineSpec), ("Connections", ConnectionsSpec), ("Job", JobSpec)):
            yield f"## {name}\n"
            yield f"`type: dataflow_platform.{name}`\n"
            yield _doc(model)
            yield model_section(model, 3)

    lead = (
        "A `defs.yaml` holds one or more documents, each with a `type` and `attributes`. "
        "`docs/pipeline.schema.json` says the same to an editor."
    )
    return _page("Pipeline YAML", lead, sections())


def cli_page(group: click.Command, name: str = "dataflow") -> str:
    """docs/cli.md"""

    def sections(command: click.Command, path: str) -> Iterator[str]:
        context = click.Context(command, info_name=path)
        if path != name:
            yield f"## {path}\n"
        yield inspect.cleandoc(command.help or "") + "\n"
        yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
        options = [record for p in command.params if (record := p.get_help_record(context))]
        if options:
            yield "| option | meaning |\n|---|---|"
            yield "\n".join(f"| `{_cell(option)}` | {_cell(meaning)} |" for option, meaning in options) + "\n"
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found and not found.hidden:
                    yield from sections(found, f"{path} {child}")

    return _page("Command line", "Every command of `dataflow`.", sections(group, name))


def pages(cli: click.Command) -> dict[Path, str]:
    """Path below the project root -> text of every generated file."""
    from dataflow_platform.cli import catalogue_page, portability_page
    from dataflow_platform.cli.schema import pipeline_schema

    docs = Path("docs")
    steps = (
        "A step of `transform:` is one file in `dataflow_platform/transformations/`; steps run in order as one query."
    )
    checks = (
        "A rule of `checks:` is one file in `dataflow_platform/checks/`; all rules of a stream run as one SQL pass."
    )
    loads = "The strategy of `load:` is one file in `dataflow_platform/load_strategies/`."
    return {
        docs / "connectors.md": connectors_page(),
        docs / "rest_connectors.md": _page(
            "Connectors to APIs", "A connector to an API is one YAML file.", catalogue_page.rest_sections()
        ),
        docs / "catalogue.md": _page(
            "Catalogue of APIs",
            "Each is one file in `dataflow_platform/connectors/catalog/`.",
            catalogue_page.catalogue_sections(),
        ),
        docs / "connector.schema.json": catalogue_page.connector_schema(),
        docs / "transformations.md": plugin_page("transformations", "Transformations", steps, registry.transformation),
        docs / "checks.md": checks_page(checks),
        docs / "load_strategies.md": plugin_page("load_strategies", "Load strategies", loads, registry.load_strategy),
        docs / "pipeline.md": pipeline_page(),
        docs / "pipeline.schema.json": pipeline_schema(),
        docs / "portability.md": portability_page.page(GENERATED),
        docs / "cli.md": cli_page(cli),
    }
