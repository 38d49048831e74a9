"""Contracts drafted from rows: what they say is true of these rows, they compile, and they notice other rows."""

import importlib.util
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dataflow_platform.core import registry
from dataflow_platform.core.base import Check, Stream, Table
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.governance.column_facts import FORMATS, facts_of
from dataflow_platform.governance.contract_as_pandera import as_pandera, class_name
from dataflow_platform.governance.contract_as_yaml import as_yaml
from dataflow_platform.governance.contract_draft import Draft, draft
from tests.fixtures.queried import NoOptions, Queried

ORDERS = """
    SELECT i AS id, 'u' || i || '@x.org' AS email, ['open', 'shut'][1 + i % 2] AS state,
    i * 1.5::DECIMAL(9, 1) AS amount,
    DATE '2024-03-05' + CAST(i % 300 AS INTEGER) AS day, CASE WHEN i % 4 > 0 THEN 'C' || (1000 + i % 77) END AS code,
    lpad(CAST(i % 90 AS VARCHAR), 5, '0') AS zip, CASE WHEN i = 7 THEN 'opne' ELSE 'open' END AS typo
    FROM range(400) AS t(i)
"""
WORKSPACE = Path(sys.executable).parent


def load(folder: Path, sql: str, checks: Sequence[Check] = (), key: tuple[str, ...] = ()) -> StreamLoad:
    kind: Any = registry.load_strategy("append")
    return StreamLoad(
        pipeline="shop",
        stream=Stream(name="orders", options=NoOptions(), primary_key=key),
        source=Queried(sql=sql),
        destination=registry.destination("duckdb")(path=str(folder / "w.duckdb"), wait_seconds=0.3),
        target=Table("shop", "orders"),
        strategy=kind(),
        strategy_name="append",
        load_id=uuid.uuid4().hex,
        checks=checks,
    )


def drafted(folder: Path, sql: str, limit: int = 1_000_000, key: tuple[str, ...] = ()) -> Draft:
    return draft(facts_of(load(folder, sql, key=key), limit))


def yaml_checks(text: str) -> list[Check]:
    entries: list[dict[str, Any]] = yaml.safe_load(text)["checks"]
    made = []
    for entry in entries:
        ((name, value),) = entry.items()
        cls: Any = registry.check(name)
        made.append(cls.model_validate(value if isinstance(value, dict) else {cls.shorthand: value}))
    return made


def pandera_checks(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    name = f"drafted_{uuid.uuid4().hex}"
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    cls: Any = registry.check("pandera")
    return [cls.model_validate({"schema": f"{name}:{class_name('orders')}"})]


def failing(folder: Path, sql: str, checks: Sequence[Check]) -> dict[str, int]:
    """Rule -> failing rows, where there are any."""
    staged = stage(load(folder, sql, checks))
    try:
        return {verdict.rule.name: verdict.failing for verdict in staged.verdicts if verdict.failing}
    finally:
        staged.close()


def rules_of(found: Draft, column: str) -> dict[str, Any]:
    (each,) = [each for each in found.columns if each.facts.name == column]
    return {rule.kind: dict(rule.settings) for rule in each.rules}


def test_what_is_drafted_of_orders(tmp_path: Path) -> None:
    found = drafted(tmp_path, ORDERS)
    assert rules_of(found, "id") == {"not_null": {}, "unique": {}, "in_range": {"min": 0}}  # a key grows: no maximum
    assert rules_of(found, "email") == {
        "not_null": {},
        "unique": {},
        "matches": {"pattern": FORMATS["e-mail"]},
    }
    assert rules_of(found, "state") == {"not_null": {}, "isin": {"values": ["open", "shut"]}}
    # 0.0 to 598.5: the next round numbers around them. Different amounts are chance, not a key.
    assert rules_of(found, "amount") == {"not_null": {}, "in_range": {"min": 0, "max": 1000}}
    assert rules_of(found, "day") == {"not_null": {}, "in_range": {"min": "2024-01-01"}}
    # A quarter is NULL.
    assert rules_of(found, "code") == {"matches": {"pattern": "[A-Z0-9]{5}"}}
    assert rules_of(found, "zip") == {"not_null": {}, "matches": {"pattern": "[0-9]{5}"}}
    # 'opne' is there once among 400 rows: that is no set of values to hold the next rows to.
    assert rules_of(found, "typo") == {"not_null": {}}
    (code,) = [each.evidence for each in found.columns if each.facts.name == "code"]
    assert code == "400 rows, 100 NULL, 77 different, 5 characters, all capitals and digits"


def test_rows_read_in_part_decide_nothing_about_the_others(tmp_path: Path) -> None:
    found = drafted(tmp_path, ORDERS, limit=100)
    kinds = {rule.kind for column in found.columns for rule in column.rules}
    assert kinds == {"not_null", "matches"}
    assert found.heading()[0].endswith("from the first 100 rows only: each rule holds for every row read.")
    assert "Uniqueness, ranges and sets of values are left out" in found.heading()[1]


def test_the_key_of_several_columns_is_drafted_where_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = "SELECT i // 2 AS a, i % 2 AS b FROM range(100) AS t(i)"
    assert "unique: [a, b]" in as_yaml(drafted(tmp_path, sql, key=("a", "b")))
    twice = f"{sql} UNION ALL SELECT 0, 0"
    assert "unique: [a, b]" not in as_yaml(drafted(tmp_path, twice, key=("a", "b")))
    model = as_pandera(drafted(tmp_path, sql, key=("a", "b")))
    assert 'unique: ClassVar = ["a", "b"]' in model
    checks = pandera_checks(tmp_path, model, monkeypatch)
    assert failing(tmp_path, sql, checks) == {}
    assert failing(tmp_path, twice, checks) == {"Orders_unique_a_b": 2}  # Pandera marks both


def test_the_written_model_is_clean_python(tmp_path: Path) -> None:
    odd = """SELECT i AS "class", i AS "two words", i AS "validate", 'a"b\\c' || (i % 3) AS quoted, [i] AS many,
        'long value number ' || (i % 20) AS listed, TIMESTAMPTZ '2024-02-03 10:00:00+00' AS at FROM range(300) t(i)"""
    for number, sql in enumerate((ORDERS, odd, "SELECT 1 AS a WHERE false", "SELECT [1] AS a")):
        (tmp_path / f"m{number}.py").write_text(as_pandera(drafted(tmp_path, sql)), encoding="utf-8")
    ruff = str(WORKSPACE / "ruff")
    for width in ("88", "120"):
        chosen = ["--isolated", "--line-length", width]
        rules = "E,W,F,I,N8,UP,B,C4,SIM,RET,RUF,DTZ"
        for command in (["check", "--select", rules, *chosen], ["format", "--diff", *chosen]):
            done = subprocess.run([ruff, *command, str(tmp_path)], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("* REPLACE (CASE WHEN id = 9 THEN NULL ELSE email END AS email)", "not_null_email"),
        ("* REPLACE (CASE WHEN id = 9 THEN 8 ELSE id END AS id)", "unique_id"),
        ("* REPLACE (CASE WHEN id = 9 THEN 'ajar' ELSE state END AS state)", "isin_state"),
        ("* REPLACE (amount * 100 AS amount)", "in_range_amount"),
        ("* REPLACE (CASE WHEN id = 9 THEN '1234' ELSE zip END AS zip)", "matches_zip"),
    ],
)
def test_a_drafted_contract_notices_other_rows(tmp_path: Path, change: str, broken: str) -> None:
    checks = yaml_checks(as_yaml(drafted(tmp_path, ORDERS)))
    assert failing(tmp_path, ORDERS, checks) == {}
    assert list(failing(tmp_path, f"SELECT {change} FROM ({ORDERS})", checks)) == [broken]


# SQL over the number i of the row: every family of types, and values that are easy to write wrong.
COLUMNS = st.sampled_from(
    [
        "i", "-i", "i % 3", "i * 1000000007", "CAST(i AS HUGEINT) * 10000000000000000000", "CAST(i % 2 AS UTINYINT)",
        "i / 7", "'nan'::DOUBLE", "CASE WHEN i % 5 = 0 THEN 'inf'::DOUBLE ELSE i END", "CAST(i AS FLOAT) * 0.1",
        "CAST(i AS DECIMAL(30, 10)) / 3", "-CAST(i AS DECIMAL(5, 2))", "i % 2 = 0", "NULL", "CAST(NULL AS DATE)",
        "DATE '1999-12-31' + CAST(i AS INTEGER)", "DATE '0001-01-01'", "DATE '12000-01-01'", "DATE '0044-03-15 (BC)'",
        "CAST('infinity' AS DATE)", "TIMESTAMP '2024-01-01' + to_hours(i)", "TIMESTAMPTZ '2024-01-01 00:00:00+05'",
        "TIME '10:00:00' + to_seconds(i)", "to_days(CAST(i AS INTEGER))", "'x'::BLOB", "uuid()",
        "CAST(uuid() AS VARCHAR)",
        "'a' || (i % 3)", "'it''s \"' || (i % 2) || chr(92)", "''", "'  '", "chr(10) || (i % 2)",
        "lower(md5(i::VARCHAR))",
        "'https://x.org/' || i", "'2024-01-0' || (1 + i % 9)", "repeat('ä', CAST(i % 4 AS INTEGER))", "[i]", "{'a': i}",
        "CAST('{\"a\": 1}' AS JSON)", "CAST(['on', 'off'][1 + i % 2] AS ENUM('on', 'off', 'never'))", "BIT '101'",
        "CASE WHEN i % 2 = 0 THEN upper(md5(i::VARCHAR)) END", "CASE WHEN i % 3 = 0 THEN i END",
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    ["a", "b c", "class", "Config", "validate", "ä", "1st", 'q"uote', "column_a", "pl", "_x", "a'b"]
)


@given(
    columns=st.dictionaries(NAMES, COLUMNS, min_size=1, max_size=6), rows=st.sampled_from([0, 1, 2, 19, 20, 45, 150])
)
@example(columns={"a": "i", "b c": "i % 3", "class": "'a' || (i % 3)"}, rows=150)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_rows_a_contract_is_drafted_from_pass_it(
    columns: dict[str, str], rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in columns}
    made = ", ".join(f"{sql} AS {quoted[name]}" for name, sql in columns.items())
    sql = f"SELECT {made} FROM range({rows}) AS t(i)"
    found = drafted(tmp_path, sql)
    assert failing(tmp_path, sql, yaml_checks(as_yaml(found))) == {}
    assert failing(tmp_path, sql, pandera_checks(tmp_path, as_pandera(found), monkeypatch)) == {}
