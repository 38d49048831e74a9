"""The evidence file: what the marker and the fixture let pass, and what a claim beyond it brings."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dataflow_platform.cli.main import group
from dataflow_platform.cli.reference import ours, proof_lines
from dataflow_platform.core import evidence
from dataflow_platform.core.evidence import FILE, STRENGTH, Proof, overclaims, proofs
from tests.fixtures.evidence import Run, exists, merged, runs_of

TEST = "tests/core/test_evidence.py::test_x"


def test_no_connector_claims_more_than_ran() -> None:
    assert overclaims(ours("connectors"), proofs()) == []


def test_every_test_of_the_file_is_there_and_marked() -> None:
    runs = runs_of(json.loads(FILE.read_text()))
    assert len(runs) > 20  # the connectors with a server of their own have two or three each
    assert [run.test for run in runs if not exists(run.test)] == []
    assert {run.evidence for run in runs} <= set(STRENGTH)


@pytest.mark.parametrize("proven", [{}, {("sqlite", "source"): Proof("contract", {"x": (TEST,)})}])
def test_a_claim_beyond_what_ran_is_told(proven: dict[tuple[str, str], Proof]) -> None:
    ran = "contract" if proven else "unverified"
    assert overclaims(["sqlite"], proven) == [f"sqlite as source claims real_server; what ran is {ran}"]


def test_a_claim_of_less_is_allowed() -> None:
    assert overclaims(["trino"], {("trino", "source"): Proof("real_server", {"x": (TEST,)})}) == []


def test_docs_check_fails_on_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written = json.loads(FILE.read_text())
    del written["sqlite"]
    (tmp_path / "evidence.json").write_text(json.dumps(written))
    monkeypatch.setattr(evidence, "FILE", tmp_path / "evidence.json")
    proofs.cache_clear()
    try:
        result = CliRunner().invoke(group, ["docs", "--check"])
    finally:
        proofs.cache_clear()
    assert result.exit_code == 1
    assert "claims more than ran: sqlite as source claims real_server; what ran is unverified" in result.output


def test_the_strongest_is_kept_with_all_that_is_as_strong() -> None:
    runs = [
        Run("x", "source", "contract", "no server", "a"),
        Run("x", "source", "real_server", "X 2", "c"),
        Run("x", "source", "real_server", "X 1", "b"),
        Run("x", "source", "real_server", "X 2", "b"),
        Run("x", "destination", "own_stub", "a stub", "d"),
    ]
    written = merged(runs)
    assert written == {
        "x": {
            "destination": {"evidence": "own_stub", "ran": {"a stub": ["d"]}},
            "source": {"evidence": "real_server", "ran": {"X 1": ["b"], "X 2": ["b", "c"]}},
        }
    }
    assert merged(runs_of(written)) == written


def test_a_test_that_is_gone_or_not_marked_proves_nothing() -> None:
    assert not exists("tests/connectors/test_gone.py::test_x")
    assert not exists("tests/connectors/test_sql.py::test_gone")
    assert not exists("tests/core/test_sql.py::test_quote")
    assert exists("tests/connectors/test_sql_dialects.py::test_the_select_of_each_system[doris]")


PROJECT = """
import pytest
from dataflow_platform.connectors.sqlite import Sqlite

@pytest.mark.evidence("sqlite", "source", "real_server")
def test_told(ran_against): ran_against(Sqlite(path="x"), "SQLite 3")

@pytest.mark.evidence("sqlite", "source", "real_server")
def test_untold(ran_against): pass

@pytest.mark.evidence("duckdb", "source", "real_server")
def test_another_connector(ran_against): ran_against(Sqlite(path="x"), "SQLite 3")

@pytest.mark.evidence("sqlite", "source", "real_server")
def test_failing(ran_against):
    ran_against(Sqlite(path="x"), "SQLite 3")
    assert False

@pytest.mark.evidence("sqlite", "source", "real_server")
def test_skipped(ran_against): pytest.skip("no server")
"""


def session(pytester: pytest.Pytester, source: str, monkeypatch: pytest.MonkeyPatch) -> pytest.RunResult:
    """A session of pytest of its own, with our fixture, that writes into its own folder."""
    monkeypatch.setenv("DATAFLOW_WRITE_EVIDENCE", "1")
    monkeypatch.setattr("tests.fixtures.evidence.FILE", pytester.path / "evidence.json")
    pytester.makeini("[pytest]\nmarkers =\n    evidence(connector, role, kind): x\n")
    pytester.makeconftest('pytest_plugins = ["tests.fixtures.evidence"]')
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider")


def test_only_what_passed_and_told_is_written(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = session(pytester, PROJECT, monkeypatch)
    result.assert_outcomes(passed=1, failed=3, skipped=1)
    result.stdout.fnmatch_lines(["*the test ended without telling what it ran against*"])
    (run,) = runs_of(json.loads((pytester.path / "evidence.json").read_text()))
    assert run[:4] == ("sqlite", "source", "real_server", "SQLite 3")
    assert run.test.endswith("::test_told")


@pytest.mark.parametrize(
    "half", ['@pytest.mark.evidence("a", "source", "contract")\ndef test(): pass', "def test(ran_against): pass"]
)
def test_marker_and_fixture_belong_together(
    half: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session(pytester, "import pytest\n" + half, monkeypatch).ret == pytest.ExitCode.USAGE_ERROR


def test_show_names_server_and_tests() -> None:
    (line,) = proof_lines("mysql", "source")
    assert line.startswith("ran against MariaDB 10.")
    assert "`tests/connectors/test_mysql.py::test_every_type_arrives_exactly`" in line
    assert proof_lines("trino", "source") == ["ran against: nothing"]
    shown = CliRunner().invoke(group, ["connectors", "show", "sqlite"]).output
    # The terminal breaks lines where it likes.
    assert "ran against a file written by SQLite 3." in " ".join(shown.split())
