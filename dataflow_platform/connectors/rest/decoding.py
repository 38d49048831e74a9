"""Bodies to values: JSON, JSON lines, CSV and XML, also inside gzip or zip."""

import csv
import io
from collections.abc import Iterator
from typing import Any, TextIO
from xml.etree import ElementTree

from dataflow_platform.connectors.rest.batches import decode
from dataflow_platform.connectors.rest.endpoint import Csv, Endpoint
from dataflow_platform.connectors.rest.reply import Reply


def value_of(reply: Reply, endpoint: Endpoint, exact: bool) -> Any:
    """The value of a body, by the endpoint's format; ValueError where it is broken."""
    if endpoint.format == "json":
        packed = reply.body[:2] == b"\x1f\x8b" or reply.body[:4] == b"PK\x03\x04"
        return decode(reply.opened(), exact) if packed else reply.value(exact)
    body = reply.opened()
    if endpoint.format == "jsonl":
        return [decode(line, exact) for line in body.splitlines() if line.strip()]
    if endpoint.format == "csv":
        return list(csv_rows(io.StringIO(body.decode("utf-8-sig"), newline=""), endpoint.csv))
    try:
        # Expat itself refuses entities that blow up, and nothing outside the document is ever read.
        root = ElementTree.fromstring(body)  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML: {error}") from None
    return {_local(root.tag): _element(root)}


def exact_value(reply: Reply, endpoint: Endpoint) -> Any:
    """The value once more, with every number digit by digit."""
    return value_of(Reply(reply.status, reply.headers, reply.body, reply.url), endpoint, exact=True)


def csv_rows(lines: TextIO, written: Csv) -> Iterator[dict[str, str | None]]:
    """The rows of a CSV text by its header; an empty value is None. ValueError where a line does not fit it."""
    for _ in range(written.skip):
        lines.readline()
    reader = csv.reader(lines, delimiter=written.delimiter, quotechar=written.quote, strict=True)
    try:
        header = next(reader, None)
        for row in reader if header else ():
            if row:
                if len(row) != len(header or ()):
                    raise ValueError("a line with another number of values than the header")
                yield {name: value or None for name, value in zip(header or (), row, strict=True)}
    except csv.Error as error:
        raise ValueError(f"no CSV: {error}") from None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _element(element: ElementTree.Element) -> Any:
    """An element as text, or as an object: children by name (several make a list), `@name` for attributes."""
    found: dict[str, Any] = {f"@{_local(name)}": value for name, value in element.attrib.items()}
    for child in element:
        name, value = _local(child.tag), _element(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    text = (element.text or "").strip()
    if not found:
        return text or None
    if text:
        found["#text"] = text
    return found
