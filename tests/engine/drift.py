"""One case of schema drift: what a table was loaded with, what comes next, and what has to become of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataflow_platform.core.base import LoadStrategy
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.load_strategies.delta import Delta
from dataflow_platform.load_strategies.merge import Merge
from dataflow_platform.load_strategies.replace import Replace
from dataflow_platform.load_strategies.scd1 import Scd1
from dataflow_platform.load_strategies.scd2 import Scd2
from dataflow_platform.load_strategies.scd3 import Scd3

STRATEGIES: dict[str, LoadStrategy] = {
    "append": Append(), "merge": Merge(), "replace": Replace(), "delta": Delta(), "scd1": Scd1(), "scd2": Scd2(),
    "scd3": Scd3(columns=("v",)),
}  # fmt: skip


@dataclass(frozen=True)
class Drift:
    """``before`` was loaded (SELECT lists of the engine's SQL, a row each), ``after`` comes next.

    ``plan`` is what `dataflow plan` says before the second load, ``done`` what the load says it did where that
    differs. ``rows`` are the table's rows afterwards as texts, sorted: values behind one another, NULL as ``-``.
    ``columns`` is the table's schema afterwards, where it is worth saying. ``quarantined`` counts rows by rule.
    ``error``: a part of the refusal's text, after which the table is as it was. ``by_hand`` is run on the table in
    between. ``waived`` names what a destination does not do, and why; it must really not do it.
    """

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    plan: str
    rows: str = ""
    columns: str = ""
    done: str | None = None
    quarantined: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    contract: Mapping[str, Any] = field(default_factory=dict)
    how: str = "append"
    key: tuple[str, ...] = ("id",)
    new_key: tuple[str, ...] | None = None
    cursor: str | None = None
    by_hand: tuple[str, ...] = ()
    first_contract: Mapping[str, Any] = field(default_factory=dict)
    waived: Mapping[str, str] = field(default_factory=dict)
