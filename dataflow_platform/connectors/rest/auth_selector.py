"""``auth: {type: ...}`` as a person writes it, in the form Dagster's config wants, without ever showing a value."""

from collections.abc import Mapping
from typing import get_args

from dataflow_platform.connectors.rest.auth import AnyAuth
from dataflow_platform.core.errors import ConfigError, did_you_mean

KINDS = {kind.model_fields["type"].default: kind for kind in get_args(AnyAuth)}
"""The kinds of ``auth`` by their type."""


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
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigError(
            "rest.auth",
            "auth does not say which type it is" if not kind else f"unknown auth type '{kind}'",
            where="auth.type",
            fix=did_you_mean(str(kind), KINDS, f"set auth.type to one of {', '.join(KINDS)}"),
        )
    _refuse_unfit(kind, values)
    return {kind: dict(values)}


def _refuse_unfit(kind: str, values: Mapping[str, object]) -> None:
    fields = {name: field for name, field in KINDS[kind].model_fields.items() if name != "type"}
    missing = [name for name, field in fields.items() if field.is_required() and name not in values]
    wrong = sorted(set(values) - set(fields)) or missing
    if wrong:
        problem = "lacks" if wrong[0] in fields else "does not know"
        raise ConfigError(
            "rest.auth",
            f"auth of type '{kind}' {problem} '{wrong[0]}'",
            where=f"auth.{wrong[0]}",
            fix=f"set: {', '.join(['type', *sorted(fields)])}",
        )
    for name, value in sorted(values.items()):
        for text in value.values() if isinstance(value, Mapping) else [value]:
            if fields[name].annotation is not str and not isinstance(value, Mapping):
                continue
            empty = isinstance(text, str) and not text.strip() and (fields[name].is_required() or text)
            # A PEM key and a key file have lines; nothing that goes into a header may.
            lines = name not in ("private_key", "service_account") and isinstance(text, str) and not text.isprintable()
            if not isinstance(text, str) or empty or lines:
                raise ConfigError(
                    "rest.auth",
                    f"auth.{name} is empty, no text, or holds a line break",
                    where=f"auth.{name}",
                    fix="look at the environment variable it is read from: unset, or with a newline at its end?",
                )
