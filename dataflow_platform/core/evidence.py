"""What really ran against what: `connectors/evidence.json`, written by `make evidence`, and the claims beyond it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

from dataflow_platform.core import registry
from dataflow_platform.core.facts import Evidence

FILE = Path(__file__).parent.parent / "connectors" / "evidence.json"
STRENGTH: tuple[Evidence, ...] = get_args(Evidence)
"""The strongest first."""


@dataclass(frozen=True)
class Proof:
    """The strongest evidence of a connector in one role; ``ran``: server with version -> ids of the tests."""

    evidence: Evidence
    ran: Mapping[str, tuple[str, ...]]


@cache
def proofs() -> Mapping[tuple[str, str], Proof]:
    """Connector and role -> what ran."""
    written = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        (connector, role): Proof(proof["evidence"], {name: tuple(tests) for name, tests in proof["ran"].items()})
        for connector, roles in written.items()
        for role, proof in roles.items()
    }


def overclaims(connectors: Iterable[str], proven: Mapping[tuple[str, str], Proof]) -> list[str]:
    """One line for each role of a connector whose facts say more than ran."""
    found = []
    for name in connectors:
        for role, plugin in registry.roles(name).items():
            claim, proof = plugin.facts.evidence, proven.get((name, role))
            ran: Evidence = proof.evidence if proof else "unverified"
            if STRENGTH.index(claim) < STRENGTH.index(ran):
                found.append(f"{name} as {role} claims {claim}; what ran is {ran}")
    return found
