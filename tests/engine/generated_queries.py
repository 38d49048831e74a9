"""Queries and pipelines by chance, over two small tables; the same seed gives the same ones."""

import random
from dataclasses import dataclass
from typing import Any

TABLES = {
    "input": {"id": "int", "k": "int", "a": "int", "b": "int", "s": "text", "l": "list"},
    "raw.other": {"k": "int", "x": "int", "y": "text"},
}
"""Table -> column -> its kind."""

Columns = dict[str, str]


@dataclass
class Query:
    sql: str
    columns: Columns


class Queries:
    """SELECTs of every shape, each over one made before."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._named = 0

    def any(self) -> str:
        found = self._base()
        for _ in range(self.random.randint(1, 5)):
            found = self.over(found)
        return found.sql

    def over(self, found: Query) -> Query:
        """Another SELECT over the one that was found."""
        shapes = [
            self.projected, self.filtered, self.grouped, self.windowed, self.joined, self.united, self.distinct,
            self.limited, self.qualified, self.unnested, self.pivoted, self.unpivoted, self.with_scalar, self.starred,
            self.chosen_by_other, self.of_cte, self.recursive, self.lateral,
        ]  # fmt: skip
        return self.random.choice(shapes)(found)

    def _base(self) -> Query:
        table = self.random.choice(["input", "input", "raw.other"])
        return Query(f"SELECT * FROM {table}", dict(TABLES[table]))

    def new(self, letter: str = "n") -> str:
        self._named += 1
        return f"{letter}{self._named}"

    def pick(self, columns: Columns, kind: str) -> str | None:
        fitting = [name for name, each in columns.items() if each == kind]
        return self.random.choice(fitting) if fitting else None

    def number(self, columns: Columns, depth: int = 2, prefix: str = "") -> str:
        name = self.pick(columns, "int")
        if name is None or depth == 0:
            return f"{prefix}{name}" if name and self.random.random() < 0.8 else str(self.random.randint(0, 9))
        one, two = self.number(columns, depth - 1, prefix), self.number(columns, depth - 1, prefix)
        return self.random.choice([
            f"{prefix}{name}", f"({one} + {two})", f"CASE WHEN {one} > {two} THEN {prefix}{name} ELSE {two} END",
            f"coalesce({one}, {two})", f"nullif({one}, {two})", f"CASE {one} WHEN 1 THEN {two} ELSE 0 END",
            f"(({one})::VARCHAR || '1')::BIGINT % 1000", f"greatest({one}, {two})",
        ])  # fmt: skip

    def condition(self, columns: Columns, prefix: str = "") -> str:
        one, two = self.number(columns, 1, prefix), self.number(columns, 1, prefix)
        text = self.pick(columns, "text")
        told = [f"{one} > {two}", f"{one} IS NOT NULL", f"{one} BETWEEN 2 AND 7", f"{one} IN (1, 3, 5, {two})"]
        if text:
            told += [f"{prefix}{text} LIKE '%a%'", f"length({prefix}{text}) > 2"]
        return self.random.choice(told)

    def projected(self, of: Query) -> Query:
        made, columns = [], {}
        for name, kind in of.columns.items():
            if self.random.random() < 0.7:
                made.append(name)
                columns[name] = kind
        one = self.new()
        made.append(f"{self.number(of.columns)} AS {one}")
        columns[one] = "int"
        if self.random.random() < 0.3:
            two = self.new()
            made.append(f"{one} * 2 AS {two}")  # a name of the same list
            columns[two] = "int"
        return Query(f"SELECT {', '.join(made)} FROM ({of.sql}) AS q", columns)

    def filtered(self, of: Query) -> Query:
        return Query(f"SELECT * FROM ({of.sql}) AS q WHERE {self.condition(of.columns)}", of.columns)

    def grouped(self, of: Query) -> Query:
        keys = [name for name, kind in of.columns.items() if kind != "list" and self.random.random() < 0.3]
        value, when = self.number(of.columns, 1), self.condition(of.columns)
        made = [
            f"sum({value})", f"count({value})", "count(*)", f"max({value}) FILTER (WHERE {when})",
            f"count(DISTINCT {value})", f"list_sum(list({value} ORDER BY {value}))", f"arg_max({value}, {value})",
        ]  # fmt: skip
        names = [self.new() for _ in range(2)]
        listed = [
            *keys,
            *(f"({each})::BIGINT AS {name}" for each, name in zip(self.random.sample(made, 2), names, strict=True)),
        ]
        group = self.random.choice([f"GROUP BY {', '.join(keys)}", "GROUP BY ALL"]) if keys else ""
        having = f" HAVING count(*) > {self.random.randint(0, 1)}" if keys and self.random.random() < 0.4 else ""
        columns = {name: of.columns[name] for name in keys} | dict.fromkeys(names, "int")
        return Query(f"SELECT {', '.join(listed)} FROM ({of.sql}) AS q {group}{having}", columns)

    def windowed(self, of: Query) -> Query:
        order = self._total_order(of.columns)
        key, value, name = self.number(of.columns, 1), self.number(of.columns, 1), self.new()
        over = self.random.choice([f"(PARTITION BY {key} ORDER BY {order})", f"(ORDER BY {value}, {order})"])
        made = self.random.choice([
            f"sum({value}) OVER (PARTITION BY {key})", f"row_number() OVER {over}", f"lag({value}) OVER {over}",
            f"count(*) FILTER (WHERE {value} > 3) OVER (PARTITION BY {key})",
            f"first_value({value}) OVER {over}",
        ])  # fmt: skip
        return Query(f"SELECT *, ({made})::BIGINT AS {name} FROM ({of.sql}) AS q", of.columns | {name: "int"})

    def _total_order(self, columns: Columns) -> str:
        return ", ".join(columns)

    def joined(self, of: Query) -> Query:
        other = self._base()
        left, right = self.pick(of.columns, "int"), self.pick(other.columns, "int")
        how = self.random.choice(
            ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN", "ASOF JOIN"]
        )
        if left is None or right is None:
            return of
        on = f"p.{left} >= o.{right}" if how == "ASOF JOIN" else f"p.{left} % 7 = o.{right} % 7"
        kept = {name: kind for name, kind in of.columns.items() if self.random.random() < 0.6} or of.columns
        listed = [f"p.{name}" for name in kept]
        columns = dict(kept)
        if how == "ASOF JOIN" and other.columns != TABLES["input"]:
            other = Query("SELECT * FROM input", dict(TABLES["input"]))
            on = f"p.{left} >= o.id"  # one match at most has each id
        for name, kind in other.columns.items() if how not in ("SEMI JOIN", "ANTI JOIN") else ():
            if self.random.random() < 0.5:
                new = self.new("o")
                listed.append(f"o.{name} AS {new}")
                columns[new] = kind
        return Query(f"SELECT {', '.join(listed)} FROM ({of.sql}) AS p {how} ({other.sql}) AS o ON {on}", columns)

    def united(self, of: Query) -> Query:
        numbers = [name for name, kind in of.columns.items() if kind == "int"]
        if not numbers:
            return of
        other = self._base()
        made = ", ".join(f"{self.number(other.columns)} AS {name}" for name in numbers)
        word = self.random.choice(["UNION ALL", "UNION", "EXCEPT", "INTERSECT", "UNION ALL BY NAME"])
        sql = f"SELECT {', '.join(numbers)} FROM ({of.sql}) AS q {word} SELECT {made} FROM ({other.sql}) AS w"
        return Query(sql, dict.fromkeys(numbers, "int"))

    def distinct(self, of: Query) -> Query:
        kept = {name: kind for name, kind in of.columns.items() if self.random.random() < 0.5} or of.columns
        if self.random.random() < 0.5:
            return Query(f"SELECT DISTINCT {', '.join(kept)} FROM ({of.sql}) AS q", kept)
        one, order = next(iter(kept)), self._total_order(of.columns)
        sql = f"SELECT DISTINCT ON ({one}) {', '.join(kept)} FROM ({of.sql}) AS q ORDER BY {one}, {order}"
        return Query(sql, kept)

    def limited(self, of: Query) -> Query:
        order = f"{self.number(of.columns, 1)} + 0, {self._total_order(of.columns)}"
        return Query(f"SELECT * FROM ({of.sql}) AS q ORDER BY {order} LIMIT {self.random.randint(2, 8)}", of.columns)

    def qualified(self, of: Query) -> Query:
        key, order = self.number(of.columns, 1), self._total_order(of.columns)
        rank = f"row_number() OVER (PARTITION BY {key} ORDER BY {order}) <= 2"
        return Query(f"SELECT * FROM ({of.sql}) AS q QUALIFY {rank}", of.columns)

    def unnested(self, of: Query) -> Query:
        name = self.pick(of.columns, "list")
        if name is None:
            return self.filtered(of)
        new = self.new("u")
        rest = {each: kind for each, kind in of.columns.items() if each != name}
        if self.random.random() < 0.5:
            sql = f"SELECT {', '.join([*rest, f'unnest({name}) AS {new}'])} FROM ({of.sql}) AS q"
        else:
            listed = ", ".join([*(f"q.{each}" for each in rest), f"e.{new}"])
            sql = f"SELECT {listed} FROM ({of.sql}) AS q, unnest(q.{name}) AS e({new})"
        return Query(sql, rest | {new: "int"})

    def pivoted(self, of: Query) -> Query:
        numbers = [name for name, kind in of.columns.items() if kind == "int"]
        if len(numbers) < 3:
            return of
        key, value, by = self.random.sample(numbers, 3)
        inner = f"SELECT {key}, {value}, {by} FROM ({of.sql}) AS q"
        one, two = self.new("v"), self.new("v")
        sql = f"SELECT * FROM ({inner}) AS q PIVOT (sum({value}) FOR {key} IN (1 AS {one}, 2 AS {two}) GROUP BY {by})"
        return Query(sql, {by: "int", one: "int", two: "int"})

    def unpivoted(self, of: Query) -> Query:
        numbers = [name for name, kind in of.columns.items() if kind == "int"]
        if len(numbers) < 2:
            return of
        turned = self.random.sample(numbers, 2)
        name, value = self.new("t"), self.new("t")
        kept = {each: kind for each, kind in of.columns.items() if each not in turned}
        inner = ", ".join([*kept, *(f"{each}::BIGINT AS {each}" for each in turned)])
        list_ = ", ".join(turned)
        sql = f"SELECT * FROM (SELECT {inner} FROM ({of.sql}) AS z) AS q UNPIVOT ({value} FOR {name} IN ({list_}))"
        return Query(sql, kept | {name: "text", value: "int"})

    def with_scalar(self, of: Query) -> Query:
        other, name = self._base(), self.new()
        mine, theirs = self.pick(of.columns, "int"), self.pick(other.columns, "int")
        when = f" WHERE w.{theirs} = q.{mine}" if mine else ""
        inner = f"SELECT max({self.number(other.columns, 1, 'w.')}) FROM ({other.sql}) AS w{when}"
        made = self.random.choice([f"({inner})", f"coalesce(({inner}), 0)"])
        return Query(f"SELECT *, {made} AS {name} FROM ({of.sql}) AS q", of.columns | {name: "int"})

    def starred(self, of: Query) -> Query:
        name = self.pick(of.columns, "int")
        if name is None or len(of.columns) < 2:
            return of
        if self.random.random() < 0.5:
            kept = {each: kind for each, kind in of.columns.items() if each != name}
            return Query(f"SELECT * EXCLUDE ({name}) FROM ({of.sql}) AS q", kept)
        return Query(f"SELECT q.* REPLACE ({self.number(of.columns)} AS {name}) FROM ({of.sql}) AS q", of.columns)

    def chosen_by_other(self, of: Query) -> Query:
        other = self._base()
        mine, theirs = self.pick(of.columns, "int"), self.pick(other.columns, "int")
        if mine is None:
            return of
        condition = self.condition(other.columns, "w.")
        told = self.random.choice([
            f"q.{mine} IN (SELECT w.{theirs} FROM ({other.sql}) AS w WHERE {condition})",
            f"EXISTS (SELECT 1 FROM ({other.sql}) AS w WHERE w.{theirs} % 5 = q.{mine} % 5 AND {condition})",
            f"NOT EXISTS (FROM ({other.sql}) AS w WHERE w.{theirs} = q.{mine})",
        ])  # fmt: skip
        return Query(f"SELECT * FROM ({of.sql}) AS q WHERE {told}", of.columns)

    def of_cte(self, of: Query) -> Query:
        name = self.new("c")
        return Query(f"WITH {name} AS ({of.sql}) SELECT * FROM {name} WHERE {self.condition(of.columns)}", of.columns)

    def recursive(self, of: Query) -> Query:
        value = self.number(of.columns, 1)
        name = self.new("r")
        step = f"SELECT n + 1, v FROM {name} WHERE n < v % 4"
        sql = f"WITH RECURSIVE {name}(n, v) AS (SELECT 0, {value} FROM ({of.sql}) AS q UNION ALL {step}) FROM {name}"
        return Query(sql, {"n": "int", "v": "int"})

    def lateral(self, of: Query) -> Query:
        name, mine = self.new(), self.pick(of.columns, "int")
        if mine is None:
            return of
        inner = f"SELECT count(*) + sum(w.x) AS {name} FROM raw.other AS w WHERE w.k < q.{mine} % 6"
        return Query(f"SELECT q.*, e.{name} FROM ({of.sql}) AS q, LATERAL ({inner}) AS e", of.columns | {name: "int"})


class Pipelines:
    """Lists of steps as YAML says them, over the table ``input``."""

    def __init__(self, seed: int) -> None:
        self.queries = Queries(seed)
        self.random = self.queries.random

    def any(self) -> list[tuple[str, Any]]:
        """Some steps that fit one another mostly; what does not fit is refused by the engine."""
        columns = dict(TABLES["input"])
        found: list[tuple[str, Any]] = []
        for _ in range(self.random.randint(1, 5)):
            found.append(self._step(columns))
        return found

    def _step(self, columns: Columns) -> tuple[str, Any]:
        queries, number = self.queries, self.queries.pick(columns, "int") or "id"
        text, new = queries.pick(columns, "text") or "s", queries.new()
        order = ", ".join(name for name, kind in columns.items() if kind != "list")
        if self.random.random() < 0.25:
            query = queries.over(Query("SELECT * FROM input", dict(columns)))
            columns.clear()
            columns.update(query.columns)
            return ("sql", query.sql)
        step: tuple[str, Any] = self.random.choice([
            ("derive", {new: queries.number(columns)}),
            ("derive", {number: queries.number(columns)}),
            ("derive", {new: f"sum({number}) OVER (PARTITION BY {queries.number(columns, 1)})"}),
            ("filter", queries.condition(columns)),
            ("deduplicate", {"by": number, "order": order}),
            ("aggregate", {"by": [number], "compute": {new: f"max({queries.number(columns, 1)})"}}),
            ("join", {"table": "raw.other", "by": {number: "x"}, "how": "left", "columns": {"y": new}}),
            ("join", {"table": "raw.other", "by": {number: "x"}, "how": self.random.choice(["semi", "anti"])}),
            ("join", {"table": "raw.other", "by": {number: "k"}, "matches": "many", "columns": {"x": new}}),
            ("union", "raw.other"),
            ("fill", {"columns": [number], "statistic": "max", "by": [text]}),
            ("fill", {"columns": [number], "from_row": "previous", "order": order}),
            ("bucket", {"column": number, "bounds": [2, 5], "into": new}),
            ("unnest", "l"),
            ("unpivot", {"columns": [number], "name": f"{new}_name", "value": new}),
            ("pivot", {"by": [text], "column": number, "values": [1, 2], "function": "count"}),
            ("sample", {"percent": 50, "by": [number]}),
            ("one_hot", {"column": number, "values": [1, 2]}),
            ("merge_columns", {"columns": [number, text], "into": new, "separator": "-"}),
            ("split_column", {"column": text, "separator": "a", "into": [f"{new}_1", f"{new}_2"]}),
            ("clean", {"columns": [text], "case": "upper"}),
            ("cast", {number: "double"}),
            ("cast", {text: {"type": "integer", "misfit": "null"}}),
            ("rename", {number: new}),
            ("window", {"by": [text], "order": order, "columns": {new: {"function": "lag", "of": number}}}),
            ("window", {"by": [number], "order": order, "columns": {new: "row_number"}}),
            ("sort", {"by": order, "limit": 6}),
        ])  # fmt: skip
        self._follow(step, columns, new, number, text)
        return step

    def _follow(self, step: tuple[str, Any], columns: Columns, new: str, number: str, text: str) -> None:
        """What the columns are like behind the step, as far as the next one has to know."""
        kind, value = step
        if kind in ("aggregate", "pivot"):
            kept = number if kind == "aggregate" else text
            columns.clear()
            columns[kept] = "int" if kind == "aggregate" else "text"
        if kind == "rename":
            columns[new] = columns.pop(number, "int")
        if kind == "unnest":
            columns["l"] = "int"
        if kind in ("derive", "aggregate", "window") and new in str(value):
            columns[new] = "int"
        if kind == "cast" and text in value:
            columns[text] = "int"
