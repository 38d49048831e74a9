"""No way into private networks: by address, name, redirect or link, however it is written."""

import socket
from typing import Any

import pytest

from dataflow_platform.connectors.rest import Rest
from dataflow_platform.connectors.rest.addresses import AddressPolicy
from dataflow_platform.core.errors import ConfigError, DataflowError
from tests.fixtures.rest_api import Stub, read_rest, reply

PRIVATE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255", "0.0.0.0", "0.1.2.3", "192.0.0.1", "192.0.2.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:1::",
]  # fmt: skip
"""Loopback, private, link-local, shared, documentation, multicast, reserved; and IPv6 forms that lead to IPv4."""

PUBLIC = [
          "8.8.8.8", "1.1.1.1", "172.32.0.1", "172.15.255.255", "100.63.255.255", "100.128.0.1", "192.169.0.1",
          "2606:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
]  # fmt: skip

SPELLED = [
           "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1",
           "0", "localhost", "localhost.", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]",
]  # fmt: skip
"""This machine, as people who want in write it: short, decimal, hexadecimal, octal, IPv6."""


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused(address: str) -> None:
    assert not AddressPolicy("api.example.com").permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_permitted(address: str) -> None:
    assert AddressPolicy("api.example.com").permits(address)


def test_what_a_connection_allows_is_permitted_and_no_more() -> None:
    policy = AddressPolicy("api.example.com", ["10.0.0.0/8", "192.168.1.7", "fd00::/8"])
    assert [policy.permits(address) for address in ("10.9.8.7", "192.168.1.7", "fd00::5", "::ffff:10.1.1.1")] == [
        True
    ] * 4
    assert not any(policy.permits(address) for address in ("192.168.1.8", "172.16.0.1", "127.0.0.1", "169.254.169.254"))


def test_the_address_written_as_base_url_is_permitted_unless_it_is_of_this_link() -> None:
    assert AddressPolicy("10.1.2.3").permits("10.1.2.3")
    assert not AddressPolicy("10.1.2.3").permits("10.1.2.4")
    assert not AddressPolicy("169.254.169.254").permits("169.254.169.254")
    assert AddressPolicy("169.254.169.254", ["169.254.169.254"]).permits("169.254.169.254")


def test_a_network_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match=r"rest\.allow_hosts"):
        AddressPolicy("api.example.com", ["internal"])


def port_of(stub: Stub) -> str:
    return stub.url.rpartition(":")[2]


@pytest.mark.parametrize("written", SPELLED)
@pytest.mark.parametrize("way", ["redirect", "link"])
def test_redirects_and_links_lead_nowhere_private(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, written: str, way: str
) -> None:
    """The API is reached under a name that a rule of the test lets through; where it then sends us, it may not."""
    target = f"http://{written}:{port_of(stub)}/inside"
    if way == "redirect":
        stub.on("/rows", lambda seen: reply(302, headers={"Location": target}))
    else:
        stub.on("/rows", lambda seen: {"next": target, "rows": [{"id": 1}]})
    stub.on("/inside", lambda seen: {"rows": [{"id": "secret of the inside"}]})
    permits = AddressPolicy.permits
    first = iter([True])  # the one connection to the API itself; its name leads to this machine
    monkeypatch.setattr(AddressPolicy, "permits", lambda self, text: next(first, False) or permits(self, text))
    rest = Rest(base_url=f"http://api.invalid:{port_of(stub)}", max_retries=0)
    monkeypatch.setattr(socket, "getaddrinfo", as_api(socket.getaddrinfo))
    with pytest.raises(DataflowError) as caught:
        read_rest(rest, records="rows", paging={"type": "next_link", "body_path": "next"})
    # Addresses with leading zeros and the like aiohttp itself takes for malformed; a name may lead nowhere at all.
    assert caught.value.code in ("rest.private_address", "rest.redirect", "rest.unreachable")
    assert [seen.path for seen in stub.seen] == ["/rows"]


def as_api(real: Any) -> Any:
    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == "api.invalid" else host, *args, **options)

    return resolve


def test_a_name_that_leads_inside_is_refused(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", as_api(socket.getaddrinfo))
    with pytest.raises(ConfigError, match=r"rest\.private_address"):
        read_rest(Rest(base_url=f"http://api.invalid:{port_of(stub)}", max_retries=0))
    assert not stub.seen


def test_a_name_that_leads_inside_is_asked_where_the_connection_allows_it(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", as_api(socket.getaddrinfo))
    stub.on("/rows", lambda seen: [{"id": 1}])
    rest = Rest(base_url=f"http://api.invalid:{port_of(stub)}", allow_hosts=["127.0.0.0/8"])
    assert read_rest(rest) == [(1,)]


def test_a_name_server_that_changes_its_mind_gets_nobody_inside(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a public answer for the check, a private one for the connection. There is only one question."""
    answers = iter(["203.0.114.1"])
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, *args: Any, **options: Any) -> Any:
        asked.append(str(host))
        return real(next(answers, "127.0.0.1") if host == "api.invalid" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    rest = Rest(base_url=f"http://api.invalid:{port_of(stub)}", max_retries=1, timeout_seconds=0.3)
    with pytest.raises((ConfigError, Exception)) as caught:
        read_rest(rest)
    # The second try asks anew, is told 127.0.0.1, and refuses it.
    assert "rest.private_address" in str(caught.value) or "rest.un" in str(caught.value)
    assert not stub.seen
    assert "api.invalid" in asked


def test_a_body_does_not_follow_to_another_host(stub: Stub, other_host: Stub) -> None:
    stub.on("/rows", lambda seen: reply(307, headers={"Location": f"{other_host.url}/rows"}))
    other_host.on("/rows", lambda seen: [{"id": 1}])
    with pytest.raises(ConfigError, match=r"rest\.redirect"):
        read_rest(
            Rest(base_url=stub.url, auth={"type": "body", "credentials": {"key": "k3y"}}), method="POST", body={"a": 1}
        )
    assert not other_host.seen
