"""The first steps to a server, each with an error of its own: its name resolved, its port opened."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from dataflow_platform.core.errors import Location, TransientError

CONNECT_SECONDS = 10
STEPS = {
    "ssh": "SSH tunnel",
    "dns": "DNS",
    "tcp": "TCP",
    "busy": "login",
    "tls": "TLS",
    "login": "login",
    "database": "login",
    "permission": "permission",
}
"""The last word of an error's code -> the step of connecting that failed; any other failed in a query."""
SERVERS = ("postgres", "mysql", "sql", "table", "column")
"""The first words of such codes."""


@contextmanager
def reached(
    host: str, port: int, area: str, where: Location | str, seconds: float | None = None
) -> Iterator[socket.socket]:
    """An open TCP connection to ``host``, closed at the end of the block.

    TransientError ``<area>.dns`` or ``<area>.tcp``, the second also where the connection breaks inside the block.
    """
    try:
        with socket.create_connection((host, port), timeout=seconds or CONNECT_SECONDS) as opened:
            yield opened
    except (socket.gaierror, UnicodeError):  # the second: a label of the name is empty or too long
        raise TransientError(
            f"{area}.dns",
            f"no address is known for host '{host}'",
            where=where,
            fix="check `host`, and that this machine can resolve the name",
        ) from None
    except OSError as error:
        raise TransientError(
            f"{area}.tcp",
            f"nothing answers at {host}:{port} ({error.strerror or 'no answer in time'})",
            where=where,
            fix="check `host` and `port`, that the server runs and that no firewall is between",
        ) from None


def reach(host: str, port: int, area: str, where: Location | str) -> str:
    """Open the port and close it again; the address that answered."""
    with reached(host, port, area, where) as opened:
        return str(opened.getpeername()[0])


def across_the_internet(address: str) -> bool:
    """True where the way to a numeric address leaves this machine and private networks."""
    return ipaddress.ip_address(address.partition("%")[0]).is_global
