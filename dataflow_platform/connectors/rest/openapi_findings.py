"""What holding a connector against a description brings: what is wrong, what the document does not say, what holds."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dataflow_platform.connectors.rest import value_path
from dataflow_platform.connectors.rest.openapi_shape import Shape
from dataflow_platform.core.errors import nearest


@dataclass(frozen=True)
class Finding:
    """One fact of a connector that the vendor's description contradicts."""

    code: str
    what: str
    at: str
    fix: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.what}\n  at {self.at}\n  fix: {self.fix}"


@dataclass
class Report:
    """The outcome. ``unsaid`` are facts that the document says nothing about; they are neither right nor wrong."""

    findings: list[Finding] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)
    held: int = 0

    def wrong(self, code: str, what: str, at: str, fix: str) -> None:
        """A contradiction."""
        self.findings.append(Finding(code, what, at, fix))

    def unknown(self, code: str, what: str, at: str, name: str, known: Iterable[str], where: str) -> None:
        """A name that is not among those the document knows; the nearest one is the fix."""
        listed = sorted(known)
        found = nearest(name, listed)
        shown = ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")
        fix = f"did you mean '{found}'?" if found else f"{where}: {shown or 'none'}"
        self.wrong(code, what, at, fix)

    def silent(self, at: str, what: str) -> None:
        """A fact the document says nothing about."""
        self.unsaid.append(f"{at}: {what}")

    def right(self) -> None:
        """A fact the document says as well."""
        self.held += 1

    def step_into(self, shape: Shape | None, path: str, at: str, code: str) -> Shape | None:
        """The shape at ``path`` (as `value_path` writes it). What is missing or not said is noted at ``at``."""
        for step in value_path.steps(path):
            if shape is None or shape.says_nothing:
                self.silent(at, f"the document does not say what is at '{path}'")
                return None
            if isinstance(step, str):
                if (inner := shape.field(step)) is None:
                    self.unknown(code, f"the document has no '{step}' of '{path}'", at, step, shape.names, "there is")
                    return None
                shape = inner
                continue
            if shape.items is None:
                self.wrong(code, f"what '{path}' takes an item of is no list", at, f"it holds {_held(shape)}")
                return None
            shape = shape.element(step) if isinstance(step, int) else shape.items
            if isinstance(step, tuple) and shape is not None and not shape.says_nothing and not shape.field(step[0]):
                self.unknown(code, f"an item of '{path}' has no '{step[0]}'", at, step[0], shape.names, "it has")
                return None
        return shape


def _held(shape: Shape) -> str:
    return ", ".join(sorted(shape.names)[:12]) or ", ".join(sorted(shape.kinds)) or "nothing told"
