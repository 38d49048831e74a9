"""The engine's DML and DDL on a lake table, done on its working table."""

from collections.abc import Callable, Sequence

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dataflow_platform.connectors._lake.file_scan import FILE, ROW
from dataflow_platform.connectors._lake.working_table import INTERNAL, WorkingTable
from dataflow_platform.core.base import Table
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.sql import quote

_HITS = f"{INTERNAL}.hits"


def parsed(sql: str) -> exp.Expr:
    """The syntax tree of one statement in DuckDB's dialect."""
    try:
        return sqlglot.parse_one(sql, read="duckdb")
    except SqlglotError as error:
        raise _untold(sql) from error


def _untold(sql: str) -> ConfigError:
    return ConfigError(
        "lake.statement",
        f"a lake table cannot be told: {sql[:200]}",
        fix="use another load strategy on this destination",
    )


def table_of(node: exp.Expr | None) -> Table | None:
    """The table a node of the tree names; None where it names none with a schema."""
    found = node.this if isinstance(node, exp.Schema) else node
    return Table(found.db, found.name) if isinstance(found, exp.Table) and found.db else None


def named(tree: exp.Expr) -> set[Table]:
    """Every table with a schema that the statement names."""
    return {found for node in tree.find_all(exp.Table) if (found := table_of(node)) is not None}


def new_name(tree: exp.Alter) -> str:
    """The name an ALTER TABLE ... RENAME TO gives the table; '' for any other."""
    (action,) = tree.args["actions"]
    return str(action.this.name) if isinstance(action, exp.AlterRename) else ""


def counted(tree: exp.Expr) -> Table | None:
    """The table of ``SELECT count(*) FROM table`` and nothing else."""
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1:
        return None
    call = tree.expressions[0]
    said = {name for name, value in tree.args.items() if value} - {"expressions", "from_"}
    if said or not isinstance(call, exp.Count) or not isinstance(call.this, exp.Star) or not tree.args.get("from_"):
        return None
    return table_of(tree.args["from_"].this)


def transferred(tree: exp.Insert) -> tuple[list[str], str] | None:
    """Columns and SELECT of an INSERT that only moves rows out of one table; None for any other."""
    select = tree.expression
    if not (isinstance(tree.this, exp.Schema) and isinstance(select, exp.Select)):
        return None
    asked = {name for name, value in select.args.items() if value} - {"expressions", "from_"}
    origin = select.args["from_"].this if select.args.get("from_") else None
    plain = all(isinstance(each, exp.Column) for each in select.expressions)
    if asked or not plain or not isinstance(origin, exp.Table):
        return None
    return [column.name for column in tree.this.expressions], select.sql("duckdb")


class Changes:
    """Runs statements that change a working table."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, stored: Callable[[str, str], str]) -> None:
        self._engine = engine
        self._stored = stored

    def run(self, tree: exp.Expr, table: WorkingTable, parameters: Sequence[object] = ()) -> int:
        """One INSERT, DELETE, UPDATE or ALTER TABLE; the rows it touched."""
        if tree.args.get("returning") or tree.args.get("with_"):
            raise _untold(tree.sql("duckdb"))
        if isinstance(tree, exp.Insert):
            return self._insert(tree, table, parameters)
        if isinstance(tree, exp.Delete):
            return self._delete(tree, table, parameters)
        if isinstance(tree, exp.Update):
            return self._update(tree, table, parameters)
        if isinstance(tree, exp.Alter):
            return self._alter(tree, table)
        raise _untold(tree.sql("duckdb"))

    def _ask(self, sql: str, parameters: Sequence[object]) -> int:
        answer = self._engine.execute(sql, list(parameters) or None).fetchall()
        return int(answer[0][0]) if answer and isinstance(answer[0][0], int) else 0

    def _insert(self, tree: exp.Insert, table: WorkingTable, parameters: Sequence[object]) -> int:
        into, given = table.added, tree.this
        names = f" ({listed([each.name for each in given.expressions])})" if isinstance(given, exp.Schema) else ""
        added = self._ask(f"INSERT INTO {into}{names} {tree.expression.sql('duckdb')}", parameters)
        table.changed = table.changed or added > 0
        return added

    def _delete(self, tree: exp.Delete, table: WorkingTable, parameters: Sequence[object]) -> int:
        using, where = tree.args.get("using") or [], tree.args.get("where")
        if not using and where is None:
            return table.forget_all()
        alias = _aliased(tree.this, tree)
        table.show()
        others = "".join(f", {each.sql('duckdb')}" for each in using)
        condition = f" {where.sql('duckdb')}" if where else ""
        distinct = "DISTINCT " if using else ""
        self._ask(
            f"CREATE OR REPLACE TABLE {_HITS} AS SELECT {distinct}{alias}.{FILE}, {alias}.{ROW} "
            f"FROM {table.rows} AS {alias}{others}{condition}",
            parameters,
        )
        return table.forget_hits(_HITS)

    def _update(self, tree: exp.Update, table: WorkingTable, parameters: Sequence[object]) -> int:
        alias = _aliased(tree.this, tree)
        table.show()
        given = {each.this.name.lower(): each.expression.sql("duckdb") for each in tree.expressions}
        columns = table.columns()
        values = ", ".join(
            f"CAST({given[column.name.lower()]} AS {column.type}) AS {quote(column.name)}"
            if column.name.lower() in given
            else f"{alias}.{quote(column.name)}"
            for column in columns
        )
        origin, where = tree.args.get("from_"), tree.args.get("where")
        others = f", {origin.sql('duckdb').removeprefix('FROM ')}" if origin else ""
        condition = f" {where.sql('duckdb')}" if where else ""
        distinct = f"DISTINCT ON ({alias}.{FILE}, {alias}.{ROW}) " if origin else ""
        self._ask(
            f"CREATE OR REPLACE TABLE {_HITS} AS SELECT {distinct}{values}, {alias}.{FILE}, {alias}.{ROW} "
            f"FROM {table.rows} AS {alias}{others}{condition}",
            parameters,
        )
        found = table.forget_hits(_HITS)
        own = listed([column.name for column in columns])
        self._engine.execute(f"INSERT INTO {table.added} ({own}) SELECT {own} FROM {_HITS}")
        self._engine.execute(f"DROP TABLE {_HITS}")
        return found

    def _alter(self, tree: exp.Alter, table: WorkingTable) -> int:
        (action,) = tree.args["actions"]
        retyped = isinstance(action, exp.AlterColumn) and action.args.get("dtype") is not None
        gone = isinstance(action, exp.Drop) and str(action.args.get("kind")).upper() == "COLUMN"
        if isinstance(action, exp.AlterColumn) and action.args.get("allow_null") is not None:
            return self._require(action, table)
        if not (isinstance(action, exp.ColumnDef | exp.RenameColumn) or retyped or gone):
            raise _untold(tree.sql("duckdb"))
        before = table.columns()
        if table.partition_by and not isinstance(action, exp.ColumnDef):
            self._refuse_partition(action, table)
        tree.this.replace(exp.to_table(table.added, dialect="duckdb"))
        self._engine.execute(tree.sql("duckdb"))
        for column in table.columns():
            kept = self._stored(column.name, column.type)
            if kept != column.type:
                self._engine.execute(
                    f"ALTER TABLE {table.added} ALTER COLUMN {quote(column.name)} SET DATA TYPE {kept}"
                )
        if table.columns() == before:
            return 0
        renamed = (action.this.name, action.args["to"].name) if isinstance(action, exp.RenameColumn) else None
        table.altered(renamed, rewritten=not isinstance(action, exp.ColumnDef))
        return 0

    def _require(self, action: exp.AlterColumn, table: WorkingTable) -> int:
        """DROP NOT NULL and SET NOT NULL: a matter of the log, which the commit's rows are held against."""
        name = next(column.name for column in table.columns() if column.name.lower() == action.this.name.lower())
        if action.args.get("drop"):
            table.required.discard(name)
        else:
            table.show()
            if self._ask(f"SELECT count(*) FROM {table.rows} WHERE {quote(name)} IS NULL", ()):
                raise DataError(
                    "lake.required_column", f"column '{name}' holds NULL", where=table.name.name, fix="fill it first"
                )
            table.required.add(name)
        table.changed = True
        return 0

    def _refuse_partition(self, action: exp.Expr, table: WorkingTable) -> None:
        named = {column.name.lower() for column in action.find_all(exp.Column)} | {action.name.lower()}
        part = next((name for name in table.partition_by if name.lower() in named), None)
        if part:
            raise ConfigError(
                "lake.partition_column",
                f"'{part}' is a column the table is partitioned by: it cannot be changed",
                where=f"{table.name.schema}.{table.name.name}",
                fix="load into another table, or drop this one and load it again from the beginning",
            )


def _aliased(node: exp.Expr, tree: exp.Expr) -> str:
    """What the statement calls its table; columns it writes with the table's full name are put under that."""
    alias = node.alias or node.name
    for column in list(tree.find_all(exp.Column)):
        if column.args.get("db") and column.table == node.name:
            column.set("db", None)
            column.set("table", exp.to_identifier(alias, quoted=True))
    return quote(alias)
