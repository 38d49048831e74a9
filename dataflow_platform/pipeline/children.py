"""Child streams: lists inside the rows of a stream as tables of their own."""

from collections.abc import Iterator, Sequence
from typing import Any

from dataflow_platform.core.child_list import ChildList
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.pipeline.document import Document, Path_
from dataflow_platform.pipeline.spec import ChildStream, ChildStreamSpec, StreamSpec

_READING = ("from_", "cursor", "lookback", "upper_bound", "reconcile", "freshness", "owners", "tags")
"""What a child has of its parent: it reads the same rows."""
_OWN = ("description", "primary_key", "transform", "checks", "contract")
_STEP = "child_rows"


def with_children(streams: Sequence[tuple[StreamSpec, Path_]], document: Document) -> list[tuple[StreamSpec, Path_]]:
    """The streams, each followed by those its lists become."""
    found: list[tuple[StreamSpec, Path_]] = []
    for stream, path in streams:
        found += [(stream, path), *_children(stream, path, stream.children, document)]
    _refuse_twice(found, document)
    return found


def _children(
    parent: StreamSpec, path: Path_, children: dict[str, ChildStream], document: Document
) -> Iterator[tuple[StreamSpec, Path_]]:
    for name, child in children.items():
        place = (*path, "children", name)
        keys = child.keys or parent.primary_key
        if not keys:
            raise ConfigError(
                "children.keys", f"child stream '{name}' has no keys of its parent", where=document.locate(*place),
                fix="name the parent's columns that go along: keys: [id]",
            )  # fmt: skip
        _refuse_unmasked(parent, child, keys, document, place)
        split = {field: getattr(child, field) for field in ChildList.model_fields} | {"keys": keys}
        own = {field: getattr(child, field) for field in _OWN}
        shared = {field: getattr(parent, field) for field in _READING}
        above = parent.splits if isinstance(parent, ChildStreamSpec) else ()
        concealed = bool(_masked(parent.transform)) or (isinstance(parent, ChildStreamSpec) and parent.conceals)
        made = ChildStreamSpec.model_validate(
            {
                **own,
                **shared,
                "name": name,
                "load": child.load or _load(parent),
                "splits": (*above, {_STEP: split}),
                "conceals": concealed,
            }
        )
        yield made, place
        yield from _children(made, place, child.children, document)


def _refuse_unmasked(
    parent: StreamSpec, child: ChildStream, keys: Sequence[str] | dict[str, str], document: Document, place: Path_
) -> None:
    """Invariant 7, nothing clear is written: a child reads what its parent reads, and its parent's masks are not its.

    Columns that were renamed before they are masked are not recognised.
    """
    hidden = _masked(parent.transform)
    own = _masked(child.transform)
    going = dict(keys) if isinstance(keys, dict) else {key: key for key in keys}
    bare = [key for key, name in going.items() if key.casefold() in hidden and name.casefold() not in own]
    if child.of.partition(".")[0].casefold() in hidden and not own:
        bare.append(child.of)
    if bare:
        raise ConfigError(
            "children.unmasked", f"stream '{parent.name}' masks '{bare[0]}', its child stream takes it in clear",
            where=document.locate(*place), fix="mask it in the child's transform as well: with the same key it joins",
        )  # fmt: skip


def _masked(steps: Sequence[dict[str, Any]]) -> set[str]:
    """The columns that steps of a YAML file mask, in small letters."""
    masks = [step["mask"] for step in steps if isinstance(step.get("mask"), dict)]
    listed = [mask.get("columns", mask) for mask in masks]
    return {str(name).casefold() for columns in listed if isinstance(columns, dict) for name in columns}


def _load(parent: StreamSpec) -> str | dict[str, Any]:
    """Appended rows bring their lists with them; otherwise the lists are those of all rows."""
    return parent.load if parent.load == "append" else "replace"


def _refuse_twice(streams: Sequence[tuple[StreamSpec, Path_]], document: Document) -> None:
    seen: set[str] = set()
    for stream, path in streams:
        if isinstance(stream, ChildStreamSpec) and stream.name.casefold() in seen:
            raise ConfigError(
                "streams.duplicate", f"two streams are called '{stream.name}'", where=document.locate(*path),
                fix="give the child stream another name",
            )  # fmt: skip
        seen.add(stream.name.casefold())
