"""A project that masks, run as a person runs it: what Dagster, the logs and the screen show of it."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb

from tests.fixtures import masked_loads, planted
from tests.fixtures.yaml_project import INBOX, Write

KEY = "a key for this project alone"
STREAM = """\
    - name: {name}
      from: {{path: {file}}}
      transform:
        - filter: email <> 'nobody'
        - cast: {{amount: {{type: "decimal(6,1)", misfit: {misfit}}}}}
        - mask:
            key: "{{{{ env.MASK_KEY }}}}"
            columns: {{email: hash, name: {{fake: name}}, iban: partial, phone: tokenise}}
      checks:
        - not_null: {{columns: [city], severity: warn}}
        - unique: {{columns: [email, phone]}}
"""
DECLARED = (
    INBOX
    + "type: dataflow_platform.Pipeline\nattributes:\n  name: shop\n  source: inbox\n  retries: 0\n  streams:\n"
    + STREAM.format(name="good", file="rows.csv", misfit="quarantine")
    + STREAM.format(name="strict", file="rows.csv", misfit="fail")
    + STREAM.format(name="broken", file="broken.jsonl", misfit="quarantine")
)


def dataflow(home: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    program = "from dataflow_platform.cli.main import main; main()"
    environment = {**os.environ, "DAGSTER_HOME": str(home / "dagster"), "MASK_KEY": KEY, "TMPDIR": str(home / "tmp")}
    for name in ("dagster", "tmp"):
        (home / name).mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, env=environment, check=False,
        input=given,
    )  # fmt: skip


def test_no_planted_value_is_in_the_project_its_history_or_on_the_screen(yaml_project: Write) -> None:
    home = yaml_project(DECLARED)
    inbox = home / "inbox"
    inbox.mkdir()
    masked_loads.csv_rows(inbox)
    masked_loads.json_rows(inbox)
    (inbox / "rows.jsonl").rename(inbox / "broken.jsonl")
    with (inbox / "broken.jsonl").open("a") as file:
        file.write('{"id": 250, "email": "qzplant\n')
    ran = dataflow(home, "run", "shop", "--verbose")
    assert ran.returncode == 1
    assert planted.planted_in((ran.stdout + ran.stderr).encode()) == []
    assert "its words are left out" in ran.stdout + ran.stderr
    looked = dataflow(home, "quarantine", "show", "shop", "good")
    assert '"amount"' in looked.stdout
    planned = dataflow(home, "plan", "shop")
    assert planted.planted_in((looked.stdout + looked.stderr + planned.stdout + planned.stderr).encode()) == []
    assert planted.search(home, leave_out=(inbox,)) == {}
    # Nor is the key, which only this process and its children know.
    files = [file for file in home.rglob("*") if file.is_file()]
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
    assert KEY not in ran.stdout + ran.stderr + planned.stdout
    with duckdb.connect(str(home / "w.duckdb"), read_only=True) as warehouse:
        (token,) = warehouse.execute("SELECT phone FROM shop.good WHERE id = 1").fetchall()[0]
    back = dataflow(home, "unmask", "--key", "MASK_KEY", given=f"{token}\n")
    assert back.stdout == f"{planted.rows()[1]['phone']}\n"
    other = dataflow(home, "unmask", "--key", "MASK_KEY", token[:-2] + "xx")
    assert (other.returncode, other.stdout) == (2, "")
    assert "no token made with this key" in other.stderr


def test_a_key_in_clear_text_is_refused_and_not_shown(yaml_project: Write) -> None:
    home = yaml_project(DECLARED.replace('"{{ env.MASK_KEY }}"', KEY))
    (home / "inbox").mkdir()
    said = dataflow(home, "check")
    assert "[secret.literal] 'key' holds a secret in clear text" in said.stdout + said.stderr
    assert KEY not in said.stdout + said.stderr
