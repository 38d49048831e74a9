"""`dataflow profile` and `dataflow anomalies` on a project: figures, drift, history, mistakes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from dataflow_platform.cli.main import group
from dataflow_platform.core.errors import DataflowError
from tests.fixtures.yaml_project import INBOX

PIPELINE = """\
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  destination: {schema: raw}
  streams:
    - name: orders
      from: {path: orders.csv, columns: {id: bigint, state: varchar, amount: double, happened: timestamp}}
      load: replace
"""


def called(*words: str) -> str:
    result = CliRunner().invoke(group, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: str) -> DataflowError:
    result = CliRunner().invoke(group, list(words))
    assert isinstance(result.exception, DataflowError), result.output
    return result.exception


@pytest.fixture
def orders(yaml_project: Callable[[str], Path]) -> Callable[[str], None]:
    """Makes the table raw.orders of a SELECT, as a load would have."""
    folder = yaml_project(INBOX + PIPELINE)

    def made(select: str) -> None:
        with duckdb.connect(str(folder / "w.duckdb")) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
            connection.execute(f"CREATE OR REPLACE TABLE raw.orders AS {select}")

    return made


# Four weeks of hours: ten rows an hour by day, two at night; at noon of the last day 60.
HOURS = """
SELECT row_number() OVER () AS id, ['new', 'paid'][1 + i % 2] AS state, 10.0 + i % 3 AS amount,
    TIMESTAMP '2026-03-02' + to_hours(h) + to_seconds(i) AS happened
FROM range(24 * 28) AS hours(h), range(60) AS rows(i)
WHERE i < CASE WHEN h = 24 * 27 + 12 THEN 60 WHEN h % 24 BETWEEN 8 AND 20 THEN 10 + h // 24 % 2 ELSE 2 END
"""


def test_a_profile_is_printed_kept_and_compared(orders: Any, tmp_path: Path) -> None:
    orders("SELECT i AS id, 'new' AS state, 1.5 AS amount, NULL::TIMESTAMP AS happened FROM range(10) AS r(i)")
    first = called("profile", "raw.orders")
    assert "raw.orders: 10 rows, 4 columns" in first
    assert "100.0%" in first  # of happened all is missing
    assert "since" not in first
    orders("SELECT i AS id, 'lost' AS state, 1.5 AS amount, NULL::TIMESTAMP AS happened FROM range(20) AS r(i)")
    told = json.loads(called("profile", "raw/orders", "--json"))
    assert (told["rows"], told["estimated"]) == (20, [])
    assert [each["name"] for each in told["columns"]] == ["id", "state", "amount", "happened"]
    assert "rows 10 are now 20 (+100.0%)" in told["drift"]["words"]
    assert "state: new: 'lost'" in told["drift"]["words"]
    page = tmp_path / "profile.html"
    assert str(page) in called("profile", "raw.orders", "--html", str(page))
    assert "Nothing moved since the profile of" in page.read_text()


def test_anomalies_of_a_table_are_told_in_words(orders: Any) -> None:
    orders(HOURS)
    words = ("anomalies", "raw.orders", "--by", "happened", "--every", "hour", "--detector", "seasonal")
    lines = called(*words).splitlines()
    # At noon 10 or 11 rows, in turns: of 27 days the mean is 10.481, the standard deviation 0.509, five times 2.55.
    assert lines[0] == "2026-03-29 12:00  rows 60, expected 7.94 to 13.03 for the hour from 12:00"
    # A day has 24 hours; the first eight of each are not judged.
    assert lines[1:] == [f"1 of {24 * 20:,} judged points; of {24 * 8:,} too little of the past is known"]
    strict = called(*words, "--set", "threshold=1", "--set", "tolerance=0").splitlines()
    assert len(strict) > len(lines)
    points = [json.loads(line) for line in called(*words, "--json").splitlines()]
    assert [point["moment"] for point in points if point["is_anomaly"]] == ["2026-03-29T12:00:00"]
    amounts = called(*words[:4], "--column", "amount", "--every", "day", "--detector", "z_score")
    assert amounts == "0 of 20 judged points; of 8 too little of the past is known\n"


def test_anomalies_of_what_loads_measured(orders: Any, tmp_path: Path) -> None:
    orders("SELECT 1 AS id")
    called("profile", "raw.orders")  # makes the table that measurements are kept in
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute(
            "INSERT INTO raw._dataflow_quality (pipeline, stream, measured_at, published, kind, name, value) "
            "SELECT 'shop', 'orders', TIMESTAMPTZ '2026-01-01 02:00:00+00' + to_days(i), true, 'metric', 'row_count', "
            "CASE WHEN i = 20 THEN 2113 ELSE 10000 + i % 5 * 100 END FROM range(21) AS r(i)"
        )
    lines = called("anomalies", "raw.orders", "--metric", "row_count", "--detector", "z_score").splitlines()
    assert lines[0].startswith("2026-01-21 02:00  row_count 2,113, expected ")
    assert lines[1].startswith("1 of 13 judged points")


def test_mistakes_are_told_with_a_way_out(orders: Any) -> None:
    assert refused("profile", "raw.order").code == "asset.unknown"
    assert refused("profile", "raw.orders").code == "table.missing"
    orders("SELECT 1 AS id, 'x' AS state, TIMESTAMP '2026-01-01' AS happened")
    by = ("anomalies", "raw.orders", "--by")
    assert refused("anomalies", "raw.orders").code == "anomalies.series"
    assert refused(*by, "state").code == "anomalies.time"
    assert refused(*by, "hapened").code == "column.unknown"
    assert refused(*by, "happened", "--column", "state").code == "anomalies.column"
    assert refused(*by, "happened", "--measure", "sum").code == "anomalies.column"
    wrong = refused(*by, "happened", "--set", "window=3")
    assert wrong.code == "detector.option"
    assert "threshold" in wrong.fix
