"""One round: a load is broken, looked at, run again under the same id, and compared with one nobody disturbed."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.reliability import processes, small_disk
from tests.reliability.outcome import Outcome, Round
from tests.reliability.pipelines import Projects
from tests.reliability.processes import End, Job
from tests.reliability.proxy import Proxy
from tests.reliability.warehouses import Fields, Kind, Seen
from tests.reliability.workload import KEYED, LOADS


@dataclass
class Golden:
    """The warehouse before each load and after the last, made by loads nobody disturbed."""

    at: list[Fields]
    seen: list[Seen]
    ends: list[End]
    bytes: list[int]
    commits: list[int]


class Arena:
    """Kinds of destinations by name, and the golden runs made so far."""

    def __init__(self, kinds: Mapping[str, Kind], folder: Path) -> None:
        self.kinds = kinds
        self.projects = Projects(kinds, folder)
        self._golden: dict[tuple[str, str], Golden] = {}
        self._twice: dict[tuple[str, str, int, int], Seen] = {}

    def golden(self, destination: str, strategy: str) -> Golden:
        """The golden run of a strategy; each load of it was run and counted once."""
        key = (destination, strategy)
        if key not in self._golden:
            self._golden[key] = self._undisturbed(self.kinds[destination], strategy)
        return self._golden[key]

    def versions(self) -> dict[str, str]:
        """What stands behind each kind, as it says of itself."""
        return {name: kind.version() for name, kind in self.kinds.items()}

    def _undisturbed(self, kind: Kind, strategy: str) -> Golden:
        golden = Golden([kind.new()], [], [], [], [])
        golden.seen.append(kind.seen(golden.at[0]))
        for number in range(LOADS):
            fields = kind.copy(golden.at[-1])
            with ExitStack() as stack:
                proxy = _proxied(stack, fields) if "port" in fields else None
                through = {**fields, "port": proxy.port} if proxy else fields
                end = processes.run(Job(through, strategy, number, count=True))
            assert not end.failed, (kind.name, strategy, number, end)
            golden.at.append(fields)
            golden.seen.append(kind.seen(fields))
            golden.ends.append(end)
            golden.bytes.append(proxy.bytes if proxy else 0)
            golden.commits.append(proxy.commits if proxy else 0)
            assert kind.stuck(fields) == []
            assert kind.stale(fields) == []
        return golden

    def twice(self, round_: Round) -> Seen:
        """What load ``round_.load`` leaves where a page came twice and nobody disturbed it."""
        page = round_.fault["page"]
        key = (round_.destination, round_.strategy, round_.load, page)
        if key not in self._twice:
            kind = self.kinds[round_.destination]
            fields = kind.copy(self.golden(*key[:2]).at[round_.load])
            end = processes.run(Job(fields, round_.strategy, round_.load, repeats=page))
            assert not end.failed, (key, end)
            self._twice[key] = kind.seen(fields)
            kind.drop(fields)
        return self._twice[key]

    def play(self, round_: Round) -> Outcome:
        """Run one round."""
        if round_.fault["kind"] == "pipeline":
            return self.projects.play(round_)
        kind, golden = self.kinds[round_.destination], self.golden(round_.destination, round_.strategy)
        before, after = golden.seen[round_.load], golden.seen[round_.load + 1]
        outcome = Outcome()
        repeats = round_.fault.get("page")
        if repeats is not None:
            after = self.twice(round_)
            outcome.differs += _keyed_differs(round_, golden.seen[round_.load + 1], after)
        with ExitStack() as stack:
            fields, end = self._break(stack, kind, golden, round_, repeats)
            outcome.struck = "killed" if end.killed else "failed" if end.failed else ""
            outcome.error = end.error or end.crash.strip().rpartition("\n")[2]
            outcome.differs += _wrong_error(round_, end)
            if self._looked_at(kind, fields, (before, after), outcome):
                return outcome
            if "second" in round_.fault:
                second = {"kind": "kill", **round_.fault["second"]}
                # Where the first kill came after the commit, the rerun has nothing to do and may not get that far.
                outcome.struck_again = processes.run(Job(fields, round_.strategy, round_.load, second)).killed
                if self._looked_at(kind, fields, (before, after), outcome):
                    return outcome
            resumed = processes.run(Job(fields, round_.strategy, round_.load, repeats=repeats))
            if resumed.failed:
                outcome.differs.append(f"the rerun failed: {resumed.error or resumed.crash}")
                return outcome
            last = round_.load
            while round_.further and last + 1 < LOADS:
                last += 1
                processes.run(Job(fields, round_.strategy, last))
            expected = after if last == round_.load else golden.seen[last + 1]
            self._compare(kind, fields, golden.at[last + 1], expected, outcome)
        return outcome

    def _looked_at(self, kind: Kind, fields: Fields, either: tuple[Seen, Seen], outcome: Outcome) -> bool:
        """Look at what a broken load left; True where it is stuck."""
        outcome.stuck += kind.stuck(fields)
        if not outcome.stuck:
            outcome.differs += _torn(kind, kind.seen(fields), *either)
            outcome.staging_left |= bool(kind.stale(fields))
        return bool(outcome.stuck)

    def _break(
        self, stack: ExitStack, kind: Kind, golden: Golden, round_: Round, repeats: int | None
    ) -> tuple[Fields, End]:
        fault, origin = round_.fault, golden.at[round_.load]
        relieve = None
        if fault["kind"] == "disk_full":
            fields, relieve = stack.enter_context(small_disk.cramped(kind, origin, fault["bytes"]))
        else:
            fields = kind.copy(origin)
            stack.callback(kind.drop, fields)
        through = fields
        if fault["kind"] in ("cut", "lost_commit"):
            given = {name: value for name, value in fault.items() if name != "kind"}
            through = {**fields, "port": _proxied(stack, fields, **given).port}
        kill = fault["seconds"] if fault["kind"] == "kill_any" else None
        end = processes.run(
            Job(through, round_.strategy, round_.load, fault, repeats, round_.again and not relieve, kill)
        )
        if relieve:
            relieve()
        return fields, end

    def _compare(self, kind: Kind, fields: Fields, model: Fields, expected: Seen, outcome: Outcome) -> None:
        outcome.stuck += kind.stuck(fields)
        outcome.stale += kind.stale(fields)
        seen = kind.seen(fields)
        outcome.differs += [f"{name} differ" for name in expected if seen[name] != expected[name]]
        if seen["rows"] != expected["rows"]:
            have, want = Counter(kind.rows(fields)), Counter(kind.rows(model))
            outcome.lost, outcome.duplicated = (want - have).total(), (have - want).total()


def _proxied(stack: ExitStack, fields: Fields, **given: Any) -> Proxy:
    proxy = Proxy(fields["port"], **given)
    stack.callback(proxy.close)
    return proxy


def _keyed_differs(round_: Round, plain: Seen, twice: Seen) -> list[str]:
    if round_.strategy not in KEYED:
        return []
    names = ("rows", "columns", "state")
    return [f"a page that came twice changed the {name}" for name in names if plain[name] != twice[name]]


def _wrong_error(round_: Round, end: End) -> list[str]:
    if end.crash:
        return [f"an error nobody explained: {end.crash}"]
    broken = round_.fault["kind"] in ("terminate", "cut", "lost_commit")
    if broken and end.error and not end.transient:
        return [f"a broken connection is no reason to give up: {end.error} is not retried"]
    return []


def _torn(kind: Kind, now: Seen, before: Seen, after: Seen) -> list[str]:
    """Invariant 1: what counts is of the load before or of this one, never of both."""
    mine = {name: now[name] for name in kind.at_once_visible}
    if any(mine == {name: seen[name] for name in mine} for seen in (before, after)):
        return []
    return [
        f"between fault and rerun the {name} are neither those before nor those after"
        for name in mine
        if now[name] not in (before[name], after[name])
    ] or ["between fault and rerun some are those before and some those after"]
