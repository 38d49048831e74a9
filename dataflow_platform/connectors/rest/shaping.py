"""Decoded answers to rows: records found, taken out of their wrapping, with further columns."""

from collections.abc import Mapping
from typing import Any

from dataflow_platform.connectors.rest import errors, value_path
from dataflow_platform.connectors.rest.cursor import Deleted
from dataflow_platform.connectors.rest.endpoint import Endpoint
from dataflow_platform.connectors.rest.records import Records
from dataflow_platform.connectors.rest.request import Row


def rows_of(body: Any, endpoint: Endpoint, added: Mapping[str, Any], where: str) -> list[Row]:
    """The rows of an answer; ConfigError ``rest.records`` where its records are not where they should be.

    ``added`` are columns that every row gets: what is known of its parent.
    """
    lenient = endpoint.format == "xml"
    rows = [row for path in endpoint.records.paths for row in _records(body, path, endpoint.records, where, lenient)]
    deleted = endpoint.deleted
    if deleted:
        rows = [{**row, deleted.column: _is_deleted(row, deleted)} for row in rows]
        if deleted.records:
            gone = value_path.find(body, deleted.records) or []
            rows += [{**row, deleted.column: True} for row in gone]
    if endpoint.fields:
        rows = [{**row, **{name: value_path.find(row, path) for name, path in endpoint.fields.items()}} for row in rows]
    return [{**row, **added} for row in rows] if added else rows


def _is_deleted(row: Row, deleted: Deleted) -> bool:
    if deleted.field is None:
        return False
    found = value_path.find(row, deleted.field)
    return found == deleted.equals if deleted.equals is not None else found not in (None, False)


def _records(body: Any, path: str, records: Records, where: str, lenient: bool) -> list[Row]:
    if "[]" in path:
        found: Any = [each for each in value_path.find_all(body, path) if each is not None]
        if not found and not records.optional and value_path.find(body, path.split("[]")[0]) is None:
            raise errors.no_records(path, "there is nothing", _keys(body, path), where)
    else:
        found = value_path.find(body, path)
    if found is None and (records.optional or (lenient and value_path.steps(path))):
        return []
    if lenient and not isinstance(found, list):
        found = [found]
    shape = records.shape
    if shape == "object" and isinstance(found, dict):
        return [found]
    if shape == "map" and isinstance(found, dict):
        return _of_map(found, records)
    if shape in ("objects", "rows", "values") and isinstance(found, list):
        return _of_list(body, found, path, records, where)
    if found is None:
        raise errors.no_records(path, "there is nothing", _keys(body, path), where)
    kind = "an object" if isinstance(found, dict) else "a list" if isinstance(found, list) else "a plain value"
    raise errors.no_records(path, f"there is {kind}", _keys(body, path), where)


def _of_map(found: Mapping[str, Any], records: Records) -> list[Row]:
    return [
        {records.key_column: key, **(value if isinstance(value, dict) else {records.value_column: value})}
        for key, value in found.items()
    ]


def _of_list(body: Any, found: list[Any], path: str, records: Records, where: str) -> list[Row]:
    if records.shape == "values":
        return [{records.value_column: value} for value in found]
    if records.shape == "rows":
        names = value_path.find(body, records.header) if records.header else (found[0] if found else [])
        rows = found if records.header else found[1:]
        if not isinstance(names, list) or not all(isinstance(row, list) and len(row) <= len(names) for row in rows):
            raise errors.no_records(path, "its items are no lists of as many values as there are names", (), where)
        texts = [str(name) for name in names]
        return [dict(zip(texts, row + [None] * (len(texts) - len(row)), strict=True)) for row in rows]
    if all(isinstance(row, dict) for row in found):
        return found
    raise errors.no_records(path, "its items are no objects", (), where)


def _keys(body: Any, path: str) -> list[str]:
    """The keys beside which the records were looked for: what the writer may have meant."""
    for step in value_path.steps(path)[:-1]:
        inner = body.get(step) if isinstance(body, dict) and isinstance(step, str) else None
        body = inner if isinstance(inner, dict) else body
    return list(map(str, body)) if isinstance(body, dict) else []
