"""Whole runs: `dataflow run` of a YAML pipeline, killed where Dagster stores checks and the IO manager returns, too.

A run is brought to its end in two ways: ``resume`` re-executes it from its failure, which keeps its loads' ids;
``again`` starts a new run, whose loads have new ones and find the cursor where the killed one left it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from dataflow_platform.core import injection
from tests.reliability import processes
from tests.reliability.outcome import Outcome, Round
from tests.reliability.warehouses import Fields, Kind, Seen

HOWS = ("resume", "again")
POINTS = ("check_reported", "record_written", "quality_written", "committed", "returning", "materialized")
"""Where runs are killed: round what Dagster stores, and round the commit."""
_KEY = dg.AssetKey(["raw", "t"])
_HEAD = "id,at,v\n"


def _rows(first: int, last: int) -> str:
    """Two rows share a day; every tenth has no ``v`` and goes to quarantine."""
    return _HEAD + "".join(
        f"{key},2026-01-{1 + key // 2:02d},{'' if key % 10 == 7 else f'row {key}'}\n" for key in range(first, last)
    )


@dataclass(frozen=True)
class Run:
    """One run to be started in a process of its own: ``kill_at`` is point:passage, ``resumes`` the id of a run."""

    home: str
    password: str
    kill_at: str = ""
    resumes: str = ""


@dataclass
class Before:
    """A project whose first file is loaded and whose second has arrived, and what an undisturbed run makes of it."""

    home: Path
    fields: Fields
    seen: Seen
    after: Seen
    passages: dict[str, int]


class Projects:
    """Projects by destination, made as they are asked for, in ``folder``."""

    def __init__(self, kinds: Mapping[str, Kind], folder: Path) -> None:
        self._kinds, self._folder = kinds, folder
        self._before: dict[str, Before] = {}

    def before(self, destination: str) -> Before:
        """The project every round of the destination starts from."""
        if destination not in self._before:
            self._before[destination] = self._prepared(self._kinds[destination])
        return self._before[destination]

    def _prepared(self, kind: Kind) -> Before:
        home, fields = Path(tempfile.mkdtemp(dir=self._folder)), kind.new()
        (home / "inbox").mkdir()
        (home / "inbox" / "a.csv").write_text(_rows(0, 20))
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
        _define(home, fields)
        _finished(start(Run(str(home), fields.get("password", ""))))
        # The last day of the first file comes again, with one more row.
        (home / "inbox" / "b.csv").write_text(_rows(18, 40))
        before = Before(home, fields, kind.seen(fields), {}, {})
        with self._copied(kind, before) as (copy, copied):
            _, said = start(Run(str(copy), fields.get("password", "")))
            _finished((False, said))
            before.after, before.passages = kind.seen(copied), said["passages"]
        return before

    @contextmanager
    def _copied(self, kind: Kind, before: Before) -> Iterator[tuple[Path, Fields]]:
        fields, home = kind.copy(before.fields), Path(tempfile.mkdtemp(dir=self._folder))
        try:
            shutil.copytree(before.home, home, dirs_exist_ok=True)
            _define(home, fields)
            yield home, fields
        finally:
            kind.drop(fields)
            shutil.rmtree(home)

    def play(self, round_: Round) -> Outcome:
        """Kill the run at the round's point, bring it to its end, compare."""
        kind, before = self._kinds[round_.destination], self.before(round_.destination)
        fault, outcome = round_.fault, Outcome()
        with ExitStack() as stack:
            home, fields = stack.enter_context(self._copied(kind, before))
            password = fields.get("password", "")
            killed, said = start(Run(str(home), password, f"{fault['point']}:{fault['passage']}"))
            outcome.struck = "killed" if killed else "" if said.get("success") else "failed"
            outcome.stuck += kind.stuck(fields)
            if outcome.stuck:
                return outcome
            now = _without_ids(kind.seen(fields))
            if now not in (_without_ids(before.seen), _without_ids(before.after)):
                outcome.differs.append("between kill and rerun it is neither as before nor as after")
            outcome.staging_left = bool(kind.stale(fields))
            resumes = said.get("run_id") or _latest_run(home) if fault["how"] == "resume" else ""
            ended = start(Run(str(home), password, resumes=resumes))
            if not ended[1].get("success"):
                outcome.differs.append(f"the rerun failed: {ended}")
                return outcome
            outcome.stuck += kind.stuck(fields)
            outcome.stale += kind.stale(fields)
            outcome.differs += self._differences(kind.seen(fields), before, fault["how"])
            outcome.differs += _untold(home, ended[1]["run_id"])
        return outcome

    def _differences(self, seen: Seen, before: Before, how: str) -> list[str]:
        found, wanted = _without_ids(seen), _without_ids(before.after)
        if how == "again" and len(found["loads"]) == len(wanted["loads"]) + 1:
            # The killed run had committed: the new one has a record of its own, of no row at all.
            extra = [row for row in seen["loads"] if row[7] == row[6] == 0]
            found["loads"] = found["loads"] if len(extra) != 1 else wanted["loads"]
        return [f"{name} differ" for name in wanted if found[name] != wanted[name]]


def start(run: Run) -> tuple[bool, dict[str, Any]]:
    """Run it; whether it was killed, else ``success``, ``run_id`` and the ``passages`` of each point."""
    return processes.fork(_run, run)


def _run(run: Run, parent: Connection) -> None:
    os.environ |= {"DATAFLOW_HOME": run.home, "DATAFLOW_DEFS": "defs", "DAGSTER_HOME": run.home}
    os.environ["TORTURE_PASSWORD"] = run.password
    os.chdir(run.home)
    log = os.open("run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    from dataflow_platform.cli.run import execute, find

    counted: dict[str, int] = {}
    injection.arm(injection.kill_at(run.kill_at) if run.kill_at else counted.__setitem__)
    parent.send("it begins")
    if run.resumes:
        job, keys = find("raw")
        tags = {"dagster/is_resume_retry": "true", "dagster/root_run_id": run.resumes}
        with dg.DagsterInstance.get() as instance:
            done = job.execute_in_process(instance=instance, asset_selection=keys, tags=tags, raise_on_error=False)
        said = {"success": done.success, "run_id": done.run_id}
    else:
        said = {"success": execute("raw", None, verbose=False), "run_id": _latest_run(Path(run.home))}
    parent.send({**said, "passages": counted})
    parent.close()


def _define(home: Path, fields: Fields) -> None:
    given = {**fields, "password": "{{ env.TORTURE_PASSWORD }}"} if "password" in fields else fields
    connections = {"warehouse": given, "inbox": {"type": "files", "root": str(home / "inbox")}}
    stream = {
        "name": "t",
        "from": {"path": "*.csv", "columns": {"id": "INTEGER", "at": "DATE", "v": "VARCHAR"}},
        "cursor": "at",
        "load": "append",
        "checks": [{"not_null": {"columns": "v", "severity": "warn"}}, {"in_range": {"column": "id", "min": 0}}],
    }
    pipeline = {"name": "raw", "source": "inbox", "streams": [stream]}
    folder = home / "defs" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(
        yaml.safe_dump_all(
            [
                {"type": "dataflow_platform.Connections", "attributes": {"connections": connections}},
                {"type": "dataflow_platform.Pipeline", "attributes": pipeline},
            ]
        )
    )


def _finished(ended: tuple[bool, dict[str, Any]]) -> None:
    assert not ended[0], ended
    assert ended[1]["success"], ended


@contextmanager
def _instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _latest_run(home: Path) -> str:
    with _instance(home) as instance:
        return instance.get_runs(limit=1)[0].run_id


def _untold(home: Path, run_id: str) -> list[str]:
    """What Dagster does not know of the run that ended well."""
    with _instance(home) as instance:
        event = instance.get_latest_materialization_event(_KEY)
        missing = [] if event and event.run_id == run_id else ["Dagster has no materialization of the last run"]
        kinds = {dg.DagsterEventType.ASSET_CHECK_EVALUATION}
        checks = {
            record.event_log_entry.dagster_event.asset_check_evaluation_data.check_name
            for record in instance.get_records_for_run(run_id, of_type=kinds).records
        }
        wanted = {"not_null_v", "in_range_id"}
        return missing + ([] if checks == wanted else [f"Dagster knows the checks {checks} of the last run"])


def _without_ids(seen: Seen) -> Seen:
    """Run and load ids differ from run to run; the first column of loads and quarantine and the last of state."""
    return {
        **seen,
        "state": [row[:-1] for row in seen["state"]],
        "loads": sorted((row[1:] for row in seen["loads"]), key=repr),
        "quarantine": sorted((row[1:] for row in seen["quarantine"]), key=repr),
    }
