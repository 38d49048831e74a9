"""What a file knows of IP addresses. The addresses are those reserved for documentation."""

from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from dataflow_platform.core.base import Column
from dataflow_platform.core.errors import ConfigError, DataError
from tests.transformations.stepping import over, refusal, step

ADDRESSES = ("192.0.2.7", "192.0.2.129", " 2001:db8::1", "::ffff:192.0.2.7", "198.51.100.1", "2001:db9::1", "300.1.1.1")
# Of two networks around .129 the narrower one holds; the address of IPv4 is the same one written as IPv6.
KNOWN = [("Inner", "AS1"), ("Outer", None), ("Six", "AS6"), ("Inner", "AS1"), (None, None), (None, None), (None, None)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path))
    return tmp_path


def looked(value: dict[str, Any]) -> list[Any]:
    rows = ", ".join(f"({place}, '{text}')" for place, text in enumerate(ADDRESSES))
    _, found = over(f"SELECT * FROM (VALUES {rows}) AS t(n, ip)", step("locate_ip", {"column": "ip", **value}))
    return [row[2:] for row in sorted(found)]


@pytest.mark.parametrize(
    "text",
    [
        "network,place,asn\n192.0.2.0/25,Inner,AS1\n192.0.0.0/16,Outer,\n2001:db8::/32,Six,AS6\n",
        "first,last,place,asn\n192.0.2.0,192.0.2.127,Inner,AS1\n192.0.2.128,192.0.2.255,Outer,\n2001:db8::,2001:db8::ff,Six,AS6\n",
    ],
)
def test_networks_and_ranges_of_a_csv_file(folder: Path, text: str) -> None:
    (folder / "ip.csv").write_text(text)
    columns = {"place": "city", "asn": "operator"}
    assert looked({"database": "ip.csv", "columns": columns, "misfit": "null"}) == KNOWN


def test_a_file_of_maxminds_format(folder: Path) -> None:
    writer = MMDBWriter(6, "Test", languages=["en"], description="test", ipv4_compatible=True)
    writer.insert_network(IPSet(["192.0.0.0/16"]), {"city": {"names": {"en": "Outer"}}})
    writer.insert_network(IPSet(["192.0.2.0/25"]), {"city": {"names": {"en": "Inner"}}, "asn": "AS1"})
    writer.insert_network(IPSet(["2001:db8::/32"]), {"city": {"names": {"en": "Six"}}, "asn": "AS6"})
    writer.to_db_file(str(folder / "ip.mmdb"))
    columns = {"city.names.en": "city", "asn": "operator"}
    assert looked({"database": "ip.mmdb", "columns": columns, "misfit": "null"}) == KNOWN


def test_an_unknown_address_fails_or_is_set_aside(folder: Path) -> None:
    (folder / "ip.csv").write_text("network,place\n192.0.2.0/24,Here\n")
    value = {"column": "ip", "database": "ip.csv", "columns": ["place"]}
    rows = "SELECT * FROM (VALUES ('192.0.2.1'), ('203.0.113.9'), (NULL)) AS t(ip)"
    with pytest.raises(Exception, match=r"ip is no address that ip\.csv knows") as raised:
        over(rows, step("locate_ip", value))
    assert "203.0.113.9" not in str(raised.value)
    judged = step("locate_ip", {**value, "misfit": "quarantine"})
    assert judged.rules() == {"locate_ip_place": "ip is no address that ip.csv knows"}
    assert sorted(over(rows, judged)[1], key=str) == [
        ("192.0.2.1", "Here", False), ("203.0.113.9", None, True), (None, None, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("network,place\n192.0.2.1/24,a\n", "locate_ip.range"),
        ("network,place\n,a\n", "locate_ip.range"),
        ("first,last\n192.0.2.9,192.0.2.1\n", "locate_ip.range"),
        ("first,last\n192.0.2.9,2001:db8::\n", "locate_ip.range"),
        ("network,place\n192.0.2.0/24,a\n192.0.2.0/24,b\n", "locate_ip.twice"),
        ("ip,place\n192.0.2.0/24,a\n", "locate_ip.header"),
    ],
)
def test_a_bad_file_is_told_by_line(folder: Path, text: str, code: str) -> None:
    (folder / "ip.csv").write_text(text)
    with pytest.raises((ConfigError, DataError)) as raised:
        looked({"database": "ip.csv", "columns": ["place"]})
    assert raised.value.code == code
    assert raised.value.where.line is not None


def test_a_bad_file_of_maxminds_format_is_told(folder: Path) -> None:
    (folder / "ip.mmdb").write_bytes(b"no such format")
    with pytest.raises(ConfigError) as raised:
        looked({"database": "ip.mmdb", "columns": ["asn"]})
    assert raised.value.code == "locate_ip.database"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"column": "ip", "database": "ip.zip"}, "locate_ip.format"),
        ({"column": "n", "database": "ip.csv"}, "column.type"),
        ({"column": "op", "database": "ip.csv"}, "column.unknown"),
    ],
)
def test_a_mistake_is_found_before_a_row_is_read(value: dict[str, Any], code: str) -> None:
    given = [Column("ip", "VARCHAR"), Column("n", "INTEGER")]
    assert refusal("locate_ip", {**value, "columns": ["place"]}, given).code == code
