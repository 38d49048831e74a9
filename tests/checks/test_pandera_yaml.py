"""Schemas in Pandera's YAML form."""

from pathlib import Path

import pandera.pandas as pa
import pandera.polars as pp
import polars as pl
import pytest

from dataflow_platform.core.errors import ConfigError
from tests.checks.verdicts import broken_by, check

FLIGHTS = """
schema_type: dataframe
columns:
  distance:
    dtype: int64
    in_range: {min_value: 1, max_value: 6000}
  carrier:
    dtype: str
    nullable: true
    isin: [AA, UA]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's root, which relative paths begin at."""
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path))
    (tmp_path / "contracts").mkdir()
    return tmp_path


def test_a_schema_in_yaml_is_compiled_like_one_in_python(project: Path) -> None:
    (project / "contracts" / "flights.yaml").write_text(FLIGHTS)
    types = {"distance": "BIGINT", "carrier": "VARCHAR"}
    found = broken_by_row(types, [(1, "AA"), (0, None), (6000, "XX"), (None, "UA")])
    # Row 1 is too near, row 2 has an unknown carrier, row 3 has no distance.
    assert found == {
        "flights_distance_not_null": [3],
        "flights_distance_in_range": [1],
        "flights_carrier_isin": [2],
    }


def broken_by_row(types: dict[str, str], rows: list[tuple[object, ...]]) -> dict[str, list[int]]:
    return broken_by("pandera", "contracts/flights.yaml", types, rows)


@pytest.mark.parametrize(
    "schema",
    [
        pa.DataFrameSchema(
            {"a": pa.Column(int, [pa.Check.ge(0), pa.Check.isin([1, 2], raise_warning=True)], unique=True)},
            checks=pa.Check.gt(0), strict="filter", name="written",
        ),
        pp.DataFrameSchema({"^a.*$": pp.Column(pl.Int64, pa.Check.ge(0), regex=True, nullable=True)}, name="written"),
    ],
    ids=["pandas", "polars"],
)  # fmt: skip
def test_what_pandera_writes_is_read(project: Path, schema: object) -> None:
    (project / "s.yml").write_text(schema.to_yaml())  # type: ignore[attr-defined]
    names = check("pandera", "s.yml").names()
    assert names
    assert all(name.startswith("written_") for name in names)


@pytest.mark.parametrize(
    ("text", "line", "what", "fix"),
    [
        (FLIGHTS.replace("in_range", "in_rnage"), 6, "'in_rnage' is nothing that", "did you mean 'in_range'?"),
        (FLIGHTS.replace("    nullable", "    nulable"), 9, "'nulable' is nothing", "did you mean 'nullable'?"),
        (f"{FLIGHTS}strikt: true\n", 11, "'strikt' is nothing that pandera knows", "did you mean 'strict'?"),
        ("columns: [", 1, "expected the node content", "write it as"),
        ("columns: 5", None, "it is no mapping", "write it as"),
        (FLIGHTS.replace("int64", "int46"), None, "TypeError: data type 'int46' not understood", "write it as"),
        (FLIGHTS.replace("schema_type: dataframe", "schema_type: pyspark_dataframe"), None, "for pyspark", "write it"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(project: Path, text: str, line: int | None, what: str, fix: str) -> None:
    (project / "s.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        check("pandera", "s.yaml")
    assert what in caught.value.what
    assert caught.value.fix.startswith(fix)
    assert (caught.value.code, caught.value.where.file, caught.value.where.line) == ("pandera.yaml", "s.yaml", line)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError) as caught:
        check("pandera", "contracts/nowhere.yaml")
    assert str(caught.value).startswith("[path.file] cannot read the schema ")
    assert "\n  at contracts/nowhere.yaml\n  fix: name a YAML file" in str(caught.value)
