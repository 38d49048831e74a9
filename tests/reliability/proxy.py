"""A TCP proxy before a PostgreSQL server that breaks the connection where it is told to."""

import socket
import threading
from contextlib import suppress

_COMMIT = b"Q\0\0\0\x0bCOMMIT\0"


class Proxy:
    """Passes bytes on and back until ``cut_after`` bytes went through, or until the ``lost_commit``-th COMMIT.

    That COMMIT reaches the server where ``heard``, and in no case does its answer come back. ``bytes`` and
    ``commits`` count what passed. Nothing is cut where neither is given.
    """

    def __init__(
        self, port: int, cut_after: int | None = None, lost_commit: int | None = None, heard: bool = True
    ) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._server_port = port
        self.cut_after, self.lost_commit, self.heard = cut_after, lost_commit, heard
        self.bytes = self.commits = 0
        self.cut = False
        self._counting = threading.Lock()
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._ends += [client, server]
                deaf = threading.Event()
                threading.Thread(target=self._pass, args=(client, server, True, deaf), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False, deaf), daemon=True).start()

    def _pass(self, origin: socket.socket, to: socket.socket, asks: bool, deaf: threading.Event) -> None:
        with suppress(OSError):
            while block := origin.recv(65536):
                if not asks and deaf.is_set():
                    break  # the answer to COMMIT
                allowed = self._allowed(block, asks, deaf)
                to.sendall(block[:allowed])
                if allowed < len(block):
                    break
        for end in (origin, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _allowed(self, block: bytes, asks: bool, deaf: threading.Event) -> int:
        """How many bytes of ``block`` may pass."""
        with self._counting:
            if asks and _COMMIT in block:
                self.commits += 1
                if self.commits == self.lost_commit:
                    self.cut = True
                    deaf.set()
                    return len(block) if self.heard else 0
            left = len(block)
            if self.cut_after is not None and not self.cut:  # once: the next attempt comes through
                left = max(min(self.cut_after - self.bytes, left), 0)
            self.bytes += left
            self.cut = self.cut or left < len(block)
            return left

    def close(self) -> None:
        """Stop listening and end what still runs through."""
        self._listener.close()
        for end in self._ends:
            with suppress(OSError):
                end.close()
