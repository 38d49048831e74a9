"""What a connector says of itself, as data: planner, docs and contract suite read it."""

from dataclasses import dataclass
from typing import Literal

Evidence = Literal["real_server", "vendor_emulator", "community_emulator", "own_stub", "contract", "unverified"]


@dataclass(frozen=True)
class ConnectorFacts:
    """What a connector says of itself. ``packages``: for pip, where no extra has them; ``grants``: the least rights."""

    title: str
    family: Literal["database", "warehouse", "files", "saas", "queue", "health"]
    evidence: Evidence
    evidence_note: str
    extra: str | None = None
    packages: tuple[str, ...] = ()
    grants: str = ""


@dataclass(frozen=True)
class DestinationFacts(ConnectorFacts):
    """What a destination can do, as data."""

    dialect: str = "duckdb"
    identifier_limit: int = 255
    load_strategies: frozenset[str] = frozenset()
    evolutions: frozenset[str] = frozenset()
    """Changes of a table it can make: add_column, rename_column, widen_type, grow_nested, drop_not_null."""
    transaction: Literal["full", "table_commit", "none"] = "full"
    single_writer: bool = False
    """One process writes at a time: the assets of such a destination share a Dagster pool."""
    read_back: Literal["in_place", "by_copy", "none"] = "none"
    """How an open transaction's rows get back into the engine, to be compared: it reads the tables itself, they
    travel (at a price: only where ``reconcile: on`` asks for it), or they do not."""
