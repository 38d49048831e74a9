"""A connector as one YAML file: the model that reads it, checks it, and whose JSON schema editors complete it by."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from dataflow_platform.connectors.rest import template
from dataflow_platform.connectors.rest.auth import Auth, NoAuth
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.connectors.rest.error_rules import ErrorRule
from dataflow_platform.connectors.rest.rate import Rate
from dataflow_platform.core.base import Spec
from dataflow_platform.core.errors import ConfigError, did_you_mean

OWN_FIELDS = (
    "prepare",
    "pool",
    "type",
    "base_url",
    "timeout_seconds",
    "max_retries",
    "page_limit",
    "rate",
    "allow_hosts",
)
"""Fields that every connection to an API has: no variable may have such a name."""


class Source(Spec):
    """Where a fact about an API was found, so that nobody has to believe it."""

    label: Literal["contract", "unverified"] = Field(
        description="`contract`: held against the vendor's machine-readable description by a program; `unverified`: "
        "read in the documentation and never tried."
    )
    checked: date = Field(description="Day on which that was done.")
    source: str = Field(description="The description or the page of the documentation: its address or name.")
    note: str = Field(default="", description="What a reader should know of it.")


class Variable(Spec):
    """Something that a connection sets: an account's name, a key. Used in braces by its name."""

    description: str = Field(description="What it is, and where a person finds it.")
    secret: bool = Field(default=False, description="Accepted only as `{{ env.NAME }}` and never shown.")
    type: Literal["text", "integer", "boolean", "list"] = Field(default="text", description="What it holds.")
    default: str | int | bool | list[str] | None = Field(default=None, description="Its value where none is set.")
    required: bool = Field(default=True, description="Must be set, unless it has a default.")
    one_of: list[str] = Field(default_factory=list, description="The values it may have.")
    pattern: str | None = Field(default=None, description="Regular expression that its whole text must match.")
    example: str | None = Field(default=None, description="What it looks like; never a real secret.")

    @property
    def must_be_set(self) -> bool:
        """True where a connection without it makes no sense."""
        return self.required and self.default is None


class ConnectorStream(Endpoint):
    """A stream of a connector: an endpoint, with what people and programs should know of it."""

    description: str = Field(default="", description="What a row is.")
    docs: str = Field(default="", description="Address of the vendor's page about the endpoint.")
    scope: str = Field(default="", description="The least permission that reads it.")
    source: Source | None = Field(default=None, description="Where its facts were found, if not where the others were.")
    variables: dict[str, Variable] = Field(
        default_factory=dict, description="Variables of this stream alone; set under `from: {with: {name: value}}`."
    )


class ConnectorSpec(Spec):
    """A connector to an API: one YAML file, whose name is the connector's."""

    title: str = Field(description="Name of the product as its vendor writes it.")
    description: str = Field(default="", description="What it is, in a sentence.")
    category: str = Field(default="", description="What it is used for, such as `payments` or `crm`.")
    family: Literal["saas", "health"] = Field(default="saas", description="Which list it belongs to.")
    docs: str = Field(description="Address of the vendor's documentation of the API.")
    source: Source = Field(description="Where the facts of this file were found.")
    scopes: str = Field(default="", description="The least permissions that read all streams.")
    variables: dict[str, Variable] = Field(default_factory=dict, description="What a connection sets.")
    base_url: str = Field(description="Where the API begins, such as `https://{subdomain}.example.com/v1`.")
    test_path: str | None = Field(
        default=None,
        description="Path asked to test a connection; the first stream that needs nothing else when absent.",
    )
    auth: Auth | list[Auth] = Field(
        default=NoAuth(),
        description="How the API is told who asks. Of several the first is used whose variables are all set.",
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of every request.")
    rate: Rate = Field(default=Rate(), description="How fast the API may be asked, by the vendor's documentation.")
    errors: list[ErrorRule] = Field(default_factory=list, description="Rules for all streams, after a stream's own.")
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="What every stream has unless it says otherwise, such as `paging`, `records` or `params`; maps are "
        "merged, `paging` and `cursor` of another kind are replaced.",
    )
    streams: dict[str, ConnectorStream] = Field(min_length=1, description="The streams by name.")

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("streams"), Mapping):
            return value
        defaults = value.get("defaults") or {}
        unknown = [name for name in defaults if name not in ConnectorStream.model_fields]
        if unknown:
            raise ConfigError(
                "rest.defaults", f"'{unknown[0]}' is nothing a stream has", where="defaults",
                fix=did_you_mean(unknown[0], ConnectorStream.model_fields, "see docs/rest_connectors.md"),
            )  # fmt: skip
        streams = {name: merged(defaults, stream) for name, stream in value["streams"].items()}
        return {**value, "streams": streams}

    @field_validator("streams", "variables")
    @classmethod
    def _plain_names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"'{name}': names are small letters, digits and _")
            if isinstance(named[name], Variable) and name in (*OWN_FIELDS, "auth", *template.CURSOR_NAMES):
                raise ValueError(f"'{name}' is a name of the platform's own")
        return named

    @model_validator(mode="after")
    def _names_are_known(self) -> "ConnectorSpec":
        everywhere = set(self.variables)
        shared = [self.base_url, self.headers, *(each.model_dump() for each in self.auths)]
        places = [("", names_of(shared), everywhere)]
        for name, stream in self.streams.items():
            places.append((f"streams.{name}", stream.names(), everywhere | set(stream.variables)))
        for place, asked, known in places:
            for name in sorted(asked - known):
                raise ConfigError(
                    "rest.variable", f"{{{name}}} is not declared", where=place or None,
                    fix=did_you_mean(name, known, "declare it under variables, or give it by parent.values"),
                )  # fmt: skip
        for name, stream in self.streams.items():
            self._parent_is_known(name, stream)
        return self

    def _parent_is_known(self, name: str, stream: ConnectorStream) -> None:
        parent = stream.parent
        if parent and parent.stream is not None and (parent.stream not in self.streams or parent.stream == name):
            raise ConfigError(
                "rest.parent", f"there is no other stream '{parent.stream}'", where=f"streams.{name}.parent.stream",
                fix=did_you_mean(parent.stream, set(self.streams) - {name}, "name a stream of this connector"),
            )  # fmt: skip
        known = {**self.variables, **stream.variables}
        if parent and parent.each is not None and (parent.each not in known or known[parent.each].type != "list"):
            raise ConfigError(
                "rest.parent", f"there is no list '{parent.each}'", where=f"streams.{name}.parent.each",
                fix="declare it under variables with type: list",
            )  # fmt: skip

    @property
    def auths(self) -> list[Any]:
        """The ways to log in, the preferred one first."""
        return list(self.auth) if isinstance(self.auth, list) else [self.auth]


def names_of(values: Any) -> set[str]:
    """The names in braces anywhere in ``values``."""
    return set(template.names(values))


_WHOLE = {"paging": "type"}
"""Fields that are replaced as a whole where this key of theirs differs."""


def merged(defaults: Mapping[str, Any], stream: Any) -> Any:
    """A stream over the defaults: maps are merged, everything else is replaced; null takes a default away."""
    if isinstance(stream, BaseModel):
        return stream
    written = {"path": stream} if isinstance(stream, str) else dict(stream or {})
    result: dict[str, Any] = {}
    for name in {**defaults, **written}:
        default, own = defaults.get(name), written.get(name)
        if name not in written:
            result[name] = default
        elif isinstance(default, Mapping) and isinstance(own, Mapping) and _mergeable(name, default, own):
            result[name] = {**default, **own}
        elif own is not None or name not in ConnectorStream.model_fields:
            result[name] = own
    return result


def _mergeable(name: str, default: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    key = _WHOLE.get(name)
    return key is None or key not in own or own[key] == default.get(key)
