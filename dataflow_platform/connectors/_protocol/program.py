"""A program that writes one message a line: started without a shell, ended with all it started."""

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.core.paths import resolve

LONGEST = 64 << 20
"""Bytes of one message at most: memory is bounded, whatever a program writes."""
_TAIL_LINES, _TAIL_BYTES = 12, 600
_PASSED_ON = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SYSTEMROOT",
)  # fmt: skip
"""What a program gets of our environment: no secret of another connection, no path of our own Python."""


@dataclass(frozen=True)
class Call:
    """How a program is called. ``hidden``: texts that are shown nowhere, whatever the program prints."""

    bridge: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    hidden: tuple[str, ...]
    idle_seconds: float

    @property
    def name(self) -> str:
        """The program as errors name it: its file's name, without folders and arguments."""
        return Path(self.words[0]).name


def words_of(bridge: str, command: str) -> tuple[str, ...]:
    """The words of ``command`` with the program found; ConfigError where there is none."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise faults.not_started(bridge, command.split(" ")[0], str(error)) from None
    if not words:
        raise faults.not_found(bridge, command)
    program = str(resolve(words[0])) if "/" in words[0] else shutil.which(words[0])
    if not program or not Path(program).is_file():
        raise faults.not_found(bridge, words[0])
    return (program, *words[1:])


class Program:
    """One run of a program. Iterating gives the lines of its output; ``finish`` judges how it ended."""

    def __init__(self, call: Call, arguments: Sequence[str], passed: Sequence[int] = ()) -> None:
        self.call = call
        self.line = 0
        self._tail: deque[bytes] = deque(maxlen=_TAIL_LINES)
        self._waiting_since: float | None = None
        self._silent = self._closed = False
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **call.environment}
        try:
            self._process = subprocess.Popen(
                [*call.words, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                pass_fds=tuple(passed),
                start_new_session=True,
                bufsize=1 << 16,
            )
        except OSError as error:
            raise faults.not_started(call.bridge, call.name, error.strerror or "no reason told") from None
        self._log = threading.Thread(target=self._read_log, name=f"{call.bridge}-log", daemon=True)
        self._log.start()
        self._watch = threading.Thread(target=self._end_if_silent, name=f"{call.bridge}-watch", daemon=True)
        self._watch.start()

    def __iter__(self) -> Iterator[bytes]:
        """The lines that are not blank; TransientError where none comes for ``idle_seconds``."""
        output = self._process.stdout
        assert output is not None
        while True:
            self._waiting_since = time.monotonic()
            try:
                line = output.readline(LONGEST + 1)
            except ValueError:  # closed meanwhile
                line = b""
            self._waiting_since = None
            if self._closed:
                raise faults.closed(self.call.bridge)
            if not line:
                return
            self.line += 1
            if len(line) > LONGEST:
                raise faults.long_line(self.call.bridge, self.call.name, self.line, LONGEST)
            if not line.isspace():
                yield line

    def finish(self) -> None:
        """Wait for the end; TransientError where the program did not end well."""
        status = self._process.wait()
        self._log.join(timeout=5)
        if self._silent:
            raise faults.silent(self.call.bridge, self.call.name, self.call.idle_seconds)
        if status != 0:
            raise faults.failed(self.call.bridge, self.call.name, status, self.tail())

    def tail(self) -> str:
        """What the program said last on its standard error: a few lines, without secrets."""
        return self.without_secrets(b"\n".join(self._tail).decode("utf-8", "replace"))[-_TAIL_BYTES:].strip()

    def without_secrets(self, text: str) -> str:
        """``text`` with what must not be shown taken out."""
        for secret in sorted(self.call.hidden, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def close(self) -> None:
        """End the program and everything it started. Safe to call twice, and from another thread."""
        self._closed = True
        self._kill()
        self._process.wait()
        self._log.join(timeout=5)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError, ValueError):
                    pipe.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read_log(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        with suppress(ValueError, OSError):
            while line := pipe.readline(1 << 16):
                self._tail.append(line.rstrip())

    def _end_if_silent(self) -> None:
        while self._process.poll() is None:
            since = self._waiting_since
            if since is not None and time.monotonic() - since > self.call.idle_seconds:
                self._silent = True
                self._kill()
                return
            time.sleep(min(0.5, self.call.idle_seconds / 4))
