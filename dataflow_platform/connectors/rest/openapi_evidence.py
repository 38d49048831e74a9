"""What holding the catalogue against the vendors' descriptions brought: `connectors/catalog/evidence.json`.

Written by its test with DATAFLOW_WRITE_EVIDENCE=1, where the descriptions are at hand; read by the catalogue's page.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache

from dataflow_platform.connectors.rest.openapi import Description
from dataflow_platform.connectors.rest.openapi_check import verify
from dataflow_platform.connectors.rest.openapi_graphql import GraphqlDescription
from dataflow_platform.connectors.rest.spec import ConnectorSpec
from dataflow_platform.core.registry import CATALOG

FILE = CATALOG / "evidence.json"


@dataclass(frozen=True)
class Evidence:
    """The description's own title and version, how many facts hold, and the places it says nothing about."""

    description: str
    held: int
    unsaid: tuple[str, ...]


def evidence_of(spec: ConnectorSpec, description: Description | GraphqlDescription) -> Evidence:
    """The outcome for one connector that its description does not contradict."""
    report = verify(spec, description)
    places = sorted({fact.partition(": ")[0] for fact in report.unsaid})
    return Evidence(f"{description.title} {description.version}".strip(), report.held, tuple(places))


@cache
def written() -> Mapping[str, Evidence]:
    """Connector -> what was written down; empty where there is nothing."""
    if not FILE.is_file():
        return {}
    found = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: Evidence(each["description"], each["held"], tuple(each["unsaid"])) for name, each in found.items()}


def write(found: Mapping[str, Evidence]) -> None:
    """Write ``found`` down; what is not in it keeps what was written before."""
    merged = {name: asdict(each) for name, each in {**written(), **found}.items()}
    FILE.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    written.cache_clear()
