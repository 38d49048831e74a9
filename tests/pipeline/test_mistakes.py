"""The mistakes people make most: each gives a code, the line, and a fix; none takes the location down."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from dataflow_platform.pipeline.loader import Loaded, load_folder

GOOD = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: WAREHOUSE, wait_seconds: 0.3}
    inbox: {type: files, root: INBOX}
---
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  streams:
    - name: orders
      from: {path: orders.csv}
      primary_key: id
      load: merge
      transform:
        - filter: amount > 0
      checks:
        - not_null: id
"""


@dataclass(frozen=True)
class Mistake:
    """``old`` in the good file becomes ``new``; ``code``, the line of ``new`` and ``fix`` must show."""

    name: str
    old: str
    new: str
    code: str
    fix: str
    at: str | None = None
    """Text of the line the error must name; ``new`` itself when absent."""


# What a person typed wrong; found when definitions are built, before anything runs.
WRITTEN = [
    Mistake("unknown key", "primary_key: id", "primary_kee: id", "key.unknown", "did you mean 'primary_key'?"),
    Mistake("unknown key of the pipeline", "  streams:", "  steams:", "key.unknown", "did you mean 'streams'?"),
    Mistake(
        "wrong type", "streams:\n", "retries: many\n  streams:\n", "value.type", "docs/pipeline.md", "retries: many"
    ),
    Mistake("missing key", "  name: shop\n", "", "key.missing", "add it: name"),
    Mistake(
        "two keys the same",
        "  source: inbox\n",
        "  source: inbox\n  source: outbox\n",
        "yaml.duplicate_key",
        "keep one",
        "source: outbox",
    ),
    Mistake("broken indentation", "      load: merge", "     load: merge", "yaml.syntax", "correct the line"),
    Mistake(
        "missing variable", "path: orders.csv", 'path: "{{ env.SHOP_NO_SUCH }}"', "variable.missing", "SHOP_NO_SUCH=..."
    ),
    Mistake(
        "misspelt variable",
        "path: orders.csv",
        'path: "{{ env.SHOP_TEST_PATHH }}"',
        "variable.missing",
        "did you mean 'SHOP_TEST_PATH'?",
    ),
    Mistake("bad template", "path: orders.csv", 'path: "{{ env.A B }}"', "template.syntax", "{{ env.NAME }}"),
    Mistake("unknown connection", "source: inbox", "source: inbux", "connection.unknown", "did you mean 'inbox'?"),
    Mistake(
        "unknown connector",
        "source: inbox",
        "source: {type: postgress, host: h}",
        "connector.unknown",
        "did you mean 'postgres'?",
    ),
    Mistake(
        "connector that cannot be read",
        "source: inbox",
        "source: {type: parquet_dataset, path: lake}",
        "connector.not_a_source",
        "pick another",
    ),
    Mistake(
        "unknown option of the source",
        "{path: orders.csv}",
        "{paths: orders.csv}",
        "key.unknown",
        "did you mean 'path'?",
    ),
    Mistake("unknown load strategy", "load: merge", "load: murge", "load_strategy.unknown", "did you mean 'merge'?"),
    Mistake(
        "merge without a key",
        "      primary_key: id\n",
        "",
        "stream.primary_key",
        "primary_key: [column",
        "load: merge",
    ),
    Mistake(
        "unknown step",
        "- filter: amount > 0",
        "- fitler: amount > 0",
        "transformation.unknown",
        "did you mean 'filter'?",
    ),
    Mistake(
        "two steps in one", "- filter: amount > 0", "- {filter: amount > 0, select: [id]}", "step.one_key", "own dash"
    ),
    Mistake("expression that is no SQL", "amount > 0", "amount > (0", "expression.syntax", ""),
    Mistake(
        "expression that reads a file",
        "amount > 0",
        "(select 1 from read_csv('/etc/passwd'))",
        "expression.refused",
        "",
    ),
    Mistake(
        "contract that means nothing",
        "load: merge\n",
        "load: merge\n      contract: {missing_columns: discard}\n",
        "contract.senseless",
        "use evolve, freeze or quarantine",
        "contract: {missing_columns: discard}",
    ),
    Mistake(
        "contract of the pipeline that would empty a table",
        "  streams:\n    - name: orders\n      from: {path: orders.csv}\n      primary_key: id\n      load: merge\n",
        "  contract:\n    missing_columns: quarantine\n  streams:\n    - name: orders\n      from: {path: orders.csv}\n"
        "      primary_key: id\n      load: delta\n",
        "contract.senseless",
        "set missing_columns: freeze",
        "missing_columns: quarantine",
    ),
    Mistake(
        "not_null that protects nothing",
        "load: merge\n",
        "load: merge\n      contract: {not_null: [id]}\n",
        "contract.senseless",
        "set nullability: freeze",
        "contract: {not_null: [id]}",
    ),
    Mistake(
        "renames in a circle",
        "load: merge\n",
        "load: merge\n      contract: {renames: {a: b, b: a}}\n",
        "contract.senseless",
        "keep one direction",
        "contract: {renames: {a: b, b: a}}",
    ),
    Mistake("unknown check", "- not_null: id", "- not_nul: id", "check.unknown", "did you mean 'not_null'?"),
    Mistake(
        "check with a bad field",
        "- not_null: id",
        "- not_null: {columns: [id], severty: warn}",
        "key.unknown",
        "did you mean 'severity'?",
    ),
    Mistake(
        "two checks of one name",
        "- not_null: id",
        "- not_null: id\n        - not_null: {columns: [id], severity: warn}",
        "check.duplicate",
        "name: ...",
        "- name: orders",
    ),
    Mistake(
        "pandera schema that is not there",
        "- not_null: id",
        "- pandera: no_such_module:Schema",
        "path.module",
        "PYTHONPATH",
    ),
    Mistake("bad cron", "  streams:", '  schedule: "99 99 * * *"\n  streams:', "value.invalid", "correct", "schedule:"),
    Mistake(
        "bad type name",
        "dataflow_platform.Pipeline",
        "dataflow_platform.Pipelin",
        "type.unknown",
        "did you mean 'dataflow_platform.Pipeline'?",
    ),
    Mistake(
        "secret in clear text",
        "source: inbox",
        "source: {type: postgres, host: h, database: d, user: u, password: hunter2}",
        "secret.literal",
        "{{ env.NAME }}",
    ),
]


@dataclass(frozen=True)
class Project:
    """A defs folder with one file, a warehouse and an inbox."""

    folder: Path
    inbox: Path
    warehouse: Path

    def write(self, text: str) -> Path:
        file = self.folder / "shop" / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("WAREHOUSE", str(self.warehouse)).replace("INBOX", str(self.inbox)))
        return file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("SHOP_TEST_PATH", "orders.csv")
    made = Project(tmp_path / "defs", tmp_path / "inbox", tmp_path / "w.duckdb")
    made.inbox.mkdir()
    (made.inbox / "orders.csv").write_text("id,amount\n1,10\n2,20\n")
    return made


@pytest.mark.parametrize("mistake", WRITTEN, ids=lambda mistake: mistake.name)
def test_written_mistake(project: Project, mistake: Mistake) -> None:
    assert mistake.old in GOOD
    text = GOOD.replace(mistake.old, mistake.new, 1)
    file = project.write(text)
    loaded = load_folder(project.folder)
    assert [problem.code for problem in loaded.built.problems] == [mistake.code]
    shown = str(loaded.built.problems[0])
    assert shown.startswith(f"[{mistake.code}] ")
    assert mistake.fix in shown.splitlines()[-1]
    if mistake.new:
        marker = (mistake.at or mistake.new.strip().splitlines()[0]).strip()
        written = file.read_text().splitlines()
        lines = [number for number, line in enumerate(written, 1) if marker in line]
        assert any(f"{file.name}:{line}" in shown for line in lines), shown
    assert "hunter2" not in shown
    assert_location_loads_with_a_failing_asset(loaded, shown)


def assert_location_loads_with_a_failing_asset(loaded: Loaded, shown: str) -> None:
    defs = loaded.built.definitions()
    broken = [spec for spec in defs.resolve_all_asset_specs() if "broken" in spec.kinds]
    assert broken
    assert shown in str(broken[0].description)
    result = dg.materialize(
        [asset for asset in defs.assets or [] if isinstance(asset, dg.AssetsDefinition)], raise_on_error=False
    )
    assert not result.success


def test_the_good_file_builds_and_runs(project: Project) -> None:
    project.write(GOOD)
    loaded = load_folder(project.folder)
    assert loaded.built.problems == []
    assert run(loaded).success
    with duckdb.connect(str(project.warehouse)) as connection:
        assert connection.execute("SELECT * FROM shop.orders ORDER BY 1").fetchall() == [(1, 10), (2, 20)]


def run(loaded: Loaded) -> dg.ExecuteInProcessResult:
    defs = loaded.built.definitions()
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)


def failure_of(loaded: Loaded) -> str:
    assert loaded.built.problems == []
    result = run(loaded)
    assert not result.success
    data = next(iter(result.get_step_failure_events())).step_failure_data
    assert data.user_failure_data is not None, data.error
    return str(data.user_failure_data.description)


@dataclass(frozen=True)
class Mishap:
    """What goes wrong while it runs."""

    name: str
    arrange: Callable[[Project], str]
    code: str
    where: str
    fix: str


def _write_inbox(name: str, content: bytes) -> Callable[[Project], str]:
    def arrange(project: Project) -> str:
        (project.inbox / name).write_bytes(content)
        return GOOD.replace("orders.csv", name)

    return arrange


RUNNING = [
    Mishap("no such file", lambda _: GOOD.replace("orders.csv", "order.csv"), "files.nothing_found", "", "orders.csv"),
    Mishap(
        "broken JSON line",
        _write_inbox("o.jsonl", b'{"id": 1, "amount": 2}\n{"id": 2, "amo\n'),
        "files.unreadable",
        "o.jsonl",
        "",
    ),
    Mishap("not gzip at all", _write_inbox("o.csv.gz", b"id,amount\n1,2\n"), "files.unreadable", "o.csv.gz", ""),
    Mishap(
        "missing column in a step",
        lambda _: GOOD.replace("amount > 0", "amont > 0"),
        "column.unknown",
        "transform[0]",
        "did you mean 'amount'?",
    ),
    Mishap(
        "missing column in a check",
        lambda _: GOOD.replace("not_null: id", "not_null: idd"),
        "column.unknown",
        "checks[0]",
        "did you mean 'id'?",
    ),
    Mishap(
        "missing cursor column",
        lambda _: GOOD.replace("load: merge", "load: merge\n      cursor: changed_at"),
        "column.unknown",
        "cursor",
        "id, amount",
    ),
    Mishap(
        "warehouse is a folder",
        lambda project: GOOD.replace("WAREHOUSE", str(project.inbox)),
        "duckdb.path",
        "path",
        "name a file",
    ),
    Mishap(
        "warehouse is something else",
        lambda project: GOOD.replace("WAREHOUSE", str(project.inbox / "orders.csv")),
        "duckdb.not_a_database",
        "path",
        "another file",
    ),
]


@pytest.mark.parametrize("mishap", RUNNING, ids=lambda mishap: mishap.name)
def test_mishap_while_running(project: Project, mishap: Mishap) -> None:
    project.write(mishap.arrange(project))
    shown = failure_of(load_folder(project.folder))
    assert shown.startswith(f"[{mishap.code}] "), shown
    assert mishap.where in shown
    assert mishap.fix in shown


@pytest.fixture
def another_process(project: Project) -> Iterator[int]:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(project.warehouse)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"open\n"
    yield child.pid
    child.communicate()


def test_a_second_process_holds_the_warehouse(project: Project, another_process: int) -> None:
    project.write(GOOD.replace("  streams:", "  retries: 0\n  streams:"))
    shown = failure_of(load_folder(project.folder))
    assert shown.startswith("[duckdb.locked] ")
    assert f"process {another_process}" in shown
    assert f"kill {another_process}" in shown


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file, so nothing is unreadable")
def test_a_file_that_may_not_be_read(project: Project) -> None:
    (project.inbox / "orders.csv").chmod(0)
    project.write(GOOD)
    assert failure_of(load_folder(project.folder)).startswith("[files.unreadable] ")


def test_one_broken_pipeline_leaves_the_others_alone(project: Project) -> None:
    project.write(GOOD)
    other = project.folder / "other" / "defs.yaml"
    other.parent.mkdir()
    other.write_text("type: dataflow_platform.Pipeline\nattributes: {name: other, sauce: inbox}\n")
    loaded = load_folder(project.folder)
    assert len(loaded.built.problems) == 1
    specs = {spec.key.to_user_string(): spec for spec in loaded.built.definitions().resolve_all_asset_specs()}
    assert "broken" in specs["broken/other"].kinds
    assert "broken" not in specs["shop/orders"].kinds
