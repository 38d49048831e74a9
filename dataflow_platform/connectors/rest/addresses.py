"""Which hosts may be asked: no way into private networks, whatever a redirect, a link or a name server says."""

import ipaddress
import socket
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from dataflow_platform.core.errors import ConfigError

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SHARED = ipaddress.ip_network("100.64.0.0/10")


class RefusedAddressError(OSError):
    """A name leads to an address that may not be asked. An OSError, so that aiohttp closes what it opened."""


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, 6to4, NAT64, compatible), else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    low = int(address) & 0xFFFFFFFF
    if address in _NAT64 or (int(address) >> 32 == 0 and low > 1):
        return ipaddress.IPv4Address(low)
    return address


def is_public(address: Address) -> bool:
    """True for an address of the open internet."""
    real = embedded(address)
    if isinstance(real, ipaddress.IPv4Address) and real in _SHARED:
        return False
    if isinstance(real, ipaddress.IPv6Address) and real.is_site_local:
        return False
    return real.is_global and not real.is_multicast and not real.is_reserved


@cache
def allowed_networks(base_url_host: str | None, allow: tuple[str, ...]) -> tuple[Network, ...]:
    """The private addresses a connection may ask: those it lists, and the one written as its own ``base_url``.

    ``base_url`` with an address of this link (169.254.0.0/16, fe80::/10: where clouds keep credentials) has to be
    listed all the same.
    """
    found = [_network(each) for each in allow]
    own = _literal(base_url_host or "")
    if base_url_host == "localhost":
        found += [ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128")]
    elif own is not None and not embedded(own).is_link_local:
        found.append(ipaddress.ip_network(own))
    return tuple(found)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network("127.0.0.0/8" if text == "localhost" else text, strict=False)
    except ValueError:
        raise ConfigError(
            "rest.allow_hosts",
            f"'{text}' is no address and no network",
            where="allow_hosts",
            fix="write addresses or networks, such as 10.1.2.3 or 10.0.0.0/8",
        ) from None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").split("%")[0])
    except ValueError:
        return None


class AddressPolicy:
    """What may be asked, by resolved address."""

    def __init__(self, base_url_host: str | None, allow: Sequence[str] = ()) -> None:
        self._allowed = allowed_networks(base_url_host, tuple(allow))
        self._hosts: dict[str, bool] = {}

    def permits(self, text: str) -> bool:
        """True where the address written ``text`` may be asked."""
        address = _literal(text)
        if address is None:
            return False
        if is_public(address):
            return True
        real = embedded(address)
        return any(each.version == network.version and each in network for each in (address, real)
                   for network in self._allowed)  # fmt: skip

    def permits_host(self, host: str) -> bool:
        """False for a host that is written as an address and may not be asked; names are looked at once resolved."""
        if host not in self._hosts:
            self._hosts[host] = _literal(host) is None or self.permits(host)
        return self._hosts[host]

    def resolver(self) -> "AbstractResolver":
        """Resolves names for aiohttp, and leaves out nothing silently: one refused address refuses the name.

        aiohttp connects to the very addresses returned here, so a second answer of the name server cannot differ.
        """
        from aiohttp.abc import AbstractResolver, ResolveResult
        from aiohttp.resolver import ThreadedResolver

        policy = self

        class Guarded(AbstractResolver):
            async def resolve(
                self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
            ) -> list[ResolveResult]:
                found: list[Any] = await ThreadedResolver().resolve(host, port, family)
                if not all(policy.permits(each["host"]) for each in found):
                    raise RefusedAddressError(f"{host} leads into a private network")
                return found

            async def close(self) -> None:
                return None

        return Guarded()
