"""The lineage of single queries: what a name means, and in which ways columns are used."""

import duckdb
import pytest
import sqlglot

from dataflow_platform.core.base import Column
from dataflow_platform.engine import step_functions, step_typing
from dataflow_platform.engine.lineage import Kind, Origin, Relation, is_masked, of_table, of_unknown_table, words
from dataflow_platform.engine.query_lineage import QueryLineage, lineage_of
from tests.transformations.stepping import step

TABLES = {
    "t": of_table(["id", "k", "a", "b", "s", "l"], "t"),
    "u": of_table(["k", "x", "a"], "u"),
    "o": of_unknown_table("o", ["known"]),
}


def told(relation: Relation) -> dict[str, str]:
    """Column -> its sources as text, `*` for the rows."""
    every = {**relation.columns, "*": relation.rows}
    return {
        name: " ".join(f"{origin.table}.{origin.column}:{'+'.join(words(kinds))}" for origin, kinds in sources.items())
        for name, sources in every.items()
        if name != "*" or sources
    }


def of(sql: str, dialect: str = "duckdb") -> dict[str, str]:
    return told(lineage_of(sqlglot.parse_one(sql, read=dialect), TABLES))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        # Names: qualified, of another case, fields of a structure, a whole row.
        ("select T.A from t", {"A": "t.a:IDENTITY"}),
        ("select s.field.inner as f from t", {"f": "t.s:IDENTITY"}),
        ("select to_json(u) as j from u", {"j": "u.k:TRANSFORMATION u.x:TRANSFORMATION u.a:TRANSFORMATION"}),
        # A name of the SELECT list goes behind a column of the tables.
        ("select a + 1 as b, b as c, 2 * z as y, x as z from t, u where false",
         {"b": "t.a:TRANSFORMATION u.a:TRANSFORMATION", "c": "t.b:IDENTITY", "y": "", "z": "u.x:IDENTITY"}),
        # USING makes one column of two; `*` has it once.
        ("select * from (select k, b from t) p full join (select k, x from u) q using (k)",
         {"k": "t.k:IDENTITY u.k:IDENTITY", "b": "t.b:IDENTITY", "x": "u.x:IDENTITY", "*": "t.k:JOIN u.k:JOIN"}),
        ("select k from t right join u using (k)", {"k": "u.k:IDENTITY", "*": "t.k:JOIN u.k:JOIN"}),
        ("select k, b from t natural join (select k, x from u) q",
         {"k": "t.k:IDENTITY", "b": "t.b:IDENTITY", "*": "t.k:JOIN u.k:JOIN"}),
        # Stars.
        ("select * exclude (k, a) rename (x as y) from u", {"y": "u.x:IDENTITY"}),
        ("select columns('^[ax]$') + 1 from u", {"x": "u.x:TRANSFORMATION", "a": "u.a:TRANSFORMATION"}),
        # Windows, also by name; aggregates with their own order and filter.
        ("select sum(a) over w as r from t window w as (partition by k order by id)",
         {"r": "t.a:AGGREGATION t.k:WINDOW t.id:WINDOW"}),
        ("select lag(a) over (order by id) as r from t", {"r": "t.a:TRANSFORMATION t.id:WINDOW"}),
        ("select string_agg(s, ',' order by b) filter (where a > 1) as r from t",
         {"r": "t.s:AGGREGATION t.b:SORT t.a:CONDITIONAL"}),
        ("select arg_max(s, b) as r, median(a) as m from t", {"r": "t.s:AGGREGATION t.b:CONDITIONAL",
                                                              "m": "t.a:AGGREGATION"}),
        # Groups by place, name and ALL; distinct.
        ("select a + b as c, count(*) as n from t group by 1", {
            "c": "t.a:TRANSFORMATION t.b:TRANSFORMATION", "n": "", "*": "t.a:GROUP_BY t.b:GROUP_BY"}),
        ("select s, sum(a) as n from t group by all order by n",
         {"s": "t.s:IDENTITY", "n": "t.a:AGGREGATION", "*": "t.s:GROUP_BY t.a:SORT"}),
        ("select distinct a from t", {"a": "t.a:IDENTITY", "*": "t.a:GROUP_BY"}),
        # Set operations: by place, by name, with and without the right side's values.
        ("select a from t union all select x from u", {"a": "t.a:IDENTITY u.x:IDENTITY"}),
        ("select a from t union all by name select x, a from u",
         {"a": "t.a:IDENTITY u.a:IDENTITY", "x": "u.x:IDENTITY"}),
        ("select a from t except select x from u", {"a": "t.a:IDENTITY", "*": "t.a:FILTER u.x:FILTER"}),
        # Lists, VALUES, functions that give rows.
        ("select e.x, id from t, unnest(l) as e(x)",
         {"x": "t.l:TRANSFORMATION", "id": "t.id:IDENTITY", "*": "t.l:JOIN"}),
        ("select a, v.n from t join (values (1, 'one')) as v(i, n) on v.i = k",
         {"a": "t.a:IDENTITY", "n": "", "*": "t.k:JOIN"}),
        # Correlated: the inner query sees the outer one's columns.
        ("select id, (select max(x) from u where u.k = t.k) as m from t",
         {"id": "t.id:IDENTITY", "m": "u.x:AGGREGATION u.k:FILTER t.k:FILTER"}),
        ("select id from t where not exists (select 1 from u where u.k = t.k)",
         {"id": "t.id:IDENTITY", "*": "u.k:FILTER t.k:FILTER"}),
        # A table whose columns nobody knows.
        ("select known, guessed from o", {"known": "o.known:IDENTITY", "guessed": "o.guessed:IDENTITY"}),
        ("with c as (select * from o where w) select later + 1 as n from c",
         {"n": "o.later:TRANSFORMATION", "*": "o.w:FILTER"}),
        # PIVOT as a statement: its columns hang on the values.
        ("with p as (pivot t on k using sum(a) group by s) select s, one from p",
         {"s": "t.s:IDENTITY", "one": "t.a:AGGREGATION t.k:CONDITIONAL", "*": "t.s:GROUP_BY"}),
    ],
)  # fmt: skip
def test_columns_and_rows(sql: str, expected: dict[str, str]) -> None:
    assert of(sql) == expected


@pytest.mark.parametrize("dialect", ["postgres", "snowflake", "bigquery", "spark"])
def test_other_dialects(dialect: str) -> None:
    sql = "with c as (select k, sum(a) as total from t where b > 1 group by k) select total from c where k = 2"
    assert of(sql, dialect) == {"total": "t.a:AGGREGATION", "*": "t.b:FILTER t.k:GROUP_BY+FILTER"}


def test_a_column_no_table_has_is_named() -> None:
    lineage = QueryLineage(lambda table: TABLES[table.name])
    lineage.of(sqlglot.parse_one("select t.a, t.gone from t join u on u.lost = t.k", read="duckdb"))
    assert lineage.missing == [Origin("lost", "u"), Origin("gone", "t")]
    lineage = QueryLineage(lambda table: TABLES[table.name])
    lineage.of(sqlglot.parse_one("select list_transform(l, lambda e: e + a), gone from t", read="duckdb"))
    assert lineage.missing == [Origin("gone", "t")]


def test_masked_where_no_way_leads_around_the_hash() -> None:
    sql = (
        "select md5(s) as hidden, md5(s) || left(s, 1) as shown, sha256(md5(s)) as twice, md5('x') || s as never from t"
    )
    relation = lineage_of(sqlglot.parse_one(sql, read="duckdb"), TABLES)
    masked = {name: is_masked(kinds) for name, sources in relation.columns.items() for kinds in sources.values()}
    assert masked == {"hidden": True, "shown": False, "twice": True, "never": False}
    assert not is_masked(Kind.FILTER)  # nothing flows


def test_recursion_follows_every_step() -> None:
    sql = """with recursive r(n, m, p) as (
        select a, b, s from t union all select m, p, p from r where n < 5) select n from r"""
    # n is b after one step and s after two.
    assert of(sql) == {"n": "t.a:IDENTITY t.b:IDENTITY t.s:IDENTITY", "*": "t.a:FILTER t.b:FILTER t.s:FILTER"}


def test_what_the_step_mask_gives_is_masked() -> None:
    masked = step("mask", {"columns": {"email": {"hash": True}, "name": {"redact": "***"}}, "key": "k" * 40})
    columns = [Column(name, "VARCHAR") for name in ("id", "email", "name")]
    with duckdb.connect(":memory:") as connection, step_functions.opened(connection) as functions:
        found = step_typing.typed(columns, [masked], {}, step_typing.by_position, functions)
    hidden = {name: [is_masked(kinds) for kinds in each.values()] for name, each in found.lineage.columns.items()}
    assert hidden == {"id": [False], "email": [True], "name": [True]}
