"""One request and one answer, as paging sees them. Pure: nothing is sent here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dataflow_platform.connectors.rest import template, value_path
from dataflow_platform.connectors.rest.cursor import Place

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """What is asked for one page. ``mark`` is what brought us here; seen twice, it is a loop.

    ``slots`` are values for names still in braces in path, params and body. ``body`` is a JSON value, or text.
    """

    url: str
    params: Mapping[str, str | list[str]] = field(default_factory=dict)
    method: str = "GET"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    slots: Mapping[str, str] = field(default_factory=dict)
    form: bool = False
    mark: str | None = None
    to_file: bool = False
    """The body of the answer may be larger than memory."""

    def with_value(self, place: Place, name: str, value: Any, mark: str | None = None) -> "Request":
        """The same request with ``value`` at its place; a value of a JSON body keeps its type."""
        if place == "body":
            return replace(self, body=value_path.put(self.body, name, value), mark=mark)
        text = template.as_text(value)
        if place == "header":
            return replace(self, headers={**self.headers, name: text}, mark=mark)
        if place == "template":
            return replace(self, slots={**self.slots, name: text}, mark=mark)
        return replace(self, params={**self.params, name: text}, mark=mark)

    def value_of(self, place: Place, name: str) -> Any:
        """What ``with_value`` put there; None where nothing is."""
        if place == "body":
            return value_path.find(self.body, name)
        held = {"header": self.headers, "template": self.slots}.get(place, self.params)
        return held.get(name)

    def filled(self) -> "Request":
        """The request with its slots filled, ready to be sent."""
        if not self.slots:
            return self
        return replace(
            self,
            url=template.fill_path(self.url, self.slots),
            params=template.fill_all(self.params, self.slots),
            body=template.fill_all(self.body, self.slots),
            slots={},
        )


@dataclass(frozen=True)
class Answer:
    """What paging may look at: the decoded body, headers, the address it came from, its links, and its rows.

    ``seen`` counts the rows of this page and all before it; ``headers`` are in lower case.
    """

    body: Any
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Row] = ()
    seen: int = 0

    def at(self, path: str) -> Any:
        """The value at ``path`` of the body, or of a header where it is written ``header:Name``."""
        if path.startswith("header:"):
            return self.headers.get(path.removeprefix("header:").lower())
        return value_path.find(self.body, path)
