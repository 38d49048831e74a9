"""The straight line on PostgreSQL: the scenarios of DuckDB's line, and what only a server with many writers has."""

import uuid
from collections.abc import Iterator

import pytest

from dataflow_platform.connectors.postgres import PostgresDestination
from dataflow_platform.demo.postgres import PostgresServer
from tests.engine.test_line import (  # noqa: F401  # pytest collects them here, with this module's warehouse
    test_a_committed_load_id_is_a_no_op,
    test_a_failed_error_check_leaves_the_target_untouched,
    test_a_filter_counts_and_its_rows_are_not_read_again,
    test_a_type_is_widened_only_without_loss,
    test_an_empty_stream_makes_an_empty_table,
    test_append_with_cursor_loses_no_tie_and_repeats_none,
    test_bad_rows_go_to_quarantine_with_reasons,
    test_keys_with_nulls_go_to_quarantine_under_merge,
    test_merge_updates_inserts_and_keeps_the_newest_of_a_batch,
    test_more_than_62_rules,
    test_new_missing_and_changed_columns,
    test_nothing_is_visible_before_publish_and_close_undoes_it,
    test_position_of_the_source_is_committed_with_the_rows,
    test_replace_reads_everything_again_whatever_the_state,
    test_second_run_with_nothing_new_moves_nothing,
)


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of this test's own, owned by a role that is nobody else."""
    name = f"line_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def warehouse(postgres_server: PostgresServer, database: str) -> PostgresDestination:
    return PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database=database, user="postgres",
        password=postgres_server.password, wait_seconds=0.3,
    )  # fmt: skip
