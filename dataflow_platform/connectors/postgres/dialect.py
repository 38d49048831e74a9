"""The engine's SQL (DuckDB's dialect) in PostgreSQL's words."""

from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from dataflow_platform.connectors.postgres.types import stored
from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import ConfigError

IDENTIFIER_BYTES = 63
_PARAMETER = "\0"  # in no SQL text: quote() and literal() refuse it


@dataclass(frozen=True)
class Transfer:
    """INSERT INTO ``target`` (``columns``) SELECT ``selected`` FROM ``origin``, and nothing else."""

    target: Table
    columns: tuple[str, ...]
    selected: tuple[str, ...]
    origin: Table


@dataclass(frozen=True)
class Translated:
    """One statement. ``with_parameters`` is its text for the driver's own placeholders.

    ``ensures`` is set for CREATE and ADD COLUMN ... IF NOT EXISTS: the table (or, with an empty name, the schema).
    ``transfer`` is set where the statement only moves rows from one table into another.
    """

    sql: str
    with_parameters: str
    tables: frozenset[Table]
    ensures: Table | None
    transfer: Transfer | None


@lru_cache(maxsize=512)
def translated(sql: str) -> Translated:
    """``sql`` for PostgreSQL; ConfigError where it cannot be said there or a name is too long."""
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
        for identifier in list(tree.find_all(exp.Identifier)):
            check_name(identifier.name)
        for kind in list(tree.find_all(exp.DataType)):
            if kind.find_ancestor(exp.DataType) is None:
                kind.replace(exp.DataType.build(stored(kind.sql("duckdb")).declared, dialect="postgres"))
        for parameter in list(tree.find_all(exp.Placeholder)):
            parameter.replace(exp.Var(this=_PARAMETER))
        text = tree.sql("postgres", unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise ConfigError(
            "postgres.dialect",
            f"PostgreSQL cannot be told: {sql[:200]}",
            fix="use another load strategy on this destination",
        ) from error
    with_parameters = text.replace("%", "%%").replace(_PARAMETER, "%s")
    tables = frozenset(Table(table.db, table.name) for table in tree.find_all(exp.Table))
    return Translated(text, with_parameters, tables, _ensured(tree), _transfer(tree))


def _ensured(tree: exp.Expr) -> Table | None:
    creates = isinstance(tree, exp.Create) and tree.args.get("exists") and tree.kind in ("SCHEMA", "TABLE")
    adds = isinstance(tree, exp.Alter) and any(action.args.get("exists") for action in tree.args["actions"])
    table = tree.find(exp.Table)
    return Table(table.db, table.name) if table and (creates or adds) else None


def _transfer(tree: exp.Expr) -> Transfer | None:
    if not isinstance(tree, exp.Insert):
        return None
    into, select = tree.this, tree.expression
    if not (isinstance(into, exp.Schema) and isinstance(select, exp.Select)):
        return None
    said = {name for name, value in tree.args.items() if value} - {"this", "expression"}
    asked = {name for name, value in select.args.items() if value} - {"expressions", "from_"}
    origin = select.args["from_"].this if select.args.get("from_") else None
    if said or asked or not isinstance(origin, exp.Table):
        return None
    if not all(isinstance(each, exp.Column) for each in select.expressions):
        return None
    target, columns = into.this, tuple(column.name for column in into.expressions)
    selected = tuple(column.name for column in select.expressions)
    return Transfer(Table(target.db, target.name), columns, selected, Table(origin.db, origin.name))


def check_name(name: str) -> None:
    """Raise ConfigError ``postgres.identifier`` for a name PostgreSQL would cut off."""
    size = len(name.encode())
    if size > IDENTIFIER_BYTES:
        raise ConfigError(
            "postgres.identifier",
            f"the name '{name[:80]}' has {size} bytes, PostgreSQL keeps {IDENTIFIER_BYTES}",
            fix="give it a shorter one (transform: - rename), or leave the column out",
        )
