"""Two revisions of a project: which columns went, came or changed, and what of the new one is broken by that."""

from collections.abc import Iterator
from dataclasses import dataclass

from dataflow_platform.engine.lineage import DIRECT, Origin
from dataflow_platform.governance.column_graph import Asset, ColumnGraph, told
from dataflow_platform.governance.impact import impact_of


@dataclass(frozen=True)
class Comparison:
    """``changes``: what differs, harmless or not. ``breaks``: what cannot be made, or looks at what is gone."""

    changes: tuple[str, ...]
    breaks: tuple[str, ...]
    owners: tuple[str, ...]


def compare(base: ColumnGraph, now: ColumnGraph) -> Comparison:
    """What became of ``base``."""
    changes = [*_assets(base, now)]
    gone: list[Origin] = []
    owners: set[str] = set()
    for key, asset in now.assets.items():
        before = base.assets.get(key)
        if before is not None:
            changes += _columns(before, asset, gone)
    for key in base.assets.keys() - now.assets.keys():
        gone += [Origin(name, key) for name in base.assets[key].lineage.columns]
    breaks = [*dict.fromkeys(_breaks(base, now, gone))]
    for column in gone:
        owners.update(impact_of(base, column).owners)
    return Comparison(tuple(sorted(changes)), tuple(sorted(breaks)), tuple(sorted(owners)) if breaks else ())


def _assets(base: ColumnGraph, now: ColumnGraph) -> Iterator[str]:
    yield from (f"removed  {_dotted(key)}" for key in base.assets.keys() - now.assets.keys())
    yield from (f"new      {_dotted(key)}" for key in now.assets.keys() - base.assets.keys())


def _columns(before: Asset, asset: Asset, gone: list[Origin]) -> Iterator[str]:
    old, new = before.lineage, asset.lineage
    for name in old.columns:
        column = Origin(name, asset.key)
        no_longer_told = name in asset.assumed and name not in before.assumed
        if new.known(name) is None or no_longer_told:
            # A column that was only assumed, and that nobody reads any more, may well be there.
            if name not in before.assumed or asset.complete:
                gone.append(column)
                yield f"removed  {told(column)}"
            continue
        one, two = before.types.get(name), asset.types.get(name)
        if one and two and one != two:
            yield f"type     {told(column)}: {one} -> {two}"
        mine = {origin for origin, kinds in (old.known(name) or {}).items() if kinds & DIRECT}
        theirs = {origin for origin, kinds in (new.known(name) or {}).items() if kinds & DIRECT}
        if mine != theirs:
            yield f"origin   {told(column)}: {_all(mine)} -> {_all(theirs)}"
    for name in new.columns:
        if old.known(name) is None and name not in asset.assumed:
            yield f"new      {told(Origin(name, asset.key))}"
    if before.definition != asset.definition:
        yield f"changed  {_dotted(asset.key)}"


def _breaks(base: ColumnGraph, now: ColumnGraph, gone: list[Origin]) -> Iterator[str]:
    lost = set(gone)
    removed = base.assets.keys() - now.assets.keys()
    for key, asset in now.assets.items():
        before = base.assets.get(key)
        for sentence in asset.wrong:
            # The steps of a stream fit or do not; a model may lose one column more.
            known = before is not None and (sentence in before.wrong or (asset.kind == "stream" and before.wrong))
            if not known:
                yield f"asset    {_dotted(key)} {sentence}"
        yield from (
            f"asset    {_dotted(key)} reads {_dotted(each)}, which is gone" for each in asset.reads if each in removed
        )
        for guard in asset.guards:
            for column in lost.intersection(guard.columns):
                yield f"{guard.kind}  {_dotted(key)}: {guard.name} looks at {told(column)}, which is gone"
    for edge in now.edges():
        if edge.origin in lost:
            yield f"asset    {_dotted(edge.target.table)} reads {told(edge.origin)}, which is not there"
    for exposure in now.exposures:
        for column in gone:
            if column.table in exposure.reads:
                yield f"exposure {exposure.name} reads {_dotted(column.table)}, which lacks '{column.column}' now"


def _all(origins: set[Origin]) -> str:
    return ", ".join(sorted(map(told, origins))) or "nothing"


def _dotted(key: str) -> str:
    return key.replace("/", ".")
