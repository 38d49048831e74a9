"""What a file knows of IP addresses: MaxMind's format, or CSV with networks or ranges."""

import csv
from collections.abc import Callable, Iterator, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from pathlib import Path
from typing import Any, Protocol

from dataflow_platform.core.errors import ConfigError, DataError, Location

Address = IPv4Address | IPv6Address
Entry = Mapping[str, Any]


class Ranges(Protocol):
    """What is known of addresses; of several ranges around one the narrowest holds."""

    def find(self, address: Address) -> Entry | None:
        """What is known of it, None where nothing is."""

    def close(self) -> None:
        """Free the file."""


def parsed(text: str) -> Address | None:
    """The address a text is; one of IPv4 that is written as IPv6 is one of IPv4."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


class MmdbRanges:
    """A file of MaxMind's format, looked into where it lies."""

    def __init__(self, file: Path) -> None:
        import maxminddb

        try:
            self._reader = maxminddb.open_database(str(file))
        except (maxminddb.InvalidDatabaseError, OSError) as error:
            raise ConfigError(
                "locate_ip.database", f"this is no file of MaxMind's format: {type(error).__name__}",
                where=Location(file=str(file)), fix="get it anew",
            ) from error  # fmt: skip
        self._both = self._reader.metadata().ip_version == 6

    def find(self, address: Address) -> Entry | None:
        if isinstance(address, IPv6Address) and not self._both:
            return None
        entry = self._reader.get(address)
        return entry if isinstance(entry, Mapping) else None

    def close(self) -> None:
        self._reader.close()


class CsvRanges:
    """Networks held in memory: by version and length of prefix, the longest first."""

    def __init__(self, file: Path) -> None:
        found: dict[tuple[int, int], dict[int, Entry]] = {}
        for line, network, entry in _networks(file):
            place = found.setdefault((network.version, network.prefixlen), {})
            number = int(network.network_address)
            if number in place:
                raise DataError(
                    "locate_ip.twice", f"{network} stands in the file twice", where=Location(file=str(file), line=line),
                    fix="keep one of the lines",
                )  # fmt: skip
            place[number] = entry
        self._found = sorted(found.items(), reverse=True)

    def find(self, address: Address) -> Entry | None:
        number, bits = int(address), address.max_prefixlen
        for (version, length), entries in self._found:
            if version == address.version:
                entry = entries.get(number >> (bits - length) << (bits - length))
                if entry is not None:
                    return entry
        return None

    def close(self) -> None:
        """Nothing is held open."""


def _networks(file: Path) -> Iterator[tuple[int, IPv4Network | IPv6Network, Entry]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        names = reader.fieldnames or []
        read: Callable[[Mapping[str, str]], Iterator[IPv4Network | IPv6Network]]
        if "network" in names:
            read = _one
        elif {"first", "last"} <= set(names):
            read = _several
        else:
            raise ConfigError(
                "locate_ip.header", "the file has no column `network`, nor `first` and `last`",
                where=Location(file=str(file), line=1), fix="name them so",
            )  # fmt: skip
        for row in reader:
            entry = {name: value or None for name, value in row.items()}
            try:
                for network in read(row):
                    yield reader.line_num, network, entry
            except (ValueError, TypeError):
                raise DataError(
                    "locate_ip.range", "the line holds no range of addresses",
                    where=Location(file=str(file), line=reader.line_num), fix="correct it, such as 192.0.2.0/24",
                ) from None  # fmt: skip


def _one(row: Mapping[str, str]) -> Iterator[IPv4Network | IPv6Network]:
    yield ip_network(row["network"].strip())


def _several(row: Mapping[str, str]) -> Iterator[IPv4Network | IPv6Network]:
    first, last = ip_address(row["first"].strip()), ip_address(row["last"].strip())
    yield from summarize_address_range(first, last)


def opened(file: Path) -> Ranges:
    """The ranges of a file, by its name."""
    return MmdbRanges(file) if file.suffix.lower() == ".mmdb" else CsvRanges(file)
