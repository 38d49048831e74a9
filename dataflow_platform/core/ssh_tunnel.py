"""SSH tunnels: a port on this machine that leads to a server only an SSH server can reach.

A tunnel is a process of its own (``ssh_forwarding``): engines wait for a database with Python's lock held, and a thread
of ours would not pass on what they wait for. It is started when it is needed first, serves every connection of this
process to its target, ends with it, and is started anew where it broke. The SSH server has to prove who it is.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import ConfigDict, Field

from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError
from dataflow_platform.core.paths import resolve
from dataflow_platform.core.reach import CONNECT_SECONDS

SSH_SECRETS = frozenset({"ssh.password", "ssh.passphrase"})
"""What a connector with a field ``ssh`` adds to its ``secret_fields``."""

_PROGRAM = Path(__file__).with_name("ssh_forwarding.py")


class SshTunnel(dg.Config):
    """An SSH server that connects to the database on our behalf."""

    # A pydantic error would print the input, and with it the secret.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field(description="Name or address of the SSH server.")
    port: int = Field(default=22, description="TCP port of the SSH server.")
    user: str = Field(description="User to log in as; needs no shell, only the right to forward ports.")
    private_key: str | None = Field(
        default=None,
        description="File of the private key. Without it and without a password: the agent's and the user's own keys.",
    )
    passphrase: str = Field(default="", repr=False, description="What the private key is encrypted with.")
    password: str = Field(default="", repr=False, description="Password of the user, where no key is used.")
    known_hosts: str = Field(default="~/.ssh/known_hosts", description="File that names the SSH server's host key.")
    host_key: str | None = Field(
        default=None,
        description="The host key itself instead of a file, as `ssh-keyscan` prints it: `ssh-ed25519 AAAA...`.",
    )

    def forward(self, host: str, port: int) -> int:
        """The port of 127.0.0.1 that leads to ``host``:``port`` as the SSH server sees them.

        ConfigError ``ssh.host_key``, ``ssh.login`` or ``ssh.key``; TransientError ``ssh.tcp`` where no SSH server
        answers, ``ssh.target`` where it does not reach the target.
        """
        identity = (os.getpid(), self.model_dump_json(), host, port)
        with _lock:
            tunnel = _tunnels.get(identity)
            if tunnel is not None and tunnel.process.poll() is not None:
                _end(_tunnels.pop(identity).process)
                tunnel = None
            if tunnel is None:
                tunnel = _tunnels[identity] = self._start(host, port)
        return tunnel.port

    def where(self) -> str:
        """The SSH server as errors name it."""
        return f"ssh://{self.user}@{self.host}:{self.port}"

    def _start(self, host: str, port: int) -> "_Tunnel":
        known = resolve(self.known_hosts)
        if not self.host_key and not known.is_file():
            raise self._meaning("host_key", f"there is no file {self.known_hosts}", host, port)
        settings = self.model_dump(mode="json") | {
            "private_key": str(resolve(self.private_key)) if self.private_key else None,
            "known_hosts": str(known), "seconds": CONNECT_SECONDS, "target_host": host, "target_port": port,
        }  # fmt: skip
        # -P: beside the program lie modules called like those of the standard library.
        process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        # Through the pipe: what is on a command line others can read.
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline() or '{"problem": "tcp", "said": "it ended"}')
        if "port" not in answer:
            _end(process)
            raise self._meaning(answer["problem"], answer["said"], host, port)
        return _Tunnel(process, int(answer["port"]))

    def _meaning(self, problem: str, said: str, host: str, port: int) -> DataflowError:
        """The error a problem of the tunnel's process stands for. Its texts hold neither password nor passphrase."""
        place = f"{self.host}:{self.port}"
        kind: type[DataflowError] = TransientError if problem in ("tcp", "target") else ConfigError
        what, fix = {
            "driver": (said, "pip install 'dataflow-platform[ssh]'"),
            "host_key": (
                f"{place} does not prove who it is: {said}",
                f"compare its key with what its administrator says, then: ssh-keyscan -p {self.port} {self.host} >> "
                f"{self.known_hosts}, or set `host_key`",
            ),
            "login": (
                f"{place} refuses user '{self.user}': {said}",
                "check `user`, and that its authorized_keys hold the key's public half (or check `password`)",
            ),
            "key": (f"a key cannot be used: {said}", "check `private_key`, `passphrase` and `host_key`"),
            "tcp": (
                f"no SSH server answers at {place}: {said}",
                "check `host` and `port` under `ssh`, and that no firewall is between",
            ),
            "target": (
                f"the SSH server {self.host} cannot open {host}:{port}: {said}",
                "check `host` and `port` as seen from the SSH server, and that it lets the user forward ports",
            ),
        }[problem]
        return kind(f"ssh.{problem}", what, where=self.where(), fix=fix)


@dataclass(frozen=True)
class _Tunnel:
    process: "subprocess.Popen[str]"
    port: int


_tunnels: dict[tuple[int, str, str, int], _Tunnel] = {}
_lock = threading.Lock()


def _end(process: "subprocess.Popen[str]") -> None:
    """Close the process's input, at which it ends by itself; by force after a while."""
    with process:
        with suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()


@atexit.register
def close_tunnels() -> None:
    """End every tunnel of this process; safe to call twice."""
    with _lock:
        mine = [identity for identity in _tunnels if identity[0] == os.getpid()]
        tunnels = [_tunnels.pop(identity) for identity in mine]
    for tunnel in tunnels:
        _end(tunnel.process)
