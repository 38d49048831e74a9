"""Keys asked of an API while rows pass: each once, several in one request where the API takes that."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from dataflow_platform.core.base import Spec
from dataflow_platform.core.errors import ConfigError, DataError, DataflowError
from dataflow_platform.core.expression import data_type
from dataflow_platform.core.keyed_client import KeyedClient, Question

if TYPE_CHECKING:
    import pyarrow as pa

OUTCOME = "_dataflow_outcome"
_KEY, _KEYS = "{key}", "{keys}"


class Api(Spec):
    """An API that is asked by key."""

    connection: str = Field(description="Name of a connection of type `rest`: its login, rate and retries hold here.")
    path: str = Field(
        description="Path below the connection's address, such as `customers/{key}`; `{key}` stands for the key."
    )
    params: dict[str, str] = Field(
        default_factory=dict,
        description="Query parameters, such as `{id: '{key}'}`, or `{ids: '{keys}'}` with `batch`.",
    )
    batch: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="So many keys are asked for in one request, as `{keys}` with commas between; the answer is a list, "
        "and each of its objects tells its key.",
    )
    records: str | None = Field(
        default=None, description="Dotted path of the object or list in the answer; the answer itself if absent."
    )
    types: dict[str, str] = Field(
        default_factory=dict,
        description="DuckDB types of the columns taken; the others are texts (lists and objects: their JSON).",
    )
    failure: Literal["fail", "quarantine", "null"] = Field(
        default="fail",
        description="What becomes of a row whose key got no answer, after all retries: the run fails, the row goes to "
        "quarantine, or what it takes is NULL. A refused login always fails the run.",
    )
    at_once: int = Field(default=4, ge=1, le=64, description="So many requests are under way at most.")
    cached: int = Field(
        default=100_000, ge=0, description="Answers that are remembered for the rest of the load; those used last stay."
    )

    @field_validator("types")
    @classmethod
    def _known_types(cls, types: dict[str, str]) -> dict[str, str]:
        return {name: data_type(kind) for name, kind in types.items()}

    @model_validator(mode="after")
    def _check(self) -> "Api":
        wanted = _KEY if self.batch == 1 else _KEYS
        if not any(wanted in text for text in (self.path, *self.params.values())):
            raise ConfigError(
                "lookup.question", f"neither path nor params say where the key stands: {wanted}", where="path",
                fix=f"such as params: {{id: '{wanted}'}}",
            )  # fmt: skip
        return self

    def question(self, keys: Sequence[str]) -> Question:
        """The request for ``keys``."""
        word, joined = (_KEY, keys[0]) if self.batch == 1 else (_KEYS, ",".join(keys))
        params = {name: text.replace(word, joined) for name, text in self.params.items()}
        return Question(self.path.replace(word, quote(joined, safe=",")), params)


Answer = Mapping[str, str | None]
_MISSING: Answer = {OUTCOME: "missing"}
_FAILED: Answer = {OUTCOME: "failed"}


class Answers:
    """The function the engine calls: keys as an Arrow array to structures of what was asked for, and the outcome."""

    def __init__(
        self,
        api: Api,
        key: str,
        fields: Sequence[str],
        client: Callable[[], KeyedClient] | None,
        strict: bool,
        own: str,
    ) -> None:
        self._api, self._key, self._fields, self._strict, self._own = api, key, fields, strict, own
        self._open, self._client = client, None
        self._known: OrderedDict[str, Answer] = OrderedDict()
        self._lock = threading.Lock()

    _client: KeyedClient | None

    def __call__(self, keys: "pa.Array[Any]") -> "pa.Array[Any]":
        import pyarrow as pa
        import pyarrow.compute as pc

        coded: Any = pc.dictionary_encode(keys)
        # One thread at a time: another may be about to ask for the same keys.
        with self._lock:
            answers = self._answered(coded.dictionary.to_pylist())
        kind = pa.struct([(name, pa.string()) for name in (OUTCOME, *self._fields)])
        return pa.array(answers, type=kind).take(coded.indices)

    def close(self) -> None:
        """End the client, if there was anything to ask."""
        if self._client is not None:
            self._client.close()

    def _answered(self, keys: list[str]) -> list[Answer]:
        found = {key: self._known.get(key, _MISSING) for key in keys if key in self._known or not self._askable(key)}
        new = [key for key in keys if key not in found]
        found |= self._ask(new)
        for key in keys:
            self._known[key] = found[key]
            self._known.move_to_end(key)
        while len(self._known) > self._api.cached:
            self._known.popitem(last=False)
        return [found[key] for key in keys]

    def _askable(self, key: str) -> bool:
        """False for keys that would ask for something else: the whole list, the path above, two things."""
        return key not in ("", ".", "..") and not (self._api.batch > 1 and "," in key)

    def _ask(self, keys: list[str]) -> dict[str, Answer]:
        if not keys:
            return {}
        if self._client is None:
            if self._open is None:
                raise ConfigError(
                    "lookup.connection", "the lookup was given no connection", fix="declare it in a pipeline's YAML"
                )
            self._client = self._open()
        size = self._api.batch
        groups = [keys[start : start + size] for start in range(0, len(keys), size)]
        answers = self._client.ask([self._api.question(group) for group in groups], self._api.at_once)
        found: dict[str, Answer] = {}
        for group, answer in zip(groups, answers, strict=True):
            found |= self._of_group(group, answer)
        return found

    def _of_group(self, keys: Sequence[str], answer: Any) -> dict[str, Answer]:
        if isinstance(answer, DataflowError):
            if self._api.failure == "fail":
                raise answer
            return dict.fromkeys(keys, _FAILED)
        objects = list(self._objects(answer))
        by_key: dict[str, Answer] = {}
        for each in objects:
            key = keys[0] if self._api.batch == 1 else _text(each.get(self._key))
            if key in by_key:
                raise DataError(
                    "lookup.twice", f"{self._api.connection} gave two answers for one key", where="api",
                    fix="ask by a key that is unique",
                )  # fmt: skip
            if key is not None:
                by_key[key] = {OUTCOME: "found"} | {name: _text(each.get(name)) for name in self._fields}
        if self._strict and any(key not in by_key for key in keys):
            raise DataError(
                "lookup.unknown", f"a key of {self._own} is not known to {self._api.connection}", where="misfit",
                fix="correct the rows, or say what becomes of them: misfit: quarantine or null",
            )  # fmt: skip
        return {key: by_key.get(key, _MISSING) for key in keys}

    def _objects(self, answer: Any) -> Iterator[Mapping[str, Any]]:
        for part in self._api.records.split(".") if self._api.records else ():
            answer = answer.get(part) if isinstance(answer, Mapping) else None
        for each in answer if isinstance(answer, list) else [answer]:
            if isinstance(each, Mapping):
                yield each
            elif each is not None:
                raise DataError(
                    "lookup.answer", f"{self._api.connection} answers with something else than objects", where="api",
                    fix="say where they are: records: data.items",
                )  # fmt: skip


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False, default=str)
