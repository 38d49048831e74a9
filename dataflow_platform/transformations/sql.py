"""Transformation ``sql``."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field, RootModel, model_validator

from dataflow_platform.core.base import Column, Rows, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.projection import found, names_of, refuse_known
from dataflow_platform.core.select_statement import effect_of, select_statement, sql_of, tables_of
from dataflow_platform.core.sql import find_column

if TYPE_CHECKING:
    from sqlglot import exp


class Sql(RootModel[str], Transformation):
    """Makes the rows by a whole SELECT over ``input`` and tables of the destination."""

    model_config = ConfigDict(frozen=True)

    root: str = Field(
        description="One SELECT of DuckDB: `input` are the rows of the step before, `schema.table` are tables of the "
        "destination, as they stand when the load begins. Joins, groups, subqueries, WITH, set operations and windows "
        "are allowed; functions are those of expressions. Where it is a plain list of columns over `input` alone, with "
        "or without WHERE, rows keep their origin; otherwise it makes its rows anew, and needs all rows (no cursor).",
    )

    @model_validator(mode="after")
    def _check(self) -> "Sql":
        tree = select_statement(self.root)
        for name in tables_of(tree):
            if "." in name.replace(".", "", 1):
                raise ConfigError("table.name", f"'{name}' does not name a table", fix="write it as schema.table")
        for place, projection in enumerate(tree.selects):
            if not projection.is_star and not projection.alias_or_name:
                raise ConfigError(
                    "sql.unnamed", f"column {place + 1} has no name: {projection.sql('duckdb')}",
                    fix="give it one: ... AS name",
                )  # fmt: skip
        refuse_known([name for name in tree.named_selects if name != "*"], (), "sql")
        return self

    @property
    def rows(self) -> Rows:
        """As its clauses say."""
        return effect_of(select_statement(self.root))

    def upstream(self) -> tuple[str, ...]:
        """The tables it names."""
        return tables_of(select_statement(self.root))

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """The SELECT, in plain ones over ``input`` with every column named."""
        tree = select_statement(self.root)
        if effect_of(tree) == "anew":
            return sql_of(tree)
        source = tree.args["from_"].this
        if source.alias_or_name.lower() != "input":
            raise ConfigError(
                "sql.alias", f"input is called {source.alias_or_name} here", fix="call it input: leave the alias out"
            )
        expanded = [one for projection in tree.selects for one in _expanded(projection, columns)]
        tree.set("expressions", expanded)
        return sql_of(tree)


def _expanded(projection: "exp.Expr", columns: Sequence[Column]) -> Iterator["exp.Expr"]:
    """A star as the columns it stands for: rows carry more than a step may see."""
    from sqlglot import exp

    if not projection.is_star:
        for column in projection.find_all(exp.Column):
            if column.parts[0].name.lower() != "input" and not column.find_ancestor(exp.Subquery, exp.Lambda):
                found(column.parts[0].name, columns)
        yield projection
        return
    star = projection if isinstance(projection, exp.Star) else projection.this
    names = names_of(columns)
    left_out = {find_column(each.name, names) for each in star.args.get("except_") or ()}
    replaced = {find_column(each.alias, names): each for each in star.args.get("replace") or ()}
    for name in names:
        if name not in left_out:
            yield replaced.get(name) or exp.column(exp.to_identifier(name, quoted=True))
