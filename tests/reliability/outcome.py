"""What a round does, and what came of it."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Round:
    """What is done: ``fault`` (see ``faults.KINDS``) to load ``load`` of ``strategy`` into ``destination``."""

    destination: str
    strategy: str
    load: int
    fault: dict[str, Any]
    again: bool = False
    """After an error the process tries once more, as a retried step does, before the fresh one comes."""
    further: bool = False
    """The loads that follow are run and compared too."""


@dataclass
class Outcome:
    """What came of a round; ``differs`` is empty where everything is as it should be."""

    struck: str = ""
    """``killed``, ``failed``, or empty where the fault did not hit anything."""
    struck_again: bool = False
    """The rerun was killed as well."""
    error: str = ""
    lost: int = 0
    duplicated: int = 0
    stuck: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    staging_left: bool = False
    """Between the fault and the rerun something of the staging stood there, under a name of its own."""
