"""How a connector proves who asks, held against the schemes that a description declares."""

from collections.abc import Iterable
from typing import Any

from dataflow_platform.connectors.rest.openapi import Description, Operation, Scheme
from dataflow_platform.connectors.rest.openapi_findings import Report
from dataflow_platform.connectors.rest.openapi_place import address, same_host
from dataflow_platform.core.errors import nearest


def sent_by(auth: Any) -> list[tuple[str, str]]:
    """Place and name of what ``auth`` adds to a request."""
    if auth.type == "header":
        return [("header", auth.name.lower())]
    if auth.type == "headers":
        return [("header", name.lower()) for name in auth.credentials]
    if auth.type == "query":
        return [("query", auth.name)]
    return [("body", name) for name in auth.credentials] if auth.type == "body" else []


def fits(auth: Any, scheme: Scheme) -> bool:
    """Whether ``auth`` is a way of doing what ``scheme`` says."""
    in_authorization = scheme.kind == "api_key" and scheme.param.lower() == "authorization"
    bears = scheme.kind in ("bearer", "oauth2") or in_authorization
    if auth.type == "bearer" or auth.type.startswith("oauth2_"):
        own = getattr(auth, "header", "Authorization").lower()
        return bears if own == "authorization" else scheme.kind == "oauth2" or scheme.param.lower() == own
    if auth.type in ("basic", "digest"):
        return scheme.kind == auth.type or (in_authorization and auth.type == "basic")
    if auth.type in ("header", "headers"):
        names = {name for _, name in sent_by(auth)}
        key = scheme.kind == "api_key" and scheme.location == "header" and scheme.param.lower() in names
        return key or ("authorization" in names and bears)
    if auth.type == "query":
        return scheme.kind == "api_key" and scheme.location == "query" and scheme.param == auth.name
    return auth.type in ("session", "aws_sigv4", "body")


def check_auths(report: Report, auths: Iterable[Any], description: Description, used: Iterable[Operation]) -> None:
    """Each way to log in is one that the operations take."""
    names = {name for operation in used for name in operation.schemes or ()}
    told = any(operation.schemes is not None for operation in used)
    # Some documents declare their schemes and never say which operation takes them.
    schemes = [scheme for name, scheme in description.schemes.items() if name in names or not told]
    declared_headers = {
        ("header", parameter.name.lower())
        for operation in used
        for parameter in operation.parameters
        if parameter.location == "header"
    }
    for position, auth in enumerate(auths):
        at = f"auth[{position}]" if position else "auth"
        if not schemes:
            if set(sent_by(auth)) and set(sent_by(auth)) <= declared_headers:
                report.right()
            else:
                report.silent(at, "the document does not say how the API is told who asks")
        elif auth.type == "none":
            if told and not names:
                report.right()
            else:
                fix = f"the document takes: {_listed(schemes)}"
                report.wrong("verify.auth", "the API wants to know who asks", at, fix)
        elif any(fits(auth, scheme) for scheme in schemes):
            report.right()
            _token_url(report, auth, schemes, at)
        else:
            _no_such_auth(report, auth, schemes, at)


def _no_such_auth(report: Report, auth: Any, schemes: list[Scheme], at: str) -> None:
    keys = [scheme.param for scheme in schemes if scheme.kind == "api_key"]
    sent = [name for _, name in sent_by(auth)]
    found = nearest(sent[0], keys) if sent else None
    shown = f"{auth.type} {', '.join(sent)}".strip()
    fix = f"did you mean '{found}'?" if found else f"the document takes: {_listed(schemes)}"
    report.wrong("verify.auth", f"the API takes no {shown}", at, fix)


def _listed(schemes: Iterable[Scheme]) -> str:
    return ", ".join(dict.fromkeys(f"{each.kind} {each.location} {each.param}".strip() for each in schemes))


def _token_url(report: Report, auth: Any, schemes: Iterable[Scheme], at: str) -> None:
    ours = getattr(auth, "token_url", "")
    told = [url for scheme in schemes for url in scheme.token_urls if "://" in url]
    if ours and not told:
        report.silent(f"{at}.token_url", "the document does not say where tokens come from")
    if not ours or not told:
        return
    if any(same_host(address(ours).host, address(url).host, {}) and _path(ours) == _path(url) for url in told):
        report.right()
    else:
        fix = f"the document says {', '.join(dict.fromkeys(told))}"
        report.wrong("verify.token_url", f"tokens do not come from {ours}", f"{at}.token_url", fix)


def _path(url: str) -> tuple[str, ...]:
    return tuple(part for part in address(url).segments if part)


def check_scope(report: Report, written: str, description: Description, operation: Operation | None, at: str) -> None:
    """Every word of a scope is one the document knows; where the operation names scopes, one of those is among them."""
    known = {scope for scheme in description.schemes.values() for scope in scheme.scopes}
    if operation is not None:
        known |= operation.scopes
    for word in written.split() if known else ():
        if word in known:
            report.right()
        else:
            report.unknown("verify.scope", f"there is no scope '{word}'", at, word, known, "there is")
    words = set(written.split())
    if operation is not None and operation.scopes and words and words <= known and not words & operation.scopes:
        fix = f"it takes one of: {', '.join(sorted(operation.scopes))}"
        report.wrong("verify.scope", f"'{written}' does not read {operation.path}", at, fix)
