"""What may happen to a table's schema when the stream's schema differs from it: the part of the YAML."""

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, get_args

from pydantic import Field

from dataflow_platform.core.base import LoadStrategy, Spec, State
from dataflow_platform.core.errors import ConfigError

Policy = Literal["evolve", "freeze", "discard", "quarantine"]
Dimension = Literal["new_columns", "missing_columns", "type_changes", "nullability", "key_changes"]
Choice = Literal["date_to_timestamp"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

_WITHOUT_DISCARD: Mapping[str, str] = {
    "missing_columns": "a column that does not come has nothing to leave out",
    "nullability": "a row with a missing value is either loaded or kept in quarantine, never dropped",
    "key_changes": "the old key cannot stand for the new one",
}


class SchemaPolicy(Spec):
    """One choice for each way in which a stream can differ from its table."""

    new_columns: Policy = Field(
        default="evolve",
        description="A column (or a field of a STRUCT) the target lacks. `evolve`: add it; `freeze`: fail the load; "
        "`discard`: leave it out and count its values; `quarantine`: keep rows that have a value in it out.",
    )
    missing_columns: Policy = Field(
        default="evolve",
        description="A column (or a field of a STRUCT) the stream lacks. `evolve`: keep it and load NULL; `freeze`: "
        "fail the load; `quarantine`: keep all rows of the load out.",
    )
    type_changes: Policy = Field(
        default="evolve",
        description="A type the target's cannot hold. `evolve`: widen where every value of both types stays exact "
        "(INTEGER to BIGINT, DECIMAL growth), else fail; `freeze`: fail; `discard`: load NULL in place of the "
        "column's values and count them; `quarantine`: keep rows out whose value is not exactly one of the "
        "target's type, and cast the others.",
    )
    nullability: Policy = Field(
        default="evolve",
        description="A missing value in a column that is NOT NULL in the target or listed under `not_null`. `evolve`: "
        "drop the target's NOT NULL; `freeze`: fail the load; `quarantine`: keep the row out.",
    )
    key_changes: Policy = Field(
        default="evolve",
        description="A primary key other than that of the last load. `evolve`: use it, where it tells the table's rows "
        "apart; `freeze`: fail the load; `quarantine`: keep all rows of the load out.",
    )
    allow: tuple[Choice, ...] = Field(
        default=(),
        description="Changes that keep every value but not its meaning, done only by choice. `date_to_timestamp`: a "
        "DATE becomes the TIMESTAMP of its midnight.",
    )


class Contract(SchemaPolicy):
    """The schema contract of one stream: what it does not set is taken from the pipeline's."""

    not_null: tuple[str, ...] = Field(
        default=(),
        description="Columns of the target that never hold NULL; `nullability` says what happens if one comes.",
    )
    renames: dict[str, str] = Field(
        default_factory=dict,
        description="New column name to old one: the target's column is renamed once and keeps its values.",
    )

    def within(self, pipeline: SchemaPolicy) -> "Contract":
        """This contract with what it does not set taken from the pipeline's."""
        inherited = {name: getattr(pipeline, name) for name in pipeline.model_fields_set - self.model_fields_set}
        return self.model_copy(update=inherited)

    def former_names(self, name: str) -> Iterator[str]:
        """The names column ``name`` had before, the latest first."""
        known = {new.lower(): old for new, old in self.renames.items()}
        folded, seen = name.lower(), {name.lower()}
        while folded in known:
            yield known[folded]
            folded = known[folded].lower()
            if folded in seen:
                return
            seen.add(folded)

    def named_now(self, name: str, names: Collection[str]) -> str:
        """What a column once called ``name`` is called among ``names``."""
        later = {old.lower(): new for new, old in self.renames.items()}
        known = {each.lower() for each in names}
        for _ in self.renames:
            if name.lower() in known or name.lower() not in later:
                break
            name = later[name.lower()]
        return name

    def quarantines(self) -> tuple[Dimension, ...]:
        """The dimensions that keep rows out; each is a check of the stream."""
        return tuple(name for name in DIMENSIONS if getattr(self, name) == "quarantine")


def check(contract: Contract, strategy: LoadStrategy, strategy_name: str) -> None:
    """Raise a ConfigError, placed at the setting, where the contract has no meaning or none with this strategy."""
    for name, reason in _WITHOUT_DISCARD.items():
        if getattr(contract, name) == "discard":
            raise _senseless(name, f"{name}: discard means nothing: {reason}", "use evolve, freeze or quarantine")
    if contract.not_null and contract.nullability == "evolve":
        raise _senseless(
            "not_null",
            "not_null protects nothing where nullability is evolve",
            "set nullability: freeze or nullability: quarantine beside it",
        )
    for new, old in contract.renames.items():
        if new == old or new.lower() in {name.lower() for name in list(contract.former_names(new))[1:]}:
            raise _senseless("renames", f"renames lead from '{new}' back to '{new}'", "keep one direction")
    old_names = [old.lower() for old in contract.renames.values()]
    twice = next((old for old in contract.renames.values() if old_names.count(old.lower()) > 1), None)
    if twice:
        raise _senseless("renames", f"renames give '{twice}' two new names", "keep one of them")
    # A strategy that never reads from a cursor takes each batch for the whole truth.
    whole = strategy.reads_from(State(cursor="0"), None).cursor is None
    for name in ("missing_columns", "key_changes"):
        if whole and getattr(contract, name) == "quarantine":
            raise _senseless(
                name,
                f"{name}: quarantine keeps all rows of a load out, and load '{strategy_name}' would empty the table",
                f"set {name}: freeze",
            )


def _senseless(name: str, what: str, fix: str) -> ConfigError:
    return ConfigError("contract.senseless", what, where=f"contract.{name}", fix=fix)
