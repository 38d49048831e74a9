"""What can go wrong with a REST API, in the platform's words; no text here ever holds a secret."""

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from dataflow_platform.core.errors import ConfigError, DataError, DataflowError, TransientError
from dataflow_platform.core.http import Action

_STATUS: dict[Action, tuple[type[ConfigError] | type[TransientError], str, str, str]] = {
    "unauthorized": (
        ConfigError,
        "rest.unauthorized",
        "the API does not accept the credentials",
        "check auth.type and the variable its secret is read from",
    ),
    "forbidden": (
        ConfigError,
        "rest.forbidden",
        "the credentials may not read this",
        "ask for the permission, or use other credentials",
    ),
    "not_found": (ConfigError, "rest.not_found", "there is nothing at this address", "check base_url and path"),
    "rejected": (
        ConfigError,
        "rest.rejected",
        "the API rejects the request",
        "check path, params and paging against its manual",
    ),
    "retry": (
        TransientError,
        "rest.unavailable",
        "the API is not available",
        "try again later; if it is always so, raise timeout_seconds or max_retries, or set rate",
    ),
}
"""Error class, code, what and fix of every answer that is no success."""


def hidden(text: str, secrets: Iterable[str]) -> str:
    """``text`` with every secret replaced, also where it is percent-encoded."""
    for secret in sorted((secret for secret in secrets if secret), key=len, reverse=True):
        for written in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(written, "***")
    return text


def redact(body: bytes, secrets: Iterable[str]) -> str:
    """The start of ``body`` on one line with every secret replaced: an API may repeat the key it was sent."""
    line = " ".join(hidden(body.decode("utf-8", "replace"), secrets).split())
    return line[:200] + ("..." if len(line) > 200 else "")


def for_status(
    action: Action, status: int, where: str, said: str, retry_after: float | None = None, moved_from: str | None = None
) -> DataflowError:
    """The error of an answer with ``status``; ``said`` is the redacted start of its body."""
    kind, code, what, fix = _STATUS[action]
    what = f"{what}: status {status}" + (f", '{said}'" if said else "")
    if moved_from and action == "unauthorized":
        what += f"; {moved_from} redirected to another host, where credentials are not sent"
        fix = "set base_url to the host the API really lives on"
    if kind is TransientError:
        return TransientError(code, what, where=where, fix=fix, retry_after=retry_after)
    return ConfigError(code, what, where=where, fix=fix)


def unavailable(problem: str, where: str) -> TransientError:
    """No whole answer came, however often we asked."""
    return TransientError(
        "rest.unavailable", f"the API gives no whole answer: {problem}", where=where, fix=_STATUS["retry"][3]
    )


def unreachable(problem: str, where: str) -> TransientError:
    """There is no connection to the host: name unknown, refused, or no way there."""
    return TransientError(
        "rest.unreachable",
        f"cannot connect: {problem}",
        where=where,
        fix="check base_url, and that the server runs and this machine may reach it",
    )


def certificate(where: str) -> ConfigError:
    """The host does not prove that it is the one we ask for."""
    return ConfigError(
        "rest.certificate",
        "the server's TLS certificate is not trusted",
        where=where,
        fix="check the host in base_url; for a private authority set SSL_CERT_FILE to its certificate",
    )


def bad_redirect(problem: str, where: str) -> ConfigError:
    """A redirect that cannot be followed."""
    return ConfigError("rest.redirect", problem, where=where, fix="set base_url and path to the final address")


def private_address(where: str) -> ConfigError:
    """The address lies in a private network, on this machine, or on this link."""
    return ConfigError(
        "rest.private_address",
        "the address leads into a private network, where connections may not ask unless they say so",
        where=where,
        fix="if it is meant, list the address or network under the connection's allow_hosts",
    )


def budget_spent(seconds: float, where: str) -> TransientError:
    """The API, or the rate, lets nobody ask for a while."""
    return TransientError(
        "rest.budget_spent",
        f"no request may be sent for another {seconds:.0f} seconds",
        where=where,
        fix="run it again after that time, or set a higher rate if the API allows it",
        retry_after=seconds,
    )


def no_token(status: int, said: str, where: str) -> ConfigError:
    """A login, or a request for a token, gave none."""
    return ConfigError(
        "rest.no_token",
        f"no token was given: status {status}" + (f", '{said}'" if said else ""),
        where=where,
        fix="check the credentials, the token's address and scope, and token_path",
    )


def bad_key(problem: str, where: str) -> ConfigError:
    """A key that cannot be used as it is."""
    return ConfigError("rest.key", problem, where=where, fix="check auth and the variable its key is read from")


def no_job(name: str, path: str, where: str) -> ConfigError:
    """The answer to the creation of a job lacks what the job is called."""
    return ConfigError(
        "rest.job",
        f"the answer to the job's creation has no '{name}' at '{path}'",
        where=where,
        fix="check job.values against the API's manual",
    )


def job_failed(status: str, said: str, where: str) -> TransientError:
    """The API gave the job up."""
    return TransientError(
        "rest.job_failed",
        f"the export ended as '{status}'" + (f": '{said}'" if said else ""),
        where=where,
        fix="run it again; if it is always so, ask for less at once (cursor.slice)",
    )


def job_late(seconds: float, status: str, where: str) -> TransientError:
    """The job takes too long."""
    return TransientError(
        "rest.job_late",
        f"the export is not done after {seconds:g} seconds; its status is '{status}'",
        where=where,
        fix="raise job.timeout_seconds, or ask for less at once (cursor.slice)",
    )


def not_json(media_type: str, said: str, where: str) -> TransientError:
    """The body is no JSON: often the error page of something between us and the API."""
    return TransientError(
        "rest.body",
        f"the body is not JSON ({media_type or 'no content type'}): '{said}'",
        where=where,
        fix="try again later; if it is always so, path names a page for people instead of the API",
    )


def no_records(path: str | None, problem: str, keys: Iterable[str], where: str) -> ConfigError:
    """There is no list of objects where ``records`` points."""
    listed = ", ".join(sorted(keys)[:12])
    return ConfigError(
        "rest.records",
        f"no list of records at '{path}': {problem}" if path else f"no list of records: {problem}",
        where=where,
        fix=f"set records to the list's path in the body; keys there: {listed or 'none'}",
    )


def loop(where: str) -> DataError:
    """The API sends us round in circles."""
    return DataError(
        "rest.loop",
        "the same page came up twice: reading on would never end",
        where=where,
        fix="check the stream's paging against the API's manual",
    )


def too_many_pages(limit: int, where: str) -> ConfigError:
    """The guard against endless reading."""
    return ConfigError(
        "rest.page_limit",
        f"there are more than {limit:,} pages",
        where=where,
        fix="raise the connection's page_limit, or ask for larger pages",
    )


def wrong_type(column: str, declared: str, found: str, where: str) -> DataError:
    """A value that is not of its column's type."""
    return DataError(
        "rest.type",
        f"column '{column}' is {declared}, but holds {found}",
        where=where,
        fix=f"declare the type all its values have, `columns: {{{column}: ...}}`; VARCHAR and JSON take any value",
    )


def mixed_types(column: str, found: Iterable[str], where: str) -> DataError:
    """A column whose first values already differ in type."""
    return DataError(
        "rest.type",
        f"column '{column}' holds {' and '.join(sorted(found))}",
        where=where,
        fix=f"declare `columns: {{{column}: VARCHAR}}` or JSON, which take any value",
    )


def new_field(name: str, where: str) -> DataError:
    """A key that was not there when the columns were settled."""
    return DataError(
        "rest.new_field",
        f"field '{name}' is not among the columns settled on the first pages",
        where=where,
        fix=f"declare it, `columns: {{{name}: VARCHAR}}` or the type it has; rows without it get NULL",
    )


def same_name(names: Iterable[str], where: str) -> DataError:
    """Keys a SQL table cannot hold side by side."""
    return DataError(
        "rest.columns",
        f"fields {' and '.join(sorted(names))} differ only in case: a table cannot hold both",
        where=where,
        fix="ask the API for one of them only, for instance by params",
    )


def no_columns(where: str) -> ConfigError:
    """Nothing tells the columns: no row with a field, no declaration and no earlier load."""
    return ConfigError(
        "rest.no_columns",
        "the API sent no row with a field, so the columns are unknown",
        where=where,
        fix="declare them under columns, or load the stream once while it has such rows",
    )


def column_type(name: str, given: str, known: Iterable[str]) -> ConfigError:
    """A declared type this connector does not make."""
    return ConfigError(
        "rest.column_type",
        f"column '{name}' cannot be read as '{given}'",
        where=f"columns.{name}",
        fix=f"use one of {', '.join(known)}; cast further in the transform",
    )
