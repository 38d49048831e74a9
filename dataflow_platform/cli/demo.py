"""`dataflow demo`: the New York flights estate, from nothing to the web UI."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import click

from dataflow_platform.core.paths import project_root

JOB = "nyc_flights"
HOST, PORT = "127.0.0.1", 3000


@click.group()
def demo() -> None:
    """Run the example: PostgreSQL, a REST API and an inbox folder, all on this machine."""


@demo.command("run")
@click.option("--serve/--no-serve", default=True, help="Serve the web UI afterwards.")
@click.option("--port", default=PORT, show_default=True, help="Port of the web UI.")
def run_(serve: bool, port: int) -> None:
    """Start the sources, load everything that is new, show what was done, serve the UI until Ctrl-C."""
    from dataflow_platform.cli.run import execute
    from dataflow_platform.demo import environment, servers

    environment.write_environment()
    environment.load_environment()
    click.echo("starting the sources: PostgreSQL, REST API, inbox folder")
    servers.start()
    try:
        click.echo(f"loading: dataflow run {JOB}")
        success = execute(JOB, partition=None, verbose=False)
        if serve:
            _serve(port)
    finally:
        servers.stop()
    sys.exit(0 if success else 1)


@demo.command("start")
def start() -> None:
    """Start the sources and keep them running until Ctrl-C."""
    from dataflow_platform.demo import environment, servers

    environment.write_environment()
    environment.load_environment()
    servers.start()
    click.echo("the sources run; Ctrl-C stops them")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
    finally:
        servers.stop()


def _serve(port: int) -> None:
    """Dagster's web UI, daemon and code server as one child; returns once it has ended."""
    dagster = shutil.which("dagster", path=str(Path(sys.executable).parent)) or "dagster"
    command = [dagster, "dev", "-w", "workspace.yaml", "-h", HOST, "-p", str(port)]
    log = project_root() / ".dataflow" / "logs" / "dagster.log"
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    with log.open("w") as output:
        # A group of its own: Ctrl-C reaches us alone, and we end the child in order.
        child = subprocess.Popen(
            command, cwd=project_root(), env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        if _answers(port, child):
            click.echo(f"\nDagster is at http://{HOST}:{port}   its log: {log}\nCtrl-C stops everything")
        elif child.poll() is not None:
            click.echo(log.read_text(errors="replace")[-2000:], err=True)
        child.wait()
    except KeyboardInterrupt:
        click.echo("\nstopping")
    finally:
        _end(child)


def _answers(port: int, child: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/server_info", timeout=2):
                return True
        except OSError:
            time.sleep(0.3)
    return False


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
