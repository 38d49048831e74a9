"""A tap's catalog: what it offers, and a copy of it in which one stream is selected."""

from collections.abc import Mapping
from typing import Any

from dataflow_platform.connectors._protocol.kinds import kind_of
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable
from dataflow_platform.core.errors import DataError


def streams_of(catalog: Any, program: str) -> dict[str, Mapping[str, Any]]:
    """The catalog's streams by their id; DataError where it is no catalog."""
    listed = catalog.get("streams") if isinstance(catalog, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise DataError(
            "singer.catalog", f"what '{program}' gave is no catalog: it has no list `streams`", where="catalog",
            fix="check the tap's discovery, or write a catalog file: catalog: PATH",
        )  # fmt: skip
    return {str(each.get("tap_stream_id") or each.get("stream")): each for each in listed}


def names_in(entry: Mapping[str, Any]) -> str:
    """How messages call the stream of a catalog's entry."""
    return str(entry.get("stream") or entry.get("tap_stream_id"))


def selecting(catalog: Mapping[str, Any], wanted: str, replication: Mapping[str, str]) -> dict[str, Any]:
    """The catalog with only the stream ``wanted`` selected, in both ways taps look for it.

    ``replication``: `replication-method` and `replication-key` where they are set.
    """
    chosen = []
    for entry in catalog["streams"]:
        name = str(entry.get("tap_stream_id") or entry.get("stream"))
        selected = name == wanted
        told = [dict(each) for each in entry.get("metadata") or ()]
        root = next((each for each in told if not each.get("breadcrumb")), None)
        if root is None:
            root = {"breadcrumb": [], "metadata": {}}
            told.append(root)
        root["metadata"] = {**root.get("metadata", {}), "selected": selected, **(replication if selected else {})}
        schema = {**(entry.get("schema") or {}), "selected": selected}
        older = {name.replace("-", "_"): value for name, value in replication.items()} if selected else {}
        chosen.append({**entry, "schema": schema, "metadata": told, **older})
    return {**catalog, "streams": chosen}


def key_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The stream's key as the catalog tells it, in whichever of its two places."""
    for each in entry.get("metadata") or ():
        if not each.get("breadcrumb") and each.get("metadata", {}).get("table-key-properties"):
            return tuple(each["metadata"]["table-key-properties"])
    return tuple(entry.get("key_properties") or ())


def table_of(name: str, entry: Mapping[str, Any]) -> CatalogueTable:
    """The stream as the catalogue shows it, its types as they will be loaded."""
    schema = entry.get("schema") or {}
    columns = tuple(
        CatalogueColumn(column, kind_of(of, schema)) for column, of in (schema.get("properties") or {}).items()
    )
    return CatalogueTable(name, None, name, columns=columns, primary_key=key_of(entry))
