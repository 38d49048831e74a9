"""`lookback` and `upper_bound` as a person writes them: what they become, and the line of what is wrong."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.pipeline.loader import Loaded, load_folder

PIPELINE = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: w.duckdb}
    inbox: {type: files, root: .}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: orders
      from: {path: orders.csv}
      primary_key: id
      SETTINGS
"""


def loaded(tmp_path: Path, *settings: str) -> Loaded:
    (tmp_path / "shop").mkdir()
    text = PIPELINE.replace("SETTINGS", "\n      ".join(settings))
    (tmp_path / "shop/defs.yaml").write_text(text)
    return load_folder(tmp_path)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("lookback: 90s", timedelta(seconds=90)),
        ("lookback: 1.5 h", timedelta(minutes=90)),
        ("lookback: 2d", timedelta(days=2)),
        ("lookback: 500", Decimal(500)),
        ("lookback: 0.25", Decimal("0.25")),
        ("upper_bound: 5m", timedelta(minutes=5)),
        ("upper_bound: -3", Decimal(-3)),
        ("upper_bound: 2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("upper_bound: 2026-01-31 12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("upper_bound: 2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_what_the_words_mean(tmp_path: Path, written: str, value: Any) -> None:
    built = loaded(tmp_path, "load: merge", "cursor: at", written).built
    assert built.problems == []
    assert getattr(built.loads["shop", "orders"]().stream, written.partition(":")[0]) == value


@pytest.mark.parametrize(
    ("settings", "code", "fix"),
    [
        (("load: merge", "cursor: at", "lookback: 2 years"), "cursor.lookback", "write a duration"),
        (("load: merge", "cursor: at", "lookback: -5"), "cursor.lookback", "write a duration"),
        (("load: merge", "cursor: at", "upper_bound: soon"), "cursor.upper_bound", "write a duration"),
        (("load: merge", "lookback: 2d"), "cursor.lookback", "declare cursor: column"),
        (("load: append", "cursor: at", "lookback: 500"), "cursor.lookback", "with a primary key (load: merge)"),
    ],
)
def test_a_mistake_names_its_line(tmp_path: Path, settings: tuple[str, ...], code: str, fix: str) -> None:
    (problem,) = loaded(tmp_path, *settings).built.problems
    # The stream's settings begin in line 15; the wrong one is the last.
    assert str(problem).startswith(f"[{code}] ")
    assert f"defs.yaml:{14 + len(settings)} attributes.streams[0].{code.partition('.')[2]}\n" in str(problem)
    assert fix in str(problem).splitlines()[-1]
