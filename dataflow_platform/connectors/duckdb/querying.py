"""A query over an attached DuckDB file: parsed by DuckDB itself, each of its tables looked up in the file alone."""

import json
from typing import Any

import duckdb

from dataflow_platform.core.errors import DataflowError, Location
from dataflow_platform.core.sql import literal
from dataflow_platform.core.table_or_query import not_one_select, not_understood, refuse_repeated

# All others read files, the network or tables that are not the file's.
_FUNCTIONS = frozenset({"generate_series", "generate_subscripts", "range", "unnest"})


def in_database(engine: duckdb.DuckDBPyConnection, query: str, alias: str, where: Location) -> str:
    """``query`` as a SELECT whose tables are those of the attached database ``alias``; nothing is read.

    ConfigError ``query.refused`` for anything but one SELECT over tables, ``query.failed`` for what DuckDB does not
    understand, ``query.columns`` for two columns of one name.
    """
    try:
        told = json.loads(_asked(engine, f"json_serialize_sql({literal(query)})"))
        if told["error"]:
            raise _complaint(told, query, where)
        if len(told["statements"]) != 1:
            raise not_one_select(f"it holds {len(told['statements'])} statements", where)
        _Tables(alias, where).settle(told["statements"], frozenset())
        settled = _asked(engine, f"json_deserialize_sql({literal(json.dumps(told))}::JSON)")
        names = [str(row[0]) for row in engine.execute(f"DESCRIBE {settled}").fetchall()]
    except duckdb.Error as error:
        raise not_understood(str(error).strip().replace(f"{alias}.", "").splitlines()[0][:300], where) from None
    refuse_repeated(names, where)
    return settled


def _asked(engine: duckdb.DuckDBPyConnection, expression: str) -> str:
    row = engine.execute(f"SELECT CAST({expression} AS VARCHAR)").fetchone()
    assert row is not None
    return str(row[0])


def _complaint(told: dict[str, Any], query: str, where: Location) -> DataflowError:
    message = str(told["error_message"])
    if told.get("error_type") == "not implemented":
        return not_one_select("DuckDB takes it for another statement", where)
    before = query[: int(told["position"])] if str(told.get("position", "")).isdigit() else None
    place = f", line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}" if before else ""
    return not_understood(message + place, where)


class _Tables:
    """The tables of a parsed statement; ``settle`` writes the database's name before each."""

    def __init__(self, alias: str, where: Location) -> None:
        self._alias, self._where = alias, where

    def settle(self, node: Any, named: frozenset[str]) -> None:
        """``named`` are the queries of a WITH that can be seen from here."""
        if isinstance(node, list):
            for each in node:
                self.settle(each, named)
        if not isinstance(node, dict):
            return
        for entry in node.get("cte_map", {}).get("map", []):
            name, query = str(entry["key"]).lower(), entry["value"]["query"]
            # Only a recursive one sees itself: WITH t AS (SELECT * FROM t) reads the table.
            recursive = query["node"]["type"] == "RECURSIVE_CTE_NODE"
            self.settle(query, named | {name} if recursive else named)
            named |= {name}
        if node.get("type") == "BASE_TABLE":
            self._place(node, named)
        self._refuse(node)
        for key, value in node.items():
            if key != "cte_map":
                self.settle(value, named)

    def _place(self, table: dict[str, Any], named: frozenset[str]) -> None:
        name, schema = str(table["table_name"]), str(table["schema_name"])
        if table["catalog_name"]:
            raise not_understood(
                f"it names the database of a table: {table['catalog_name']}.{schema}.{name}; write {schema}.{name}",
                self._where,
            )
        if schema or name.lower() not in named:
            table["catalog_name"], table["schema_name"] = self._alias, schema or "main"

    def _refuse(self, node: dict[str, Any]) -> None:
        if node.get("type") == "SHOW_REF":
            raise not_one_select("it describes tables", self._where)
        if node.get("type") == "TABLE_FUNCTION":
            function = str(node["function"]["function_name"])
            if function.lower() not in _FUNCTIONS:
                raise not_one_select(f"{function}() reads something else than the file's tables", self._where)
