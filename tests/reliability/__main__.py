"""`make torture N=1000 [SEED=...]`: break that many loads, write docs/reliability.md; exit 1 at any difference."""

import argparse
import json
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.reliability import arena, report, small_disk
from tests.reliability.plan import Plan
from tests.reliability.rounds import Outcome, Round

ROOT = Path(__file__).parent.parent.parent


def main() -> int:
    """Run the rounds that were not run yet under this seed, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="how many rounds the campaign has")
    parser.add_argument("--seed", type=int, default=1, help="what the rounds are drawn from")
    parser.add_argument("--round", type=int, help="run this round alone, write no page")
    parser.add_argument("--destinations", nargs="+", default=arena.DESTINATIONS, choices=arena.DESTINATIONS)
    options = parser.parse_args()
    kept = ROOT / ".dataflow" / "torture" / f"{'-'.join(options.destinations)}-{options.seed}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with arena.opened() as opened:
        plan = Plan(opened, options.seed, options.destinations)
        if options.round is not None:
            told = _play(opened, plan, options.round)
            print(json.dumps(told, indent=2))
            return bool(told["outcome"]["wrong"])
        _run(opened, plan, options.rounds, kept, options.seed)
        server = opened.versions()["postgres"]
    rounds = [json.loads(line) for line in kept.read_text().splitlines()][: options.rounds]
    skipped = [] if small_disk.mountable() else ["A full disk: this user may not mount a tmpfs."]
    report.write(
        ROOT / "docs" / "reliability.md",
        report.Campaign(rounds, options.seed, options.destinations, server, skipped),
    )
    return int(any(each["outcome"]["wrong"] for each in rounds))


def _run(opened: arena.Arena, plan: Plan, wanted: int, kept: Path, seed: int) -> None:
    done = len(kept.read_text().splitlines()) if kept.exists() else 0
    if done:
        print(f"{done} rounds of seed {seed} were run before: going on from there ({kept} holds them)")
    begun, wrong = time.monotonic(), 0
    with kept.open("a") as file, suppress(KeyboardInterrupt):
        for number in range(done, wanted):
            told = _play(opened, plan, number)
            file.write(json.dumps(told) + "\n")
            file.flush()
            if told["outcome"]["wrong"]:
                wrong += 1
                print(f"DIFFERENCE: python -m tests.reliability --seed {seed} --round {number}\n{json.dumps(told)}")
            if (number + 1) % 25 == 0 or number + 1 == wanted:
                pace = (time.monotonic() - begun) / (number + 1 - done)
                print(f"{number + 1} of {wanted} rounds, {wrong} differ, {pace:.2f} s a round", flush=True)


def _play(opened: arena.Arena, plan: Plan, number: int) -> dict[str, Any]:
    round_: Round = plan.round(number)
    begun = time.monotonic()
    outcome: Outcome = opened.play(round_)
    wrong = bool(outcome.differs or outcome.lost or outcome.duplicated or outcome.stuck or outcome.stale)
    seconds = round(time.monotonic() - begun, 2)
    return {"round": number, **asdict(round_), "outcome": {**asdict(outcome), "wrong": wrong}, "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
