"""Whether a PostgreSQL server offers TLS, and what libpq is told of it."""

import ssl
import struct
from pathlib import Path
from typing import Literal

from dataflow_platform.core.errors import ConfigError, Location
from dataflow_platform.core.reach import across_the_internet, reached

SslMode = Literal["auto", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
SSL_MODE = (
    "How much encryption is asked for, in libpq's words. `auto`: `verify-full` where the server offers TLS; where it "
    "does not, none on this machine and in private networks, and no connection across the internet."
)
_REQUEST = struct.pack("!ii", 8, 80877103)  # the protocol's SSLRequest; the answer is S or N
_offers: dict[str, bool] = {}
"""By the server itself: the port of a tunnel's end leads to another server the next time."""


def settled(mode: SslMode, server: str, end: tuple[str, int], where: Location, seconds: float) -> str:
    """What ``auto`` comes to for ``server``, reached at ``end``; it is asked once a process. Any other mode is itself.

    ConfigError ``postgres.tls`` where passwords and rows would cross the internet in the clear.
    """
    if mode != "auto":
        return mode
    if server not in _offers:
        with reached(*end, "postgres", where, seconds) as asked:
            asked.sendall(_REQUEST)
            offered = asked.recv(1) == b"S"
            address = str(asked.getpeername()[0])
        if not offered and across_the_internet(address):
            raise ConfigError(
                "postgres.tls",
                f"{end[0]}:{end[1]} offers no TLS, and the way to {address} crosses the internet",
                where=where,
                fix="let the server offer TLS, or reach it through `ssh` or a private network; `sslmode: disable` "
                "sends everything in the clear",
            )
        _offers[server] = offered
    return "verify-full" if _offers[server] else "disable"


def authorities(mode: str, given: str | None) -> str | None:
    """The file of authorities libpq shall trust: the one given, libpq's own where it exists, else the system's."""
    if given or not mode.startswith("verify"):
        return given
    if (Path.home() / ".postgresql" / "root.crt").is_file():
        return None
    # `system`: what the OpenSSL that libpq brings takes for it.
    return ssl.get_default_verify_paths().cafile or "system"
