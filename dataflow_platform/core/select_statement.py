"""A whole SELECT as a person writes it: the expression language, and what stands round expressions in a query."""

import re
from collections.abc import Sequence
from typing import Literal

from sqlglot import ErrorLevel, exp
from sqlglot.errors import SqlglotError

from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.expression import (
    AGGREGATE_FUNCTIONS,
    DUCKDB,
    call_name,
    check_call,
    check_node,
    folded,
    refused,
    syntax_error,
    tokens,
    written,
)

_CLAUSES: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: frozenset(
        "expressions from_ joins where group having qualify order limit offset distinct with_".split()  # noqa: SIM905
    ),
    exp.Union: frozenset(["this", "expression", "distinct", "by_name", "with_", "order", "limit", "offset"]),
    exp.Intersect: frozenset(["this", "expression", "distinct", "by_name", "with_", "order", "limit", "offset"]),
    exp.Except: frozenset(["this", "expression", "distinct", "by_name", "with_", "order", "limit", "offset"]),
    exp.From: frozenset({"this"}),
    exp.Join: frozenset(["this", "on", "using", "side", "kind", "method"]),
    exp.Table: frozenset(["this", "db", "alias"]),
    exp.TableAlias: frozenset(["this", "columns"]),
    exp.Subquery: frozenset(["this", "alias"]),
    exp.With: frozenset({"expressions"}),
    exp.CTE: frozenset(["this", "alias", "materialized"]),
    exp.Group: frozenset(["expressions", "all", "grouping_sets", "cube", "rollup"]),
    exp.Having: frozenset({"this"}),
    exp.Where: frozenset({"this"}),
    exp.Qualify: frozenset({"this"}),
    exp.Limit: frozenset({"expression"}),
    exp.Offset: frozenset({"expression"}),
    exp.Exists: frozenset({"this"}),
    exp.Alias: frozenset(["this", "alias"]),
    exp.Star: frozenset(["except_", "replace"]),
    exp.Distinct: frozenset(["expressions", "on"]),
    exp.In: frozenset(["this", "expressions", "query"]),
}
"""What a query adds to expressions, each with the clauses it may have."""
_FIX = "write one SELECT over `input` and tables of the destination (schema.table)"


def select_statement(text: str, given: Sequence[str] = ("input",)) -> exp.Query:
    """``text``, one SELECT of DuckDB over the relations ``given`` and ``schema.table``, checked node by node.

    ConfigError ``sql.syntax`` or ``sql.refused``.
    """
    try:
        tree = _parsed(text)
        nodes = list(tree.walk())
        windowed = {id(folded(node)) for node in nodes if isinstance(node, exp.Window)}
        names = {*given, *(each.alias.lower() for each in tree.find_all(exp.CTE))}
        for node in nodes:
            _check(node, names, windowed, given)
        return tree
    except ConfigError as error:
        code, fix = error.code.replace("expression.", "sql."), error.fix.replace("`input`", f"`{given[0]}`")
        raise ConfigError(code, error.what.replace(" in an expression", ""), where=Location(), fix=fix) from None


def sql_of(tree: exp.Query) -> str:
    """The statement written anew, every name quoted."""
    return written(tree, "")


def tables_of(tree: exp.Query) -> tuple[str, ...]:
    """The tables of the destination it reads, as ``schema.table``."""
    return tuple(dict.fromkeys(f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db))


def relations_of(tree: exp.Query) -> set[str]:
    """What it reads that is no table of the destination."""
    return {table.name.lower() for table in tree.find_all(exp.Table) if not table.db}


def effect_of(tree: exp.Query) -> Literal["same", "fewer", "anew"]:
    """What it does to the rows of ``input``: each stays, some are left out, or none is one of those that came."""
    if not isinstance(tree, exp.Select) or not isinstance(tree.args["from_"].this, exp.Table):
        return "anew"
    apart = ("joins", "group", "having", "order", "limit", "offset", "distinct", "with_")
    inputs = [table for table in tree.find_all(exp.Table) if not table.db]
    if any(tree.args.get(clause) for clause in apart) or tree.args["from_"].this not in inputs or len(inputs) > 1:
        return "anew"
    if any(_folds(projection) for projection in tree.selects):
        return "anew"
    return "fewer" if tree.args.get("where") or tree.args.get("qualify") else "same"


def _folds(projection: exp.Expr) -> bool:
    """An aggregate that is no window makes one row of all."""
    windowed = {id(folded(node)) for node in projection.find_all(exp.Window)}
    inner = {id(node) for query in projection.find_all(exp.Subquery) for node in query.walk()}
    return any(
        call_name(node) in AGGREGATE_FUNCTIONS and id(node) not in windowed and id(node) not in inner
        for node in projection.walk()
    )


def _parsed(text: str) -> exp.Query:
    try:
        found = DUCKDB.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens(text), text)
    except SqlglotError as error:
        raise syntax_error(text, error) from error
    except RecursionError as error:
        raise refused("nesting this deep", text[:60], "split it over several steps") from error
    if len(found) != 1 or found[0] is None:
        raise syntax_error(text, None)
    if not isinstance(found[0], exp.Select | exp.SetOperation):
        raise refused(f"a statement that is no SELECT ({type(found[0]).__name__.upper()})", text, _FIX)
    return found[0]


def _check(node: exp.Expr, names: set[str], windowed: set[int], given: Sequence[str]) -> None:
    clauses = _CLAUSES.get(type(node))
    if clauses is None:
        check_node(node)
        check_call(node, "aggregate", windowed)
        return
    for clause, value in node.args.items():
        if value and clause not in clauses:
            raise refused(f"{clause.strip('_').upper()} in a {type(node).__name__.upper()}", "", _FIX)
    if isinstance(node, exp.Table):
        _check_table(node, names)
    if (
        isinstance(node, exp.CTE | exp.TableAlias)
        and node.alias_or_name
        and not re.fullmatch(r"\w+", node.alias_or_name)
    ):
        raise refused(f"the name {node.alias_or_name}", "", "use letters, digits and _ for names of queries")
    if isinstance(node, exp.CTE) and node.alias.lower() in given:
        raise refused(f"a query called {node.alias}", "", "choose another name: this one is given")
    if isinstance(node, exp.Alias) and not isinstance(node.parent, exp.Select | exp.Star):
        raise refused("AS here", "", "name columns in the list of SELECT")
    if isinstance(node, exp.Select) and node.args.get("from_") is None:
        raise refused("a SELECT without FROM", "", _FIX)
    if isinstance(node, exp.Star):
        _check_star(node)


def _check_table(table: exp.Table, names: set[str]) -> None:
    if not isinstance(table.this, exp.Identifier):
        raise refused("a function in FROM", "", _FIX)
    if not table.db and table.name.lower() not in names:
        raise refused(f"the table {table.name}", "", _FIX)
    if table.db.lower() in ("information_schema", "pg_catalog", "temp", "system"):
        raise refused(f"the schema {table.db}", "", _FIX)


def _check_star(star: exp.Star) -> None:
    parent = star.parent
    above = parent.parent if isinstance(parent, exp.Column) else parent
    if not isinstance(above, exp.Select) and call_name(parent) != "count":
        raise refused("* here", "", "name the columns")
