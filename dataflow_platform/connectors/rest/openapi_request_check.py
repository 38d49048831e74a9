"""What a stream sends, held against what an operation declares: parameters, body, cursor, paging."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors.rest import template
from dataflow_platform.connectors.rest.openapi import Operation, Parameter
from dataflow_platform.connectors.rest.openapi_findings import Report
from dataflow_platform.connectors.rest.openapi_lists import paging_of
from dataflow_platform.connectors.rest.openapi_shape import Shape

if TYPE_CHECKING:
    from dataflow_platform.connectors.rest.endpoint import Endpoint

_BRACKET = re.compile(r"^([^\[\]]+)\[([^\[\]]*)\]$")
_TOKENS = frozenset({"token", "access_token", "oauth_token"})
_NUMBERS = frozenset({"integer", "number"})


def declared(operation: Operation, name: str, place: str) -> Shape | None:
    """The shape of parameter ``name``; None where the operation has none of that name there."""
    if place == "body":
        shape = operation.body
        for part in name.split("."):
            shape = shape.field(part) if shape is not None else None
        found = operation.parameter(name, "body")
        return shape or (found.shape if found else None)
    found = operation.parameter(name, "header") if place == "header" else operation.parameter(name, "query")
    if found is not None:
        return found.shape
    # `created[gte]` of a deep object, `expand[]` of a list: the document has them as one parameter.
    if place == "query" and (match := _BRACKET.match(name)):
        whole = operation.parameter(match[1], "query") or operation.parameter(f"{match[1]}[]", "query")
        if whole is None:
            return None
        return whole.shape.field(match[2]) if match[2] and whole.shape.names else whole.shape
    return None


class RequestCheck:
    """Holds one stream's request against one operation; notes what it finds in a report."""

    def __init__(self, report: Report, operation: Operation, endpoint: "Endpoint", at: str) -> None:
        self.report = report
        self.operation = operation
        self.endpoint = endpoint
        self.at = at
        self.sent: set[tuple[str, str]] = set()
        self.logs_in = False

    def run(self, shared_headers: Mapping[str, str], auth_names: Iterable[tuple[str, str]], logs_in: bool) -> None:
        """Everything but the answer. ``auth_names`` are what the login adds; ``logs_in`` says that there is one."""
        self.logs_in = logs_in
        self.sent.update(auth_names)
        for name, value in self.endpoint.params.items():
            self._param(name, value)
        for name, value in {**shared_headers, **self.endpoint.headers}.items():
            self.sent.add(("header", name.lower()))
            if (found := self.operation.parameter(name, "header")) is not None:
                self._value(found.shape, value, f"headers.{name}", name)
        if isinstance(self.endpoint.body, Mapping):
            self._body(self.endpoint.body, self.operation.body, "body")
        self._cursor()
        self._paging()
        self._required()

    def _name(self, name: str, place: str, at: str, code: str) -> Shape | None:
        self.sent.add((place, name.lower() if place == "header" else name))
        if place == "template":
            return None
        shape = declared(self.operation, name, place)
        if shape is None:
            if place == "body" and (self.operation.body is None or self.operation.body.says_nothing):
                self.report.silent(f"{self.at}.{at}", f"the document does not say what the body takes ('{name}')")
                return None
            known = self._known(place)
            what = f"{self.operation.method} {self.operation.path} declares no {place} parameter '{name}'"
            self.report.unknown(code, what, f"{self.at}.{at}", name, known, "declared")
            return None
        self.report.right()
        return shape

    def _known(self, place: str) -> list[str]:
        if place == "body":
            return [*(self.operation.body.names if self.operation.body else ()), *self.operation.names("body")]
        return self.operation.names("header" if place == "header" else "query")

    def _param(self, name: str, value: Any) -> None:
        shape = self._name(name, "query", f"params.{name}", "verify.parameter")
        if shape is not None:
            for each in value if isinstance(value, list) else [value]:
                self._value(shape, each, f"params.{name}", name)

    def _value(self, shape: Shape, value: Any, at: str, name: str) -> None:
        if any(template.names(value)):
            return
        # A list is written as `a,b` as often as by repeating the name.
        item = shape.items if "array" in shape.kinds and shape.items is not None else shape
        parts = str(value).split(",") if item is not shape or (item.enum and str(value) not in item.enum) else [value]
        enum = [template.as_text(each) for each in item.enum]
        for part in parts:
            text = template.as_text(part)
            if enum and text not in enum:
                what = f"'{name}' takes no '{text}'"
                self.report.unknown("verify.value", what, f"{self.at}.{at}", text, enum, "it takes")
            elif item.kinds and not _fits(item.kinds, part):
                what = f"'{name}' is {' or '.join(sorted(item.kinds))}, not '{text}'"
                self.report.wrong("verify.value", what, f"{self.at}.{at}", "write a value of that kind")
            else:
                self.report.right()

    def _body(self, body: Mapping[str, Any], shape: Shape | None, at: str) -> None:
        for name, value in body.items():
            if at == "body":
                self.sent.add(("body", name))
            inner = shape.field(name) if shape is not None and not shape.says_nothing else None
            if shape is None or shape.says_nothing:
                self.report.silent(f"{self.at}.{at}.{name}", "the document does not say what the body takes")
            elif inner is None:
                what = f"the body takes no '{name}'"
                self.report.unknown("verify.body", what, f"{self.at}.{at}.{name}", name, shape.names, "it takes")
            elif isinstance(value, Mapping):
                self._body(value, inner, f"{at}.{name}")
            elif not isinstance(value, list):
                self._value(inner, value, f"{at}.{name}", name)

    def _cursor(self) -> None:
        endpoint, cursor = self.endpoint, self.endpoint.cursor
        if endpoint.cursor_param:
            self._name(endpoint.cursor_param, "query", "cursor_param", "verify.cursor_param")
        if endpoint.delta:
            self._name(endpoint.delta.param, endpoint.delta.place, "delta.param", "verify.delta")
        if cursor is None:
            return
        for word, name in (("param", cursor.param), ("end_param", cursor.end_param)):
            if name is None:
                continue
            shape = self._name(name, cursor.place, f"cursor.{word}", "verify.cursor_param")
            if shape is not None:
                self._format(shape, cursor.format, name, f"cursor.{word}")

    def _format(self, shape: Shape, written: str, name: str, at: str) -> None:
        numeric, textual = bool(shape.kinds & _NUMBERS), "string" in shape.kinds
        wanted = ""
        if numeric and not textual and written not in ("unix", "unix_ms", "text"):
            wanted = "unix or unix_ms"
        elif shape.format == "date" and written not in ("date", "text", "%Y-%m-%d"):
            wanted = "date"
        elif shape.format == "date-time" and written in ("unix", "unix_ms", "date", "http_date"):
            wanted = "iso"
        if wanted:
            told = shape.format or " or ".join(sorted(shape.kinds))
            what = f"'{name}' is {told}, the cursor is written as {written}"
            self.report.wrong("verify.cursor_format", what, f"{self.at}.{at}", f"set cursor.format to {wanted}")

    def _paging(self) -> None:
        paging = self.endpoint.paging
        if paging.type == "none":
            pages = paging_of(self.operation)
            # A list that changes by a token, and one that is asked for by its parameters, need no further pages.
            sent = {name for _, name in self.sent}
            if pages.kind != "none" and not self.endpoint.job and pages.param not in sent:
                shown = f"'{pages.param}'" if pages.param else f"'{'.'.join(pages.path)}'" if pages.path else "Link"
                what = f"{self.operation.path} has pages ({shown}), the stream asks for one only"
                fix = "declare `paging`, or what is behind the first page is never read"
                self.report.wrong("verify.paging", what, f"{self.at}.paging", fix)
            return
        place = getattr(paging, "place", "query")
        if paging.type != "next_link":
            shape = self._name(paging.param, place, "paging.param", "verify.paging_param")
            counts = paging.type in ("offset", "page_number")
            if (
                shape is not None
                and counts
                and shape.kinds
                and not shape.kinds & _NUMBERS
                and "string" not in shape.kinds
            ):
                what = f"'{paging.param}' is no number"
                self.report.wrong("verify.paging_param", what, f"{self.at}.paging.param", "page by another parameter")
        if paging.type == "offset":
            self._size(paging.limit_param, paging.limit, place, "limit_param", "limit")
        else:
            self._size(paging.size_param, paging.size, place, "size_param", "size")

    def _size(self, name: str | None, size: int, place: str, word: str, amount: str) -> None:
        if name is None:
            return
        shape = self._name(name, place, f"paging.{word}", "verify.paging_param")
        if shape is None:
            return
        if shape.kinds and not shape.kinds & _NUMBERS and "string" not in shape.kinds:
            self.report.wrong(
                "verify.paging_size", f"'{name}' is no number", f"{self.at}.paging.{word}", "leave it out"
            )
        elif shape.maximum is not None and size > shape.maximum:
            what = f"a page has {shape.maximum:.0f} rows at most, not {size}"
            self.report.wrong(
                "verify.paging_size", what, f"{self.at}.paging.{amount}", f"set it to {shape.maximum:.0f}"
            )
        elif shape.enum and str(size) not in map(str, shape.enum):
            known = [str(each) for each in shape.enum]
            self.report.unknown(
                "verify.paging_size",
                f"'{name}' takes no {size}",
                f"{self.at}.paging.{amount}",
                str(size),
                known,
                "it takes",
            )
        else:
            self.report.right()

    def _required(self) -> None:
        for parameter in self.operation.parameters:
            if not parameter.required or parameter.location not in ("query", "header") or self._is_sent(parameter):
                continue
            if parameter.name in _TOKENS and self.logs_in:
                self.report.silent(
                    f"{self.at}.params", f"the document wants '{parameter.name}', which the login brings"
                )
            else:
                what = f"{self.operation.path} wants the {parameter.location} parameter '{parameter.name}'"
                word = "params" if parameter.location == "query" else "headers"
                self.report.wrong(
                    "verify.required", what, f"{self.at}.{word}", f"send it: {word}: {{{parameter.name}: ...}}"
                )
        body = self.operation.body
        for name in sorted(body.required) if body is not None and not self.endpoint.graphql else ():
            if ("body", name) not in self.sent and not any(sent.startswith(f"{name}.") for _, sent in self.sent):
                what = f"{self.operation.path} wants '{name}' in the body"
                self.report.wrong("verify.required", what, f"{self.at}.body", f"send it: body: {{{name}: ...}}")

    def _is_sent(self, parameter: Parameter) -> bool:
        if parameter.location == "header":
            # What HTTP itself or the login brings.
            ours = {"authorization", "accept", "content-type", "user-agent"}
            return parameter.name.lower() in ours or ("header", parameter.name.lower()) in self.sent
        name = parameter.name.removesuffix("[]")
        return any(
            (place == "query" and sent.partition("[")[0] == name) or sent == parameter.name for place, sent in self.sent
        )


def _fits(kinds: frozenset[str], value: Any) -> bool:
    text = template.as_text(value)
    if "string" in kinds or not kinds & {"integer", "number", "boolean"}:
        return True
    if "boolean" in kinds and text in ("true", "false"):
        return True
    return bool(kinds & _NUMBERS) and re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
