"""How a REST API is told who asks: bearer token, header key, basic, or nothing."""

import base64
from collections.abc import Mapping
from typing import Literal

import dagster as dg
from pydantic import ConfigDict, Field

from dataflow_platform.core.errors import ConfigError, did_you_mean


class _Auth(dg.Config):
    # A pydantic error would print the input, and with it the secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def headers(self) -> dict[str, str]:
        """The request headers that carry the proof."""
        return {}

    def secrets(self) -> tuple[str, ...]:
        """Every text that must never be shown."""
        return ()


class NoAuth(_Auth):
    """Anybody may ask."""

    type: Literal["none"] = Field(default="none", description="`none`: the API is open.")


class Bearer(_Auth):
    """``Authorization: Bearer <token>``."""

    type: Literal["bearer"] = Field(default="bearer", description="`bearer`: a token in the Authorization header.")
    token: str = Field(repr=False, description="The token, as `{{ env.NAME }}`.")

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def secrets(self) -> tuple[str, ...]:
        return (self.token,)


class HeaderKey(_Auth):
    """A key in a header of the API's own."""

    type: Literal["header"] = Field(default="header", description="`header`: a key in a header of the API's own.")
    name: str = Field(description="The header's name, such as `X-API-Key`.")
    key: str = Field(repr=False, description="The key, as `{{ env.NAME }}`.")

    def headers(self) -> dict[str, str]:
        return {self.name: self.key}

    def secrets(self) -> tuple[str, ...]:
        return (self.key,)


class Basic(_Auth):
    """User name and password."""

    type: Literal["basic"] = Field(default="basic", description="`basic`: user name and password.")
    username: str = Field(description="The user's name.")
    password: str = Field(repr=False, description="The password, as `{{ env.NAME }}`.")

    def _encoded(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Basic {self._encoded()}"}

    def secrets(self) -> tuple[str, ...]:
        return (self._encoded(), self.password)


_KINDS: dict[str, type[_Auth]] = {"none": NoAuth, "bearer": Bearer, "header": HeaderKey, "basic": Basic}


def as_selector(auth: object) -> object:
    """``{type: bearer, token: ...}`` in the form Dagster's config wants: ``{bearer: {token: ...}}``.

    Dagster builds a resource anew for each run and then passes its own form; that, like a ready
    model, is handed back as it came. The fields are looked at here because Dagster's own
    complaint about them would print their values.
    """
    if auth is None:
        return {"none": {}}
    if not isinstance(auth, Mapping):
        return auth
    if "type" in auth:
        kind, values = auth["type"], {name: value for name, value in auth.items() if name != "type"}
    elif len(auth) == 1 and isinstance(next(iter(auth.values())), Mapping):
        kind, values = next(iter(auth.items()))
    else:
        kind, values = "", {}
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ConfigError(
            "rest.auth",
            "auth does not say which type it is" if not kind else f"unknown auth type '{kind}'",
            where="auth.type",
            fix=did_you_mean(str(kind), _KINDS, "set auth.type to none, bearer, header or basic"),
        )
    fields = set(_KINDS[kind].model_fields) - {"type"}
    if set(values) != fields:
        wrong = sorted(set(values) ^ fields)[0]
        problem = "lacks" if wrong in fields else "does not know"
        raise ConfigError(
            "rest.auth",
            f"auth of type '{kind}' {problem} '{wrong}'",
            where=f"auth.{wrong}",
            fix=f"set exactly: {', '.join(['type', *sorted(fields)])}",
        )
    for name, value in sorted(values.items()):
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise ConfigError(
                "rest.auth",
                f"auth.{name} is empty, no text, or holds a line break",
                where=f"auth.{name}",
                fix="look at the environment variable it is read from: unset, or with a newline at its end?",
            )
    return {kind: values}
