"""Whose address a request has, behind proxies and against those who forge it, and in which networks it lies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base import addresses
from app.base.errors import BadValue

PROXIES = [addresses.network(text) for text in ("10.0.0.0/8", "::1", "2001:db8:ffff::/48")]
OFFICE = [addresses.network("192.0.2.0/24"), addresses.network("2001:db8:1::/64")]


def _client(peer: str | None, *forwarded: str) -> str | None:
    found = addresses.of_client(peer, [line.encode() for line in forwarded], PROXIES)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        (" 192.0.2.7 ", "192.0.2.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_a_network_has_one_spelling(text: str, stored: str) -> None:
    assert str(addresses.network(text)) == stored


@pytest.mark.parametrize("text", ["", "example.com", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "2001:db8::1/32", "*", "/"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        addresses.network(text)


def test_an_ipv4_address_that_is_written_as_ipv6_lies_in_the_networks_of_ipv4() -> None:
    for text in ("192.0.2.7", "::ffff:192.0.2.7", "[::ffff:c000:207]:443", "192.0.2.7:5000"):
        assert addresses.is_in(addresses.address(text), OFFICE), text
    assert not addresses.is_in(addresses.address("::ffff:198.51.100.1"), OFFICE)
    # Not every address of IPv6 that ends like one of IPv4 is one.
    assert not addresses.is_in(addresses.address("64:ff9b::c000:207"), OFFICE)
    assert not addresses.is_in(None, [addresses.network("0.0.0.0/0"), addresses.network("::/0")])


def test_a_network_lies_in_another_of_its_kind() -> None:
    assert addresses.is_within(addresses.network("192.0.2.128/25"), OFFICE)
    assert addresses.is_within(addresses.network("2001:db8:1::/72"), OFFICE)
    assert not addresses.is_within(addresses.network("192.0.0.0/16"), OFFICE)
    assert not addresses.is_within(addresses.network("::/0"), OFFICE)


def test_what_a_stranger_says_of_itself_is_not_believed() -> None:
    assert _client("198.51.100.1", "192.0.2.7") == "198.51.100.1"
    assert _client("::ffff:198.51.100.1", "192.0.2.7") == "198.51.100.1"


def test_a_proxy_is_believed_about_its_own_client_and_not_about_what_that_says() -> None:
    assert _client("10.1.2.3", "198.51.100.1") == "198.51.100.1"
    assert _client("10.1.2.3", "192.0.2.7, 198.51.100.1") == "198.51.100.1"
    assert _client("10.1.2.3", "192.0.2.7", "198.51.100.1") == "198.51.100.1"
    assert _client("::1", "192.0.2.7, 198.51.100.1:4711, 10.9.9.9") == "198.51.100.1"
    assert _client("2001:db8:ffff::1", "evil, [2001:db8:1::7]:443, ::ffff:10.0.0.1") == "2001:db8:1::7"


def test_an_address_that_nobody_tells_is_not_known() -> None:
    assert _client(None) is None
    assert _client("unix") is None
    assert _client("10.1.2.3") is None
    assert _client("10.1.2.3", "") is None
    assert _client("10.1.2.3", "192.0.2.7, unknown") is None
    assert _client("10.1.2.3", "192.0.2.7,") is None
    assert _client("10.1.2.3", "192.0.2.7, " + "x" * 5000) is None


@given(st.lists(st.text(max_size=20), max_size=5), st.ip_addresses())
def test_whatever_a_client_forges_its_proxy_names_it(forged: list[str], real: object) -> None:
    own = addresses.address(str(real))
    named = ",".join([*forged, str(real)]).encode("utf-8", "replace")

    found = addresses.of_client("10.0.0.1", [named], PROXIES)

    # A client inside the trusted networks is taken for one more proxy: whoever is trusted is believed.
    if not addresses.is_in(own, PROXIES):
        assert found == own
