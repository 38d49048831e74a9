"""Rules of the house that no linter knows."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from dataflow_platform.cli.main import group
from dataflow_platform.core import registry

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dataflow_platform"
FILES = sorted(PACKAGE.rglob("*.py"))
GRAB_BAGS = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "tools"}
# What the import name does not say: import name -> name on the package index.
DISTRIBUTIONS = {
    "dotenv": "python-dotenv",
    "graphql": "graphql-core",
    "yaml": "pyyaml",
    "psycopg2": "psycopg2-binary",
    "dbt": "dbt-core",
    "openlineage": "openlineage-python",
}


def all_code() -> list[Path]:
    return [*FILES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_there_is_code_to_look_at() -> None:
    # The five floors alone have more files than this.
    assert len(FILES) > 20


def test_no_file_is_longer_than_400_lines() -> None:
    long = {str(f.relative_to(ROOT)): n for f in all_code() if (n := len(f.read_text().splitlines())) > 400}
    assert long == {}


def test_no_function_is_longer_than_60_lines() -> None:
    long = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for file in all_code()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > 60
    ]
    assert long == []


def test_annotations_are_never_strings_by_future_import() -> None:
    # Dagster and pydantic read annotations at run time.
    assert [str(file) for file in FILES if "__future__" in imports(file)] == []


@pytest.mark.parametrize("banned", ["pickle", "cloudpickle", "marshal", "shelve", "dill", "joblib"])
def test_nothing_is_pickled(banned: str) -> None:
    assert [str(file) for file in FILES if banned in {name.partition(".")[0] for name in imports(file)}] == []


def test_nothing_private_of_dagster_is_used() -> None:
    private = re.compile(r"\bdagster(_\w+)?\._\w")
    assert [str(file) for file in FILES if private.search(file.read_text())] == []


def test_modules_are_named_after_what_they_do() -> None:
    names = [(file.stem, file.parent.name) for file in FILES]
    assert [name for name in names if GRAB_BAGS & set(name)] == []


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {re.split(r"[\[<>=!~; ]", line)[0].lower().replace("_", "-") for line in lines}
    # pydantic-core is pydantic's own core, pinned by it exactly.
    declared.add("pydantic-core")
    used = {name.partition(".")[0] for file in FILES for name in imports(file)}
    ours = {"dataflow_platform", *sys.stdlib_module_names}
    wanted = {DISTRIBUTIONS.get(name, name).replace("_", "-") for name in used - ours}
    assert wanted - declared == set()


def test_every_bound_has_its_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    dependency = re.compile(r'^\s+"[A-Za-z0-9._\-\[\],]+\s*[<>=!~].*",?$')
    bare = [
        line.strip()
        for before, line in itertools.pairwise(lines)
        if dependency.match(line) and not before.strip().startswith("#")
    ]
    assert bare == []


def secret_words(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Key and text of everything in a YAML value that is named like a secret."""
    if isinstance(value, dict):
        for inner_key, inner in value.items():
            yield from secret_words(inner, str(inner_key))
    elif isinstance(value, list):
        for inner in value:
            yield from secret_words(inner, key)
    elif re.fullmatch(r"(?i).*(password|secret|token|api_?key|credential).*|key", key):
        yield key, str(value)


def test_no_secret_stands_in_a_shipped_definition() -> None:
    found = [
        (file.name, key)
        for file in (PACKAGE / "defs").rglob("*.yaml")
        for document in yaml.safe_load_all(file.read_text())
        for key, text in secret_words(document)
        if "{{" not in text
    ]
    assert found == []


def test_a_secret_in_a_definition_would_be_found() -> None:
    assert list(secret_words({"a": [{"password": "hunter2"}]})) == [("password", "hunter2")]


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  make (\w+) +\w", shown, re.MULTILINE)
    assert listed == phony.split()
    assert set(re.findall(r"^([a-z]+):", text, re.MULTILINE)) == set(listed)


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in [*lines, *re.findall(r"`((?:make|\.venv/bin/)[^`]+)`", text)] if line]


def test_the_commands_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    context = click.Context(group)
    seen = set()
    for command in readme_commands():
        words = [word for word in command.split() if "=" not in word]
        if words[0] == "make":
            assert words[1] in targets, command
        elif words[0] == ".venv/bin/dataflow":
            assert isinstance(group, click.Group)
            assert group.get_command(context, words[1]) is not None, command
        seen.add(words[0])
    assert {"make", ".venv/bin/dataflow", ".venv/bin/dg"} <= seen


def test_links_and_pictures_of_the_documents_exist() -> None:
    documents = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
    missing = [
        f"{document.name}: {link}"
        for document in documents
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text())
        if not (document.parent / link).exists()
    ]
    assert missing == []


def test_the_pipeline_of_the_readme_is_valid() -> None:
    from dataflow_platform.pipeline.spec import PipelineSpec, StreamSpec

    block, patterns = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    PipelineSpec.model_validate(yaml.safe_load(patterns)["attributes"])
    spec = PipelineSpec.model_validate(yaml.safe_load(block)["attributes"])
    (stream,) = spec.streams
    assert isinstance(stream, StreamSpec)
    assert isinstance(spec.source, dict)
    fields = dict(spec.source)
    connector = registry.source(fields.pop("type"))
    connector(**fields)
    connector.StreamOptions.model_validate(stream.from_)
    assert isinstance(stream.load, str)
    registry.load_strategy(stream.load)
    for item in stream.checks:
        ((name, value),) = item.items()
        registry.check(name).model_validate(value)


def test_what_proves_an_invariant_exists() -> None:
    text = (ROOT / "docs" / "invariants.md").read_text()
    rows = re.findall(r"^\| (\d) \|.*\|$", text, re.MULTILINE)
    assert rows == ["1", "2", "3", "4", "5", "6", "7"]
    paths = re.findall(r"`((?:dataflow_platform|tests|benchmarks)[\w/.]*)(?:::\w+)?`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_agents_file_is_short() -> None:
    # Sixty lines: what is longer is not read.
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) <= 60
