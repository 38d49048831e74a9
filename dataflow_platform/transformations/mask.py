"""Transformation ``mask``."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, ValidationError, model_validator

from dataflow_platform.core import masking
from dataflow_platform.core.base import Column, EngineFunction, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError, DataError, Location, did_you_mean
from dataflow_platform.core.projection import chosen, names_of, projected
from dataflow_platform.core.sql import literal, literal_as_written, quote

_KEYED = ("hash", "tokenise", "fake")
_WORDS: dict[str, Any] = {"hash": True, "redact": "***", "partial": 4, "tokenise": True, "null": True}
"""Ways that a bare word names, with what it stands for."""
_UNITS = ("hour", "day", "week", "month", "quarter", "year")
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_LEAST = {"TINYINT": -(2**7), "SMALLINT": -(2**15), "INTEGER": -(2**31), "BIGINT": -(2**63)}


class Fake(Spec):
    """What is invented in the place of a value."""

    shorthand: ClassVar[str | None] = "kind"

    kind: Literal[
        "name", "first_name", "last_name", "email", "phone", "address", "street", "city", "postcode", "country",
        "company", "job", "user_name", "iban",
    ] = Field(description="What it looks like.")  # fmt: skip
    locale: str = Field(default="en_US", description="The country it looks like, in Faker's words: `de_DE`.")


class MaskBy(Spec):
    """How one column is masked; exactly one key."""

    hash: Literal[True] | None = Field(
        default=None,
        description="HMAC-SHA-256 of the value's text under the key, 64 hexadecimal digits: equal values have equal "
        "hashes in every column, stream and pipeline that has the same key, so they join. The text is DuckDB's: `5` "
        "as integer, bigint and text are alike, `5` and `5.0` are not.",
    )
    redact: str | None = Field(default=None, description="This text in the place of every value; `***` if absent.")
    partial: int | None = Field(
        default=None, ge=1, le=64,
        description="So many characters at the end are shown, a `*` for each other one; 4 if absent. Of a text less "
        "than twice as long none is shown.",
    )  # fmt: skip
    tokenise: Literal[True] | None = Field(
        default=None,
        description="A token of the value's text by AES-SIV: equal values have equal tokens, and who has the key can "
        "turn them back by `dataflow unmask`. A token is longer for a longer text.",
    )
    generalise: Literal["hour", "day", "week", "month", "quarter", "year"] | int | float | None = Field(
        default=None,
        description="A date or timestamp becomes the begin of its `hour`, `day`, `week`, `month`, `quarter` or "
        "`year`; a number the begin of its band, which is as wide as is said here: with `10`, 27 becomes 20. The type "
        "stays.",
    )
    null: Literal[True] | None = Field(default=None, description="NULL in the place of every value.")
    fake: Fake | None = Field(
        default=None,
        description="An invented value, such as `fake: name` or `fake: {kind: phone, locale: de_DE}`: the same for the "
        "same value and key as long as Faker's version stays. Two values may get the same. Takes 0.1 ms for each.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        if value is None:
            return {"null": True}  # what YAML makes of the word null
        if isinstance(value, str):
            if value not in _WORDS:
                more = "say what: {fake: name}, {generalise: month}" if value in ("fake", "generalise") else None
                raise ConfigError(
                    "mask.how", f"'{value}' is no way to mask",
                    fix=more or did_you_mean(value, [*_WORDS, "generalise", "fake"], "name one"),
                )  # fmt: skip
            return {value: _WORDS[value]}
        return value

    @model_validator(mode="after")
    def _one(self) -> "MaskBy":
        if len(self.model_fields_set) != 1 or getattr(self, self.way) is None:
            raise ConfigError("mask.how", "a column is masked in exactly one way", fix="keep one of them")
        if isinstance(self.generalise, int | float) and self.generalise <= 0:
            raise ConfigError("mask.band", "a band has a width above zero", where="generalise", fix="write such as 10")
        return self

    @property
    def way(self) -> str:
        """The name of the one way that is set."""
        return next(iter(self.model_fields_set), "")


class Mask(Spec, Transformation):
    """Takes clear values away: nothing of them is written anywhere, unless a column is said to be `clear`."""

    secret_fields: ClassVar[frozenset[str]] = frozenset({"key"})

    columns: dict[str, MaskBy] = Field(
        min_length=1,
        description="Column to how: `hash`, `redact`, `partial`, `tokenise`, `null`, or `{redact: hidden}`, "
        "`{partial: 2}`, `{generalise: month}`, `{fake: name}`. NULL stays NULL. Alone it may be written without "
        "`columns`: `- mask: {iban: partial}`.",
    )
    key: SecretStr | None = Field(
        default=None,
        description='The key of `hash`, `tokenise` and `fake`, as `"{{ env.NAME }}"`: 16 characters at least. With '
        "another key all hashes, tokens and invented values are others.",
    )
    clear: list[str] = Field(
        default_factory=list,
        description="Columns that carry what a masked column was made of, and may be loaded as they are: the "
        "`domain` of a hashed address. Others that do fail the load.",
    )

    @model_validator(mode="before")
    @classmethod
    def _placed(cls, value: Any) -> Any:
        """The short form; an error of one column is placed at that column."""
        if isinstance(value, Mapping) and "columns" not in value and not value.keys() & {"key", "clear"}:
            value = {"columns": value}
        inner = value.get("columns") if isinstance(value, Mapping) else None
        for name, by in inner.items() if isinstance(inner, Mapping) else ():
            try:
                MaskBy.model_validate(by)
            except ConfigError as error:
                raise error.at(Location(path=f"columns.{name}")) from None
            except ValidationError:
                continue  # said once more, with its place
        return value

    @model_validator(mode="after")
    def _check(self) -> "Mask":
        keyed = next((name for name, by in self.columns.items() if by.way in _KEYED), None)
        if keyed is not None and self.key is None:
            raise ConfigError(
                "mask.key", f"`{self.columns[keyed].way}` needs a key", where=f"columns.{keyed}",
                fix='write the step as {key: "{{ env.MASK_KEY }}", columns: {...}}',
            )  # fmt: skip
        for by in self.columns.values():
            self._function(by)  # what is wrong with key, locale or packages is said when the pipeline is read
        return self

    def masks(self, columns: Sequence[Column]) -> Sequence[str]:
        """The listed columns, as ``columns`` spell them."""
        nested = next((name for name in self.columns if "." in name and name not in names_of(columns)), None)
        if nested is not None:
            raise ConfigError(
                "mask.nested", f"mask takes whole columns, '{nested}' is part of one", where=f"columns.{nested}",
                fix="open the structure in a step before (flatten), or mask the whole column",
            )  # fmt: skip
        return names_of(chosen(self.columns, columns, "mask"))

    def blurs(self, columns: Sequence[Column]) -> Sequence[str]:
        """All that are neither hashed nor tokenised."""
        listed = zip(self.masks(columns), self.columns.values(), strict=True)
        return [name for name, by in listed if by.way not in ("hash", "tokenise")]

    def shows(self, columns: Sequence[Column]) -> Sequence[str]:
        """The columns said to be ``clear``."""
        return names_of(chosen(self.clear, columns, "mask"))

    def computed_from(self, columns: Sequence[Column]) -> Mapping[str, Sequence[str]]:
        """A masked column from its clear self, also where its SQL does not read it."""
        return {name: [name] for name in self.masks(columns)}

    def functions(self, columns: Sequence[Column]) -> tuple[EngineFunction, ...]:
        """One for each column that is masked with the key, which stays inside of it."""
        found = []
        for position, (name, by) in enumerate(self.columns.items()):
            made = self._function(by)
            if made is not None:
                call = _over_batches(f"{by.way} of column '{name}'", made)
                found.append(EngineFunction(f"mask_{position}", ("VARCHAR",), "VARCHAR", call))
        return tuple(found)

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns``, the masked ones in place."""
        made = {}
        listed = zip(self.masks(columns), self.columns.values(), strict=True)
        for position, (name, by) in enumerate(listed):
            column = next(each for each in columns if each.name == name)
            made[name] = _masked(column, by, f"mask_{position}")
        self.shows(columns)
        return projected(columns, made)

    def _function(self, by: MaskBy) -> Callable[[str], str] | None:
        key = self.key.get_secret_value() if self.key else ""
        if by.hash:
            return masking.hashed(key)
        if by.tokenise:
            return masking.tokenised(key)
        return masking.invented(key, by.fake.kind, by.fake.locale) if by.fake else None


def _over_batches(what: str, value: Callable[[str], str]) -> Callable[[Any], Any]:
    """``value`` for each text of an Arrow array, NULL for NULL; its errors without their words, which may show one."""

    def call(texts: Any) -> Any:
        import pyarrow as pa

        try:
            made = [None if text is None else value(text) for text in texts.to_pylist()]
            return pa.array(made, pa.string())
        except Exception as error:  # noqa: BLE001  # whatever it is, its words may hold a value
            failed = type(error).__name__
        raise DataError("mask.failed", f"{what} failed with {failed}", fix="report it with the column's type")

    return call


def _masked(column: Column, by: MaskBy, function: str) -> str:
    """SQL of the masked value."""
    value = quote(column.name)
    if by.null:
        # The type of an ENUM is the list of its values.
        return f"CAST(NULL AS {'VARCHAR' if 'ENUM(' in column.type else column.type})"
    if by.redact is not None:
        return f"CASE WHEN {value} IS NOT NULL THEN {literal(by.redact)} END"
    if by.generalise is not None:
        return _generalised(column, by.generalise)
    text = f"CAST({value} AS VARCHAR)"
    if column.type in ("FLOAT", "DOUBLE"):
        text = f"CASE WHEN {value} = 0 THEN '0.0' ELSE {text} END"  # 0.0 and -0.0 are equal
    if by.partial is not None:
        shown = f"repeat('*', length({text}) - {by.partial}) || right({text}, {by.partial})"
        return f"CASE WHEN length({text}) >= {2 * by.partial} THEN {shown} ELSE repeat('*', length({text})) END"
    return f"{function}({text})"


def _generalised(column: Column, to: str | float) -> str:
    value, kind = quote(column.name), column.type
    if isinstance(to, str):
        fits = kind.startswith("TIMESTAMP") or (kind == "DATE" and to != "hour")
        made = f"CAST(date_trunc({literal(to)}, {value}) AS {kind})"
    elif kind in _WHOLE:
        fits = isinstance(to, int)
        wide = f"CAST({value} AS HUGEINT)"
        # The band at the least value of a type would begin below it.
        begin = f"{wide} - (({wide} % {to} + {to}) % {to})"
        if kind in _LEAST:
            begin = f"CASE WHEN {begin} < {_LEAST[kind]} THEN {_LEAST[kind]} ELSE {begin} END"
        made = f"CAST({begin} AS {kind})"
    elif kind.startswith("DECIMAL"):
        width = f"CAST({literal_as_written(to)} AS {kind})"
        digits = -int(Decimal(repr(to)).normalize().as_tuple().exponent)
        fits = digits <= int(kind.rstrip(")").rpartition(",")[2])
        made = f"CAST({value} - (({value} % {width} + {width}) % {width}) AS {kind})"
    else:
        width = literal(float(to))
        fits, made = kind in ("FLOAT", "DOUBLE"), f"CAST(floor({value} / {width}) * {width} AS {kind})"
    if not fits:
        fix = f"a unit of time ({', '.join(_UNITS)}; no hour of a date) for dates and timestamps, a number for numbers"
        raise ConfigError(
            "mask.generalise", f"column '{column.name}' is {kind}, which has no '{to}'",
            where=f"columns.{column.name}", fix=fix,
        )  # fmt: skip
    return made
