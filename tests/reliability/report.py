"""docs/reliability.md: what a campaign did and what it found, counted."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg2

from dataflow_platform.core.injection import POINTS
from tests.reliability.faults import KINDS
from tests.reliability.workload import STRATEGIES

Told = dict[str, Any]
"""A round and its outcome, as the campaign keeps them."""
_FOUND = ("as undisturbed", "lost", "duplicated", "stuck", "stale")


@dataclass(frozen=True)
class Campaign:
    """All rounds of one seed. ``skipped`` says what this machine could not do."""

    rounds: Sequence[Told]
    seed: int
    destinations: Sequence[str]
    server: str
    skipped: Sequence[str] = ()


def write(page: Path, campaign: Campaign) -> None:
    """Write the page."""
    rounds, destinations = campaign.rounds, campaign.destinations
    parts = [
        _summary(campaign),
        _method(rounds),
        "## By fault",
        _faults(rounds, destinations),
        "## By point",
        "Kills at or shortly after a named point (`kill`, `kill_after`, `kill_twice` with its first, `clock`, "
        "`page_twice`, `pipeline`).",
        _points(rounds, destinations),
        "## By strategy",
        _strategies(rounds, destinations),
        "## Errors the other faults ended in",
        _errors(rounds),
        _MENDED,
        _AGAIN,
        "## Not covered",
        _limits(campaign),
    ]
    page.write_text("\n\n".join(parts) + "\n")


def _summary(campaign: Campaign) -> str:
    rounds, wrong = campaign.rounds, [each for each in campaign.rounds if each["outcome"]["wrong"]]
    totals = []
    for name in (*campaign.destinations, "all"):
        these = _those(rounds, lambda each, n=name: n in ("all", each["destination"]))
        totals.append([name, len(these), *(_struck(these, how) for how in ("killed", "failed", "")), *_findings(these)])
    differences = "\n".join(f"- round {each['round']}: {each['outcome']['differs']}" for each in wrong)
    return f"""# Reliability: loads that were broken on purpose

Written by `make torture` (seed {campaign.seed}) on {datetime.now(UTC):%Y-%m-%d}.
Each round breaks one load, runs it again under the same load id, and compares what it leaves with loads nobody
disturbed.

{_table(("destination", "rounds", "killed", "failed", "no effect", *_FOUND), totals)}

In {sum(each["outcome"].get("struck_again", False) for each in rounds)} rounds the rerun was killed as well.

Differences: {differences or "none."}

Ran on {os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}:
{_versions(campaign)}."""


def _method(rounds: Sequence[Told]) -> str:
    count = Counter(each["destination"] for each in rounds if each["outcome"]["staging_left"])
    left = ", ".join(f"{number:,} on {name}" for name, number in count.items()) or "none"
    return f"""## What a round does
1. A copy is made of a warehouse in which the loads before stand (none, one or two).
2. The load runs in a process of its own, through the engine's whole line, and the fault hits it. A batch has 6,600
   rows in 6 pages; each load overlaps the one before, has repeated keys, bad rows and rows a step drops; the second
   brings a column, the third a wider type.
3. Before the rerun the target, quarantine, state and load records are read: all those of before or all those of after,
   never a mixture. Something of the staging may stand there meanwhile. It did in some rounds: {left}. (DuckDB
   commits the table `<target>__dataflow_stage_<12 digits>` ahead, and the next session drops it.)
4. The load runs again under its id, in a fresh process (half of the loads that failed without dying also try once
   more in their own process first); in a quarter of the rounds the loads that follow run too.
5. Compared: number and md5 of the sorted rows, columns and types, state, load records, quarantine, list of tables
   (all without clocks). Looked for: open sessions, advisory locks, prepared transactions, a file that does not open at
   once; staging and temporary tables, `.wal` files, spill folders.

Rounds of `pipeline` run a small YAML pipeline by `dataflow run` instead, and also ask Dagster for the materialization
and the check results of the last run; one that starts again instead of resuming has load ids of its own: ids are left
out there.

"Failed": the load ended with an error. "No effect": it had ended before the fault came, or the room was enough.
`lost` and `duplicated` count rows, the other columns rounds."""


_MENDED = """## What campaigns found, mended since
No round of any campaign lost a row, loaded one twice or left a load half visible. Found and mended, with a test each:
- DuckDB: a failed query ended the transaction, and switching profiling off then hid its error behind "current
  transaction is aborted". Values that do not convert and an engine out of memory were told that way.
- DuckDB: a full disk, a file limit or too little memory at open, publish or COMMIT came in the engine's raw words.
- DuckDB: what a killed load had spilled lay beside the file until another load spilled.
- PostgreSQL: a full disk of the server was told as one of the engine's machine.
- DuckDB: a session that failed while it opened kept the file and its settings, so a retry in the same process met them
  again (round 557, commit 4ec99aa).
- PostgreSQL: a connection cut under DuckDB's scanner was told as `postgres.failed`, which is not retried (rounds 48,
  142, 181, 199, 212, 240, commit e07ccb7).
- PostgreSQL: a connection lost while the engine itself read a table of the server came in the engine's raw words
  (seed 20261121, rounds 227 and 268, commit 56dbf54).

These rounds were run again after the mend, and the repetition is what the tables count."""

_AGAIN = """## Run it again
- `make torture N=1000 SEED=1`: the same rounds; Ctrl-C ends it, the same command goes on where it stopped. It exits
  with 1 at any difference and prints the line that repeats the round:
  `python -m tests.reliability --seed 1 --destinations duckdb --round 17`.
- `DATAFLOW_KILL_AT=statement:2` kills any process of the platform at the second passage of that point.
- `make test` runs a sample: `tests/reliability/`.

A round is drawn from seed, destination and number alone. What depends on the machine's pace (`kill_any`, `kill_after`,
where a connection is cut, how many blocks a COPY has) hits another instruction the next time.

## What a repeated page means
A source that sends a page twice sends those rows twice. `merge`, `delta`, `scd1`, `scd2` and `scd3` end with the same
rows and state as without it. `append`, `replace` and `partition` keep both: no key tells them that the second is not
meant (add the step `deduplicate`). The fingerprints at the cursor recognise rows of earlier loads, not of the same
one."""


def _limits(campaign: Campaign) -> str:
    lines = [
        *campaign.skipped,
        "Loss of power: SIGKILL leaves the operating system's cache; PostgreSQL runs with `fsync=off` here.",
        "A crash of the PostgreSQL server itself, of its host, or a failover to a standby.",
        "Damage of files, and file systems other than this machine's and tmpfs; network file systems.",
        "Faults in the source other than a repeated page: the connectors' own tests break theirs.",
        "DuckDB's own now() under a moved clock (it dates quarantined rows, which no load compares), and a moved clock "
        "without a cursor: `tests/load_strategies/test_scd2.py` has the clock set back there.",
        "Two faults in one load other than a kill in the load and another in its rerun, and a second load of the "
        "stream while the first is broken (`tests/reliability/test_two_processes.py` has two that overlap).",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _struck(rounds: Iterable[Told], how: str) -> int:
    return sum(each["outcome"]["struck"] == how for each in rounds)


def _versions(campaign: Campaign) -> str:
    commits = ", ".join(dict.fromkeys(each["commit"] for each in campaign.rounds))
    return (
        f"commit {commits}, Python {platform.python_version()}, "
        f"DuckDB {duckdb.__version__}, PostgreSQL {campaign.server}, psycopg2 {psycopg2.__version__.split()[0]}"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _findings(rounds: Sequence[Told]) -> list[int]:
    """The numbers under ``_FOUND``."""
    outcomes = [each["outcome"] for each in rounds]
    return [
        sum(not outcome["wrong"] for outcome in outcomes),
        sum(outcome["lost"] for outcome in outcomes),
        sum(outcome["duplicated"] for outcome in outcomes),
        sum(bool(outcome["stuck"]) for outcome in outcomes),
        sum(bool(outcome["stale"]) for outcome in outcomes),
    ]


def _faults(rounds: Sequence[Told], destinations: Sequence[str]) -> str:
    rows = []
    for kind, meaning in KINDS.items():
        for destination in destinations:
            these = _those(rounds, lambda each, k=kind, d=destination: _is(each, k, d))
            if these:
                struck = [_struck(these, how) for how in ("killed", "failed", "")]
                rows.append([f"`{kind}`: {meaning}", destination, len(these), *struck, *_findings(these)])
    return _table(("fault", "destination", "rounds", "killed", "failed", "no effect", *_FOUND), rows)


def _is(each: Told, kind: str, destination: str) -> bool:
    return each["fault"]["kind"] == kind and each["destination"] == destination


def _points(rounds: Sequence[Told], destinations: Sequence[str]) -> str:
    rows = []
    for point, meaning in POINTS.items():
        for destination in destinations:
            these = _those(rounds, lambda each, p=point, d=destination: (_point(each), each["destination"]) == (p, d))
            if these:
                rows.append([f"`{point}`", meaning, destination, _struck(these, "killed"), *_findings(these)])
    return _table(("point", "what has just happened", "destination", "kills", *_FOUND), rows)


def _point(each: Told) -> str:
    return str(each["fault"].get("point", "")) if each["fault"]["kind"] != "terminate" else ""


def _hit(each: Told) -> str:
    """Where a round is counted: the point it was killed at, or the fault it failed by."""
    struck = each["outcome"]["struck"]
    if struck == "killed":
        return _point(each) or "killed at any moment"
    return f"failed by {each['fault']['kind']}" if struck else ""


def _those(rounds: Sequence[Told], wanted: Callable[[Told], bool]) -> list[Told]:
    return [each for each in rounds if wanted(each)]


def _strategies(rounds: Sequence[Told], destinations: Sequence[str]) -> str:
    hits = Counter((_hit(each), each["destination"], each["strategy"]) for each in rounds)
    rows = []
    for point in [*POINTS, "killed at any moment", *(f"failed by {kind}" for kind in KINDS)]:
        for destination in destinations:
            counts = [hits[point, destination, strategy] for strategy in STRATEGIES]
            if any(counts):
                rows.append([f"`{point}`" if point in POINTS else point, destination, *counts, sum(counts)])
    return _table(("killed at", "destination", *STRATEGIES, "all"), rows)


def _errors(rounds: Sequence[Told]) -> str:
    told = Counter((each["fault"]["kind"], each["destination"], each["outcome"]["error"]) for each in rounds)
    rows = [[*(f"`{part}`" for part in key), count] for key, count in sorted(told.items()) if key[2]]
    return _table(("fault", "destination", "error the load ended with", "rounds"), rows)
