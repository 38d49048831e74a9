"""How two types differ, down to the fields of structs and what lists and maps hold."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from dataflow_platform.engine.contract.policy import Dimension
from dataflow_platform.engine.contract.types import Kind, join, same_meaning


@dataclass(frozen=True)
class Difference:
    """One place where stream and target differ. ``target`` or ``stream`` is None where that side lacks the field.

    ``joined`` is the least type that holds the values of both exactly; None where there is none. ``comparable``:
    a value that survives the cast says the same in both types.
    """

    dimension: Dimension
    path: str
    target: Kind | None
    stream: Kind | None
    joined: Kind | None = None
    comparable: bool = False

    @property
    def fits(self) -> bool:
        """True where the target's type holds every value of the stream's."""
        return self.dimension == "type_changes" and self.joined == self.target


@dataclass(frozen=True)
class Comparison:
    """Walks two types. ``follows`` says whether the target's type gives way to a difference it is told of."""

    follows: Callable[[Difference], bool]
    allow: Collection[str] = ()

    def merged(self, target: Kind, stream: Kind, path: str) -> Kind:
        """The type the target's column gets: ``target``, grown where ``follows`` said so."""
        if target == stream:
            return target
        if target.name == stream.name == "STRUCT" and self._share_a_field(target, stream):
            return self._struct(target, stream, path)
        if target.name == stream.name == "LIST" or (
            target.name == stream.name == "ARRAY" and target.numbers == stream.numbers
        ):
            inner = self.merged(target.inner[0], stream.inner[0], f"{path}[]")
            return Kind(target.name, inner=(inner,), numbers=target.numbers)
        if target.name == stream.name == "MAP":
            sides = zip(target.inner, stream.inner, ("{key}", "{value}"), strict=True)
            return Kind("MAP", inner=tuple(self.merged(old, new, path + side) for old, new, side in sides))
        return self._retyped(target, stream, path)

    def _share_a_field(self, a: Kind, b: Kind) -> bool:
        # DuckDB casts a struct to another by the names they share, and needs one.
        return bool({name.lower() for name, _ in a.fields} & {name.lower() for name, _ in b.fields})

    def _struct(self, target: Kind, stream: Kind, path: str) -> Kind:
        arriving = {name.lower(): (name, kind) for name, kind in stream.fields}
        fields = []
        for name, kind in target.fields:
            _, came = arriving.pop(name.lower(), (name, None))
            if came is None:
                self.follows(Difference("missing_columns", f"{path}.{name}", kind, None))
            fields.append((name, kind if came is None else self.merged(kind, came, f"{path}.{name}")))
        for name, kind in arriving.values():
            if self.follows(Difference("new_columns", f"{path}.{name}", None, kind)):
                fields.append((name, kind))
        return Kind("STRUCT", fields=tuple(fields))

    def _retyped(self, target: Kind, stream: Kind, path: str) -> Kind:
        joined = join(target, stream, self.allow)
        # Where any list of its length would do, an array becomes a list.
        if joined is None and {target.name, stream.name} <= {"LIST", "ARRAY"}:
            inner = join(target.inner[0], stream.inner[0], self.allow)
            joined = Kind("LIST", inner=(inner,)) if inner else None
        comparable = joined is not None or same_meaning(stream, target)
        difference = Difference("type_changes", path, target, stream, joined, comparable)
        return joined if self.follows(difference) and joined is not None else target
