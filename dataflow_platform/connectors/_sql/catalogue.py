"""What SQLAlchemy's inspector tells of every table and view of a database."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataflow_platform.connectors._sql import kinds
from dataflow_platform.connectors._sql.stream import join_name
from dataflow_platform.core.catalogue import CatalogueColumn, CatalogueTable, TableKind
from dataflow_platform.core.progress import Progress, report

if TYPE_CHECKING:
    import sqlalchemy as sa

_PHASE = "reading the catalogue"


def inspected(connection: "sa.Connection", system_schemas: frozenset[str], what: str) -> list[CatalogueTable]:
    """Tables and views with kind, columns and key, sorted; ``what`` is shown while the schemas are gone through."""
    import sqlalchemy as sa

    inspector = sa.inspect(connection)
    try:
        schemas: Sequence[str | None] = inspector.get_schema_names()
    except NotImplementedError:
        schemas = [None]
    found: list[CatalogueTable] = []
    wanted = [schema for schema in schemas if (schema or "").lower() not in system_schemas]
    for done, schema in enumerate(wanted):
        report(Progress(what, f"{_PHASE}: {schema or 'tables'}", fraction=done / len(wanted)))
        for kind in ("table", "view", "materialized_view"):
            found += _of_kind(inspector, connection.dialect, schema, kind)
    report(Progress(what, _PHASE, fraction=1.0, done=True))
    return sorted(found, key=lambda table: table.name)


def _of_kind(
    inspector: "sa.Inspector", dialect: "sa.Dialect", schema: str | None, kind: Any
) -> Iterator[CatalogueTable]:
    from sqlalchemy.engine.reflection import ObjectKind

    wanted = {
        "table": ObjectKind.TABLE, "view": ObjectKind.VIEW, "materialized_view": ObjectKind.MATERIALIZED_VIEW,
    }[kind]  # fmt: skip
    try:
        with warnings.catch_warnings():
            # A type without a name is shown as such; reading such a column is refused by name.
            warnings.filterwarnings("ignore", "Did not recognize type")
            columns = inspector.get_multi_columns(schema=schema, kind=wanted)
    except NotImplementedError:
        return
    keys: Mapping[Any, Any] = {}
    if kind == "table":
        try:
            keys = inspector.get_multi_pk_constraint(schema=schema, kind=wanted)
        except NotImplementedError:
            keys = {}
    for (_, name), told in columns.items():
        key = keys.get((schema, name)) or {}
        yield CatalogueTable(
            join_name(schema, name), schema, name, kind,
            tuple(CatalogueColumn(each["name"], _words(each["type"], dialect)) for each in told),
            tuple(key.get("constrained_columns") or ()),
        )  # fmt: skip


def _words(declared: Any, dialect: "sa.Dialect") -> str:
    return kinds.kind_of_type(declared, dialect, {})[1]


def described(tables: Sequence[tuple[str | None, str]], columns: Any, what: str) -> list[CatalogueTable]:
    """The same for a system whose tables are described one by one: ``columns(schema, table)`` tells name and type."""
    found: list[CatalogueTable] = []
    kind: TableKind | None = None  # such a system's list does not tell tables from views
    for done, (schema, table) in enumerate(tables):
        report(Progress(what, f"{_PHASE}: {join_name(schema, table)}", fraction=done / len(tables)))
        told = tuple(CatalogueColumn(name, words) for name, _, words in columns(schema, table))
        found.append(CatalogueTable(join_name(schema, table), schema, table, kind, told))
    report(Progress(what, _PHASE, fraction=1.0, done=True))
    return sorted(found, key=lambda table: table.name)
