"""Asking a system for single things by their keys, while rows pass."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataflow_platform.core.errors import DataflowError


@dataclass(frozen=True)
class Question:
    """What is asked for: a path below the system's address, and parameters."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)


class KeyedClient(ABC):
    """Asks with the connection's credentials, rate and retries. Threads may share one."""

    @abstractmethod
    def ask(self, questions: Sequence[Question], at_once: int) -> list[Any | DataflowError]:
        """An answer for each question, in order: the decoded value, None where there is no such thing, or the error.

        ``at_once``: so many questions are under way at most. An error that no other question would escape (a refused
        login) is raised.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the connections. Safe to call twice."""
