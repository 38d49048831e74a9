"""Where the records of a stream stand, and which columns they have, held against the answer a description tells."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dataflow_platform.connectors.rest.openapi_findings import Report
from dataflow_platform.connectors.rest.openapi_shape import Shape

if TYPE_CHECKING:
    from dataflow_platform.connectors.rest.endpoint import Endpoint

SCALARS = frozenset({"string", "integer", "number", "boolean"})


def record_of(report: Report, endpoint: "Endpoint", answer: Shape | None, at: str) -> list[Shape]:
    """One record's shape for each path of the records; those that are told and right."""
    found = []
    for path in endpoint.records.paths:
        place = f"{at}.records"
        if answer is None:
            report.silent(place, "the document shows no answer")
            continue
        shape = report.step_into(answer, path, place, "verify.records")
        if shape is None:
            continue
        record = _record(report, endpoint.records.shape, shape, path, place)
        if record is not None:
            found.append(record)
    return found


def _record(report: Report, kind: str, shape: Shape, path: str, at: str) -> Shape | None:
    if shape.says_nothing and shape.items is None and "array" not in shape.kinds:
        report.silent(at, f"the document does not say what '{path}' holds")
        return None
    # `list[].customer`: the step into each item was taken, what stands there is one record.
    one = kind in ("object", "map") or "[]" in path
    if one and (shape.names or "object" in shape.kinds):
        report.right()
        return shape
    if not one and (shape.items is not None or "array" in shape.kinds):
        report.right()
        return shape.items or Shape([], lambda reference: None)
    held = ", ".join(sorted(shape.names)[:12]) or ", ".join(sorted(shape.kinds)) or "nothing told"
    wanted = "an object" if one else "a list"
    lists = [
        name for name in sorted(shape.names) if (inner := shape.field(name)) is not None and inner.items is not None
    ]
    fix = f"the lists in it are: {', '.join(lists)}" if lists and not one else f"it holds {held}"
    report.wrong("verify.records", f"'{path}' is no {wanted.split()[-1]}: {held}", at, fix)
    return None


def check_columns(report: Report, endpoint: "Endpoint", records: Iterable[Shape], at: str) -> None:
    """Primary key, cursor, further fields and declared columns are in the record."""
    told = [record for record in records if record.names]
    added = _added(endpoint)
    for record in told:
        for column, path in endpoint.fields.items():
            inner = report.step_into(record, path, f"{at}.fields.{column}", "verify.field")
            if inner is not None:
                report.right()
    for place, column in _named(endpoint):
        if column in added:
            report.right()
            continue
        if not told:
            report.silent(f"{at}.{place}", f"the document does not say what a record has ('{column}')")
        for record in told:
            shape = record.field(column)
            if shape is None:
                what = f"a record has no '{column}'"
                report.unknown(f"verify.{place}", what, f"{at}.{place}", column, record.names, "it has")
            elif place == "primary_key" and shape.kinds and not shape.kinds & SCALARS:
                fix = "name a column with a plain value, or take one out of it with `fields`"
                report.wrong("verify.primary_key", f"'{column}' is {_kinds(shape)}, no key", f"{at}.{place}", fix)
            else:
                report.right()


def _kinds(shape: Shape) -> str:
    return " or ".join(sorted(shape.kinds))


def _added(endpoint: "Endpoint") -> set[str]:
    """Columns that are not the record's own."""
    records = endpoint.records
    of_shape = {"map": {records.key_column, records.value_column}, "values": {records.value_column}}
    parent = set(endpoint.parent.columns) if endpoint.parent else set()
    deleted = {endpoint.deleted.column} if endpoint.deleted else set()
    return set(endpoint.fields) | parent | deleted | of_shape.get(records.shape, set())


def _named(endpoint: "Endpoint") -> list[tuple[str, str]]:
    """Where a column is named, and which."""
    named = [("primary_key", column) for column in endpoint.primary_key]
    if endpoint.cursor and endpoint.cursor.field:
        named.append(("cursor", endpoint.cursor.field))
    if endpoint.paging.type == "last_id":
        named.append(("paging.field", endpoint.paging.field))
    return [*named, *(("columns", column) for column in endpoint.columns)]
