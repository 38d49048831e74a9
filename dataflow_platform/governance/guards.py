"""What looks at the columns of a pipeline's stream and fails without them: checks, keys, cursor, partitions."""

from collections.abc import Iterator, Sequence
from typing import Any

from dataflow_platform.core.base import Check, Column
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.engine.lineage import Origin, Relation
from dataflow_platform.governance.column_graph import Guard
from dataflow_platform.pipeline.build import DeclaredStream


def guards_of(
    stream: DeclaredStream, relation: Relation, columns: Sequence[Column], source: str, key: str
) -> tuple[Guard, ...]:
    """All of one stream: ``source`` and ``key`` are the assets it reads and makes, ``columns`` those of its table."""
    asset = stream.asset
    used = {
        "primary key": asset.stream.primary_key,
        "cursor": (asset.stream.cursor,) if asset.stream.cursor else (),
        "partitions": (asset.spec.partition.by,) if asset.spec.partition else (),
    }
    found = [
        Guard(kind, ", ".join(names), tuple(Origin(name, source) for name in names))
        for kind, names in used.items()
        if names
    ]
    for check in asset.checks:
        by_rule = dict(_by_rule(check, columns, relation, key))
        named = tuple(dict.fromkeys(_named(check, key)))
        for name in check.names():
            found.append(Guard("check", name, tuple(dict.fromkeys((*by_rule.get(name, ()), *named)))))
    return tuple(found)


def _named(check: Check, key: str) -> Iterator[Origin]:
    """The columns a check names in its settings, those of another table among them."""
    told: dict[str, Any] = {name: getattr(check, name) for name in type(check).model_fields}
    for setting in ("column", "columns"):
        value = told.get(setting)
        names = [value] if isinstance(value, str) else value or []
        yield from (Origin(str(name), key) for name in names)
    references = told.get("references") or told.get("against")
    for reference in [references] if isinstance(references, str) else references or []:
        if isinstance(reference, str) and reference.count(".") >= 2:
            table, _, column = reference.rpartition(".")
            yield Origin(column, table.replace(".", "/"))


def _by_rule(
    check: Check, columns: Sequence[Column], relation: Relation, key: str
) -> Iterator[tuple[str, tuple[Origin, ...]]]:
    """The columns each rule of a check looks at; nothing where it does not fit what is known of the table."""
    if relation.is_open() and not columns:
        return
    try:
        rules = check.rules(columns)
    except DataflowError:
        return
    for rule in rules:
        names = list(rule.shows) or ([rule.column] if rule.column else _in_sql(rule.violation, columns))
        yield rule.name, tuple(Origin(name, key) for name in names)


def _in_sql(violation: str | None, columns: Sequence[Column]) -> list[str]:
    if not violation:
        return []
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    known = {column.name.lower(): column.name for column in columns}
    try:
        named = [node.name.lower() for node in sqlglot.parse_one(violation, read="duckdb").find_all(exp.Column)]
    except SqlglotError:
        return []
    return [known[name] for name in dict.fromkeys(named) if name in known]
