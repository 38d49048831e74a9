"""`dataflow target`: the rows of every message file of singer-sdk's standard suite, and the suite itself."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dataflow_platform.cli.singer_target.config import TargetConfig, read
from dataflow_platform.cli.singer_target.landing import land
from dataflow_platform.core.errors import ConfigError, DataError
from dataflow_platform.demo.postgres import PostgresServer
from tests.bridges.conftest import FOLDER, program

ROOT = Path(__file__).parent.parent.parent
IDS = {"type": "object", "properties": {"id": {"type": "integer"}, "v": {"type": ["null", "string"]}}}


def suite_packages() -> Path:
    """Where singer-sdk is installed."""
    program("singer-sdk", "python")
    (found,) = FOLDER.glob("singer-sdk/lib/python*/site-packages")
    return found


def config(folder: Path, **fields: Any) -> TargetConfig:
    return TargetConfig(destination={"type": "duckdb", "path": str(folder / "w.duckdb")}, **fields)


def run(folder: Path, messages: Iterable[dict[str, Any] | bytes], **fields: Any) -> list[Any]:
    """Load messages; the states echoed."""
    echoed: list[Any] = []
    lines = (each if isinstance(each, bytes) else json.dumps(each).encode() for each in messages)
    land(config(folder, **fields), lines, lambda text: echoed.append(json.loads(text)))
    return echoed


def ask(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def table(folder: Path, name: str) -> list[tuple[Any, ...]]:
    return ask(folder, f'FROM raw."{name}" ORDER BY ALL')


def schema(stream: str, key: list[str], declared: dict[str, Any] = IDS) -> dict[str, Any]:
    return {"type": "SCHEMA", "stream": stream, "schema": declared, "key_properties": key}


def record(stream: str, **values: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": values}


# What each file of the suite says, read by eye from it: table -> its rows.
FRUITS = [
    (1, '["apple","orange","pear"]'),
    (2, '["banana","apple"]'),
    (3, '["pear"]'),
    (4, '["orange","banana","apple","pear"]'),
]
STRINGS = [
    "simple string 2837", "απλή συμβολοσειρά", "简单的字串", "chaîne simple", 'quoted "string"',
    'various " \\ / \n escape sequences', "m", "ā", "ƙ", "Double quoting: \\u0000 \\u0041 \\u0001",
    "Control Characters in string: \0 A \1",
]  # fmt: skip
UPDATES = [
    (1, 101.0, "string1", None, None, None, None),
    (2, 102.0, "string2", True, None, None, None),
    (3, 103.0, "string3", False, '{"id":1,"value":1}', '["banana","apple"]', None),
    (4, 104.0, "string4", True, '{"id":2,"value":22}', '["orange","pear"]', None),
    (5, 105.0, "string5", False, '{"id":3,"value":33}', '["apple"]', 985),
    (6, 106.0, "string6", True, '{"id":4,"value":444}', '["banana","orange"]', 341),
]
SPECIAL = '{"env":"prod","agent:type":"desktop","agent:os:version":"10.13.1"}'
VISITS = [
    (1, 1, 1, '{"weather":"rainy","mood":"sad"}'),
    (2, 1, 2, '{"weather":"sunny","mood":"satisfied"}'),
    (3, 1, 3, '{"weather":"sunny","mood":"happy"}'),
]
USERS = {
    "test_users": [(1, "Yannis"), (2, "Micael"), (3, "Jacob"), (4, "Josh"), (5, "Thomas")],
    "test_locations": [(1, "Philadelphia"), (2, "NY"), (3, "SF")],
    "test_user_in_location": VISITS,
}
EXPECTED: dict[str, dict[str, list[tuple[Any, ...]]]] = {
    "array_data": {"test_array_data": FRUITS},
    "camelcase": {"TestCamelcase": [("1", "Gitter Windows Desktop App"), ("2", "Gitter iOS App")]},
    "camelcase_complex_schema": {"ForecastingTypeToCategory": []},
    "duplicate_records": {"test_duplicate_records": [(1, 100), (2, 20)]},
    "encoded_string_data": {"test_strings": list(enumerate(STRINGS, 1))},
    "multiple_state_messages": {
        "test_multiple_state_messages_a": [(n, 100 * n) for n in range(1, 7)],
        "test_multiple_state_messages_b": [(n, 110 * n) for n in range(1, 7)],
    },
    "no_primary_keys": {"test_no_pk": [(1, 11), (2, 22), (3, 33)]},
    "no_primary_keys_append": {"test_no_pk": [(n, 101 * n) for n in range(1, 6)]},
    "optional_attributes": {
        "test_optional_attributes": [(1, "This is optional"), (2, None), (3, "Also optional"), (4, None)]
    },
    "pk_updates": {"example_stream": [(1, "Alice", "alice@example.com"), (2, "Bob", "bob@example.com")]},
    "record_missing_fields": {"record_missing_fields": [(1, "now you see me"), (2, None)]},
    "record_missing_required_property": {"test_record_missing_required_property": [(None, 3215)]},
    "schema_no_properties": {
        "test_object_schema_with_properties": [('{"id":1,"metric":187}',), ('{"id":2,"metric":203}',)],
        "test_object_schema_no_properties": [('{"id":1,"metric":1}',), ('{"id":2,"metric":2}',)],
    },
    "schema_updates": {"test_schema_updates": UPDATES},
    "special_chars_in_attributes": {"test:SpecialChars!in?attributes": [("a2e98886", SPECIAL)]},
    "user_location_data": USERS,
    "user_location_upsert_data": {
        "test_users": [(1, "Johny"), (2, "George"), (5, "Jim"), (8, "Thomas"), (12, "Paul"), (13, "Mary")],
        "test_locations": [(1, "Philly"), (3, "San Francisco"), (6, "Colorado"), (8, "Boston")],
        "test_user_in_location": [
            (1, 1, 4, '{"weather":"rainy","mood":"sad"}'),
            (2, 2, 3, '{"weather":"sunny","mood":"satisfied"}'),
            (6, 3, 2, '{"weather":"sunny","mood":"happy"}'),
            (14, 4, 1, '{"weather":"cloudy","mood":"ok"}'),
        ],
    },
}
REFUSED = {
    "invalid_schema": "target.no_columns",
    "record_before_schema": "target.record_before_schema",
    "record_missing_key_property": "target.key_missing",
}


def streams() -> Path:
    return suite_packages() / "singer_sdk" / "testing" / "target_test_streams"


def lines(name: str) -> list[bytes]:
    return (streams() / f"{name}.singer").read_bytes().splitlines(keepends=True)


def test_every_message_file_is_expected_to_be_something() -> None:
    assert {file.stem for file in streams().glob("*.singer")} == {*EXPECTED, *REFUSED}
    assert len({*EXPECTED, *REFUSED}) == 20


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_rows_of_a_message_file(name: str, tmp_path: Path) -> None:
    echoed = run(tmp_path, lines(name))
    for stream, rows in EXPECTED[name].items():
        assert table(tmp_path, stream) == sorted(rows, key=lambda row: tuple((v is None, v) for v in row)), stream
    states = [json.loads(line)["value"] for line in lines(name) if b'"STATE"' in line]
    assert echoed == states[-1:]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_message_file_that_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        run(tmp_path, lines(name))
    assert caught.value.code == REFUSED[name]


def test_one_file_after_the_other(tmp_path: Path) -> None:
    for name in ("user_location_data", "user_location_upsert_data", "no_primary_keys", "no_primary_keys_append"):
        run(tmp_path, lines(name))
    users = [(1, "Johny"), (2, "George"), (3, "Jacob"), (4, "Josh"), (5, "Jim"), (8, "Thomas"), (12, "Paul")]
    assert table(tmp_path, "test_users") == [*users, (13, "Mary")]
    assert len(table(tmp_path, "test_no_pk")) == 3 + 5


def test_the_standard_suite(tmp_path: Path) -> None:
    packages = suite_packages()
    # Behind our own packages: singer-sdk brings newer ones of what both need.
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]; sys.path.append({str(packages)!r}); import pytest; "
        f"sys.exit(pytest.main(['-q', '-c', '/dev/null', '--rootdir', {str(tmp_path)!r}, '-p', 'no:cacheprovider', "
        f"{str(Path(__file__).parent / 'standard_suite.py')!r}]))"
    )
    environment = {**os.environ, "SUITE_FOLDER": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert "16 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_state_is_echoed_once_what_came_before_it_is_committed(tmp_path: Path) -> None:
    messages: list[dict[str, Any]] = [schema("s", ["id"])]
    for number in range(1, 8):
        messages += [record("s", id=number, v="x"), {"type": "STATE", "value": {"at": number}}]
    # Loaded after records 3, 6 and 7: the states that stand before them are 2, 5 and 7.
    assert run(tmp_path, messages, batch_rows=3) == [{"at": 2}, {"at": 5}, {"at": 7}]
    assert ask(tmp_path, "SELECT count(*) FROM raw._dataflow_loads") == [(3,)]
    assert ask(tmp_path, "SELECT position FROM raw._dataflow_state") == [('{"singer_state": "{\\"at\\":7}"}',)]


def test_the_last_record_of_a_key_wins_whatever_its_values(tmp_path: Path) -> None:
    run(tmp_path, [schema("s", ["id"]), *(record("s", id=1, v=v) for v in ("z", "m", None, "a"))])
    assert table(tmp_path, "s") == [(1, "a")]
    run(tmp_path, [schema("s", ["id"]), record("s", id=1, v=None)])
    assert table(tmp_path, "s") == [(1, None)]


def test_rows_without_a_key_value_go_to_quarantine(tmp_path: Path) -> None:
    run(tmp_path, [schema("s", ["id"]), record("s", id=None, v="a"), record("s", id=None, v="b"), record("s", id=1)])
    assert table(tmp_path, "s") == [(1, None)]
    assert ask(tmp_path, "SELECT count(*) FROM raw._dataflow_quarantine") == [(2,)]


def test_a_type_that_does_not_fit_is_refused_and_nothing_is_echoed(tmp_path: Path) -> None:
    run(tmp_path, [schema("s", ["id"]), record("s", id=1, v="a")])
    other = {"type": "object", "properties": {"id": {"type": "integer"}, "v": {"type": "boolean"}}}
    state = {"type": "STATE", "value": 1}
    with pytest.raises(DataError):
        run(tmp_path, [schema("s", ["id"], other), record("s", id=2, v=True), state])
    assert table(tmp_path, "s") == [(1, "a")]
    for bad in (b"no json", b"[]", b'{"type": "ROW"}', b'{"type": "SCHEMA"}', b'{"type": "RECORD", "stream": "s"}'):
        with pytest.raises(DataError, match="no message"):
            run(tmp_path, [schema("s", ["id"]), bad])


def test_the_config_is_told_wrong_without_its_values(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for text in ('{"destination": {"type": "duckdb"}, "pasword": "hush"}', '{"destination": "hush"}', "hush", "{}"):
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            read(file)
        assert "hush" not in str(caught.value)
    file.write_text('{"destination": {"type": "duckdb", "paths": "hush"}}')
    with pytest.raises(ConfigError) as caught:
        read(file).opened()
    assert "hush" not in str(caught.value)


@pytest.mark.kill
@pytest.mark.parametrize("point", ["rows_written", "committed"])
def test_a_killed_target_has_echoed_no_more_than_is_committed(point: str, tmp_path: Path) -> None:
    """The second load is killed; the tap begins again from the state it was given, as Singer's runners do."""
    file = tmp_path / "config.json"
    file.write_text(
        json.dumps({"destination": {"type": "duckdb", "path": str(tmp_path / "w.duckdb")}, "batch_rows": 10})
    )
    call = [sys.executable, "-c", "from dataflow_platform.cli.target import main; main()", "--config", str(file)]
    echoed: list[int] = []
    for kill in (f"{point}:2", ""):
        first = echoed[-1] + 1 if echoed else 1
        messages: list[dict[str, Any]] = [schema("s", ["id"])]
        for number in range(first, 36):
            messages += [record("s", id=number, v="x"), {"type": "STATE", "value": number}]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **({"DATAFLOW_KILL_AT": kill} if kill else {})}
        told = "\n".join(map(json.dumps, messages))
        done = subprocess.run(call, input=told, env=environment, capture_output=True, text=True)
        assert done.returncode == (-signal.SIGKILL if kill else 0), done.stderr
        echoed += [int(line) for line in done.stdout.split()]
        assert ask(tmp_path, "SELECT max(id) FROM raw.s")[0][0] >= echoed[-1]
    assert echoed[0] == 9  # loaded after record 10, before its own state came
    assert echoed[-1] == 35
    assert ask(tmp_path, "SELECT count(*), count(DISTINCT id) FROM raw.s") == [(35, 35)]


def test_the_same_rows_on_postgres(postgres_server: PostgresServer) -> None:
    """Evolution of the schema, keys and last records on another destination than DuckDB."""
    postgres_server.execute("CREATE DATABASE singer_target")
    fields = {"type": "postgres", "host": "127.0.0.1", "port": postgres_server.port, "database": "singer_target"}
    login = {"user": "postgres", "password": postgres_server.password}
    for name in ("schema_updates", "duplicate_records", "user_location_data", "user_location_upsert_data"):
        land(TargetConfig(destination={**fields, **login}), lines(name), lambda state: None)
    ask_there = partial(postgres_server.execute, database="singer_target")
    assert ask_there("SELECT * FROM raw.test_schema_updates ORDER BY id") == UPDATES
    assert ask_there("SELECT * FROM raw.test_duplicate_records ORDER BY id") == [(1, 100), (2, 20)]
    assert ask_there("SELECT count(*), count(DISTINCT id), max(name) FROM raw.test_users") == [(8, 8, "Thomas")]
