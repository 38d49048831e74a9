"""The step: where keys are looked up, what is taken, and what becomes of keys that are not found."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from hashlib import blake2b
from typing import Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from dataflow_platform.core import key_lookup
from dataflow_platform.core.base import Column, EngineFunction, Promise, Reference, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError, did_you_mean
from dataflow_platform.core.keyed_client import KeyedClient
from dataflow_platform.core.projection import found, names_of, refuse_known
from dataflow_platform.core.sql import find_column, literal_as_written, qualified, quote
from dataflow_platform.core.table_name import TableName
from dataflow_platform.core.transformation import failing, flag
from dataflow_platform.transformations.lookup.api import OUTCOME, Answers, Api
from dataflow_platform.transformations.lookup.reference_file import ReferenceFile

_ANSWER = "_dataflow_answer"
_FUNCTION = "lookup_api"
Misfit = Literal["fail", "quarantine", "null"]


class Lookup(Spec, Transformation):
    """Takes columns from a reference file, another table or an API, by a key; every row stays one row."""

    file: ReferenceFile | None = Field(
        default=None, description="A reference file of the project, by its path; it is read whole once for each load."
    )
    table: TableName | None = Field(default=None, description="Or a table of the destination, as `schema.table`.")
    api: Api | None = Field(default=None, description="Or an API that is asked for each key once.")
    by: list[str] | dict[str, str] = Field(
        min_length=1,
        description="The key: columns both have, or own name to the other's, such as `{land: code}`. A key of the "
        "reference that stands there twice fails the load before a row is staged. A row whose key is NULL takes NULL.",
    )
    columns: list[str] | dict[str, str] = Field(
        min_length=1, description="The columns to take, or the other's name to a new one."
    )
    misfit: Misfit = Field(
        default="fail",
        description="What becomes of a key that is not found: the run fails, the row goes to quarantine, or what it "
        "takes is NULL.",
    )
    default: dict[str, bool | int | float | datetime | date | str] = Field(
        default_factory=dict,
        description="Instead of `misfit`: what a row takes whose key is not found, by the names the columns have here.",
    )
    _keyed: Callable[[], KeyedClient] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check(self) -> "Lookup":
        if sum(place is not None for place in (self.file, self.table, self.api)) != 1:
            raise ConfigError(
                "lookup.where", "a lookup needs one of file, table and api", fix="keep one, such as file: countries.csv"
            )
        if self.default and "misfit" in self.model_fields_set:
            raise ConfigError(
                "lookup.default", "a lookup has a default or a misfit, not both", where="default", fix="keep one"
            )
        taken = list(self._taken.values())
        for name in self.default:
            if name not in taken:
                raise ConfigError(
                    "lookup.default", f"the lookup takes no column '{name}'", where=f"default.{name}",
                    fix=did_you_mean(name, taken, "name columns it takes"),
                )  # fmt: skip
        if self.api is not None and len(self._by) != 1:
            raise ConfigError("lookup.key", "an API is asked by one key", where="by", fix="name one column")
        return self

    @property
    def _taken(self) -> Mapping[str, str]:
        return key_lookup.pairs(self.columns)

    @property
    def _by(self) -> Mapping[str, str]:
        return key_lookup.pairs(self.by)

    def upstream(self) -> tuple[str, ...]:
        """The other table, where it is one of the destination."""
        return (self.table,) if self.table else ()

    def connections(self) -> tuple[str, ...]:
        """The connection of the API."""
        return (self.api.connection,) if self.api else ()

    def connected(self, keyed: Callable[[str], KeyedClient]) -> Self:
        """The step with a way to reach the API."""
        if self.api is None:
            return self
        copy = self.model_copy()
        copy._keyed = partial(keyed, self.api.connection)
        return copy

    def rules(self) -> Mapping[str, str]:
        """``lookup_<first column taken>`` for keys not found, the same with ``_failed`` for an API that gave none."""
        name, said = self._rule, f"{' and '.join(self._by)} is not known to {self._where}"
        judged = {name: said} if self._judged == "quarantine" else {}
        if self.api is not None and self.api.failure == "quarantine":
            judged[f"{name}_failed"] = f"{self._where} gave no answer for {' and '.join(self._by)}"
        return judged

    @property
    def _rule(self) -> str:
        return f"lookup_{next(iter(self._taken.values())).lower()}"

    @property
    def _judged(self) -> Misfit:
        return "null" if self.default else self.misfit

    @property
    def _where(self) -> str:
        if self.file is not None:
            return self.file.path
        return self.table or (self.api.connection if self.api else "")

    @property
    def _other(self) -> str:
        """The other table as SQL calls it."""
        return qualified(*self.table.split(".")) if self.table else quote(self._brought)

    @property
    def _brought(self) -> str:
        return "_dataflow_reference_" + blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()

    def _wanted(self) -> list[str]:
        """The columns of the file that are read, as it spells them."""
        assert self.file is not None
        names = self.file.names()
        asked = [*self._by.values(), *self._taken]
        return list(dict.fromkeys(name if names is None else find_column(name, names) for name in asked))

    def references(self) -> tuple[Reference, ...]:
        """The file."""
        if self.file is None:
            return ()
        wanted = self._wanted()
        return (Reference(self._brought, partial(self.file.rows, wanted), self.file.columns(wanted)),)

    def promises(self) -> tuple[Promise, ...]:
        """No key twice."""
        if self.api is not None:
            return ()
        twice = key_lookup.twice(self._other, self._by.values())
        what = f"{self._where} has a key more than once, and a lookup takes one row"
        return (Promise(twice, what, "correct the reference, or look up by more columns"),)

    def functions(self, columns: Sequence[Column]) -> tuple[EngineFunction, ...]:
        """The question to the API."""
        if self.api is None:
            return ()
        key, other = next(iter(self._by.items()))
        answers = Answers(self.api, other, tuple(self._taken), self._keyed, self._judged == "fail", key)
        fields = ", ".join(f"{quote(name)} VARCHAR" for name in (OUTCOME, *self._taken))
        return (EngineFunction(_FUNCTION, ("VARCHAR",), f"STRUCT({fields})", answers, answers.close),)

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns``, those that were taken, and of the flags."""
        refuse_known(self._taken.values(), columns, "lookup")
        kept = [f"input.{quote(column.name)} AS {quote(column.name)}" for column in columns]
        keys = [f"input.{quote(found(own, columns).name)}" for own in self._by]
        asked = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        if self.api is not None:
            return self._from_api(kept, keys[0], asked)
        others = self._wanted() if self.file else names_of(tables[self.table or ""])
        self._refuse_texts(columns)
        marker = quote(find_column(next(iter(self._by.values())), others))
        unknown = f"{asked} AND other.{marker} IS NULL"
        for other, new in self._taken.items():
            value = self._taken_value(f"other.{quote(find_column(other, others))}", unknown, new)
            kept.append(f"{value} AS {quote(new)}")
        if self._judged == "quarantine":
            kept.append(f"{unknown} AS {quote(flag(self._rule))}")
        same = " AND ".join(key_lookup.compared(self.by, "=", columns, others))
        return f"SELECT {', '.join(kept)} FROM input LEFT JOIN {self._other} AS other ON {same}"

    def _taken_value(self, value: str, unknown: str, new: str) -> str:
        if new in self.default:
            return f"CASE WHEN {unknown} THEN {literal_as_written(self.default[new])} ELSE {value} END"
        if self._judged == "fail":
            said = failing(f"a key of {' and '.join(self._by)} is not known to {self._where}")
            return f"CASE WHEN {unknown} THEN {said} ELSE {value} END"
        return value

    def _from_api(self, kept: list[str], key: str, asked: str) -> str:
        assert self.api is not None
        outcome = f"input.{_ANSWER}.{quote(OUTCOME)}"
        for other, new in self._taken.items():
            text = f"input.{_ANSWER}.{quote(other)}"
            kind = self.api.types.get(other)
            value = f"CAST({text} AS {kind})" if kind else text
            if new in self.default:
                missing = f"{outcome} = 'missing'"
                value = f"CASE WHEN {missing} THEN {literal_as_written(self.default[new])} ELSE {value} END"
            kept.append(f"{value} AS {quote(new)}")
        if self._judged == "quarantine":
            kept.append(f"{asked} AND {outcome} = 'missing' AS {quote(flag(self._rule))}")
        if self.api.failure == "quarantine":
            kept.append(f"{asked} AND {outcome} = 'failed' AS {quote(flag(f'{self._rule}_failed'))}")
        below = f"SELECT input.*, {_FUNCTION}(CAST({key} AS VARCHAR)) AS {_ANSWER} FROM input"
        return f"SELECT {', '.join(kept)} FROM ({below}) AS input"

    def _refuse_texts(self, columns: Sequence[Column]) -> None:
        """Keys of a text file are texts: 7 and 07 are one number, but two texts."""
        if self.file is None or self.file.format == "parquet":
            return
        typed = {name.lower() for name in self.file.types}
        for own, other in self._by.items():
            column = found(own, columns)
            if column.type != "VARCHAR" and other.lower() not in typed:
                raise ConfigError(
                    "lookup.key_type", f"'{column.name}' is {column.type}, '{other}' of {self.file.path} is a text",
                    where=own, fix=f"state its type: {{path: ..., types: {{{other}: {column.type}}}}}",
                )  # fmt: skip
