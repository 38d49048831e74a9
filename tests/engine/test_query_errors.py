"""What DuckDB complains of while a load runs reaches the user in the platform's words."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from dataflow_platform.connectors.delta import DeltaDestination
from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.core.base import Scan, Stream, Table
from dataflow_platform.core.errors import ConfigError, DataError, TransientError
from dataflow_platform.engine import load as line
from dataflow_platform.engine.progress import following
from dataflow_platform.engine.query_errors import told
from dataflow_platform.engine.stage import stage
from dataflow_platform.engine.stream_load import StreamLoad
from dataflow_platform.load_strategies.append import Append
from dataflow_platform.transformations.derive import Derive
from tests.fixtures.rows import Rows, RowsOptions


def test_a_query_that_ends_the_transaction_still_says_what_was_wrong(tmp_path: Path) -> None:
    session = DuckDB(path=str(tmp_path / "w.duckdb")).session()
    scan = Scan(session.connection.sql("SELECT 1"))
    try:
        with (
            pytest.raises(duckdb.InvalidInputException, match="the true reason"),
            following("t", scan, [session.connection]),
        ):
            session.connection.execute("CREATE TABLE x AS SELECT error('the true reason')")
    finally:
        session.close()


def test_a_value_that_no_step_can_convert_is_named(tmp_path: Path) -> None:
    load = StreamLoad(
        pipeline="p",
        stream=Stream("t", RowsOptions()),
        source=Rows(one_shot=True).with_rows(pa.table({"v": ["1", "x"]})),
        destination=DuckDB(path=str(tmp_path / "w.duckdb")),
        target=Table("raw", "t"),
        strategy=Append(),
        strategy_name="append",
        load_id="1",
        steps=[Derive.model_validate({"n": "CAST(v AS INTEGER)"})],
    )
    with pytest.raises(DataError, match=r"\[data.value\](.|\n)*Could not convert string 'x'"):
        line.publish(stage(load))


@pytest.mark.parametrize("text", ["No space left on device", "File too large"])
def test_a_full_disk_is_named_wherever_it_is_found(text: str) -> None:
    with pytest.raises(ConfigError, match=r"\[engine.disk_full\]"), told("raw.t"):
        raise duckdb.TransactionException(f"Failed to commit: Could not write file w.duckdb.wal: {text}")


def test_a_server_that_is_gone_is_a_passing_error() -> None:
    """As an attached PostgreSQL is asked by the engine; found by a campaign of broken connections."""
    text = 'TransactionContext Error: Failed to commit: Failed to execute query "COMMIT": server closed the connection'
    with pytest.raises(TransientError, match=r"\[engine.connection_lost\]"), told("raw.t"):
        raise duckdb.TransactionException(f"{text} unexpectedly")


@pytest.mark.parametrize("kind", ["file", "engine of its own"])
def test_a_name_in_sql_is_never_a_variable_of_python(tmp_path: Path, kind: str) -> None:
    """DuckDB would take a table of pyarrow in the caller's variables for the relation of that name."""
    secret_rows = pa.table({"v": [1]})
    file = DuckDB(path=str(tmp_path / "w.duckdb"))
    opened = file.session() if kind == "file" else DeltaDestination(path=str(tmp_path / "lake")).session()
    try:
        with pytest.raises(duckdb.CatalogException, match="secret_rows does not exist"):
            opened.in_engine("SELECT * FROM secret_rows")
    finally:
        opened.close()
    assert secret_rows.num_rows == 1
