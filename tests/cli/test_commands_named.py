"""Every `dataflow ...` command that a text of ours names is a command: in fixes, pages and the README."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dataflow_platform.cli.main import VERBS, group
from dataflow_platform.core import registry

ROOT = Path(__file__).parents[2]
# In code only what stands in quotes or back-ticks; in Markdown and YAML what stands in back-ticks or code blocks.
_NAMED = re.compile(r"""["'`(]\s*dataflow ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?""")
_BLOCK = re.compile(r"^(?:\$ |\.venv/bin/)?dataflow ([a-z-]+)(?: ([a-z-]+))?", re.MULTILINE)


def named() -> Iterator[tuple[str, str, str | None]]:
    """File, verb and the word behind it, wherever one of our texts names a command."""
    for file in [*(ROOT / "dataflow_platform").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = file.read_text(encoding="utf-8")
        found = _NAMED.findall(text) + (_BLOCK.findall(text) if file.suffix == ".md" else [])
        for verb, word in found:
            yield str(file.relative_to(ROOT)), verb, word or None


def test_there_are_such_texts() -> None:
    assert len({verb for _, verb, _ in named()}) > 5


@pytest.mark.parametrize(("file", "verb", "word"), sorted(set(named()), key=str))
def test_the_command_exists(file: str, verb: str, word: str | None) -> None:
    assert verb in VERBS, f"{file} names `dataflow {verb}`"
    command = group.get_command(click.Context(group), verb)
    if isinstance(command, click.Group) and word is not None:
        assert word in command.commands, f"{file} names `dataflow {verb} {word}`"


@pytest.mark.parametrize("kind", registry.KINDS)
def test_the_list_that_an_unknown_plug_in_points_to_exists(kind: registry.Kind) -> None:
    # core/registry.py makes the command's name from the kind.
    command = group.get_command(click.Context(group), kind.replace("_", "-"))
    assert isinstance(command, click.Group)
    assert "list" in command.commands
