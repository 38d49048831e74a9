"""`make torture N=1000 [SEED=...]`: break that many loads, write docs/reliability.md; exit 1 at any difference."""

import argparse
import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from tests.reliability import arena, report, small_disk
from tests.reliability.outcome import Outcome, Round
from tests.reliability.plan import Plan

ROOT = Path(__file__).parent.parent.parent


def main() -> int:
    """Run the rounds that were not run yet under this seed, destination by destination, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="how many rounds, shared by the destinations")
    parser.add_argument("--seed", type=int, default=1, help="what the rounds are drawn from")
    parser.add_argument("--round", type=int, help="run this round of one destination alone, write no page")
    parser.add_argument("--destinations", nargs="+", default=arena.DESTINATIONS, choices=arena.DESTINATIONS)
    parser.add_argument("--page", action="store_true", help="run nothing, write the page from the rounds kept so far")
    options = parser.parse_args()
    # Server and folders are ours to clean up, whoever ends the campaign.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    share = -(-options.rounds // len(options.destinations))
    rounds: list[dict[str, Any]] = []
    with arena.opened() as opened:
        for destination in options.destinations:
            if options.page:
                rounds += _kept(options.seed, destination)
                continue
            plan = Plan(opened, options.seed, destination)
            if options.round is not None:
                told = _play(opened, plan, options.round)
                print(json.dumps(told, indent=2))
                return bool(told["outcome"]["wrong"])
            rounds += _run(opened, plan, share)
        server = opened.versions()["postgres"]
    skipped = [] if small_disk.mountable() else ["A full disk: this user may not mount a tmpfs."]
    if tuple(options.destinations) == arena.DESTINATIONS:
        campaign = report.Campaign(rounds, options.seed, options.destinations, server, skipped)
        report.write(ROOT / "docs" / "reliability.md", campaign)
    return int(any(each["outcome"]["wrong"] for each in rounds))


def _run(opened: arena.Arena, plan: Plan, wanted: int) -> list[dict[str, Any]]:
    done = len(_kept(plan.seed, plan.destination))
    if done:
        print(f"{plan.destination}: {done} rounds of seed {plan.seed} were run before")
    begun, wrong = time.monotonic(), 0
    with _file(plan.seed, plan.destination).open("a") as file:
        for number in range(done, wanted):
            told = _play(opened, plan, number)
            file.write(json.dumps(told) + "\n")
            file.flush()
            if told["outcome"]["wrong"]:
                wrong += 1
                again = f"--seed {plan.seed} --destinations {plan.destination} --round {number}"
                print(f"DIFFERENCE: python -m tests.reliability {again}\n{json.dumps(told)}")
            if (number + 1) % 25 == 0 or number + 1 == wanted:
                pace = (time.monotonic() - begun) / (number + 1 - done)
                print(
                    f"{plan.destination}: {number + 1} of {wanted} rounds, {wrong} differ, {pace:.2f} s each",
                    flush=True,
                )
    return _kept(plan.seed, plan.destination)[:wanted]


def _file(seed: int, destination: str) -> Path:
    path = ROOT / ".dataflow" / "torture" / f"{seed}-{destination}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def _kept(seed: int, destination: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _file(seed, destination).read_text().splitlines()]


@cache
def _commit() -> str:
    """The commit that is tried; a campaign that went on after a change has rounds of several."""
    known = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return known.stdout.strip() or "unknown"


def _play(opened: arena.Arena, plan: Plan, number: int) -> dict[str, Any]:
    round_: Round = plan.round(number)
    begun = time.monotonic()
    outcome: Outcome = opened.play(round_)
    wrong = bool(outcome.differs or outcome.lost or outcome.duplicated or outcome.stuck or outcome.stale)
    seconds = round(time.monotonic() - begun, 2)
    return {
        "round": number,
        "commit": _commit(),
        **asdict(round_),
        "outcome": {**asdict(outcome), "wrong": wrong},
        "seconds": seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
