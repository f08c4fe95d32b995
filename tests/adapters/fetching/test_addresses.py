"""Where a URL of somebody else may lead: public addresses only, however they are written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.adapters.fetching import addresses

_PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:80b::200e", "64:ff9b::8.8.8.8")
_PRIVATE = ("127.0.0.1", "127.255.1.2", "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12:3456::1")
_NEVER = (
    "0.0.0.0",
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "2002:a9fe:a9fe::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100::1",
    "",
    "example.com",
    "1.2.3",
    "0x7f000001",
)


@pytest.mark.parametrize("address", _PUBLIC)
def test_a_public_address_may_be_reached(address: str) -> None:
    assert addresses.is_allowed(address)
    assert addresses.is_allowed(address, private=True)


@pytest.mark.parametrize("address", [*_PRIVATE, "64:ff9b::10.0.0.1", "2002:7f00:1::1"])
def test_a_private_address_may_be_reached_only_where_an_operator_allows_it(address: str) -> None:
    assert not addresses.is_allowed(address)
    assert addresses.is_allowed(address, private=True)


@pytest.mark.parametrize("address", _NEVER)
def test_what_is_no_place_of_the_network_may_never_be_reached(address: str) -> None:
    assert not addresses.is_allowed(address)
    assert not addresses.is_allowed(address, private=True)


@given(st.ip_addresses(v=4))
@example(IPv4Address("192.0.0.9"))
def test_no_ipv4_address_is_let_through_that_the_standard_library_calls_not_global(address: IPv4Address) -> None:
    if addresses.is_allowed(str(address)):
        assert address.is_global and not address.is_multicast


@given(st.ip_addresses(v=6))
@example(IPv6Address("2001::1"))
@example(IPv6Address("2002:7f00:1::"))
def test_no_ipv6_address_is_let_through_that_the_standard_library_calls_not_global(address: IPv6Address) -> None:
    if addresses.is_allowed(str(address)):
        assert (address.is_global and not address.is_multicast) or str(address).startswith("64:ff9b::")


@given(st.ip_addresses(v=4), st.sampled_from(("::ffff:{}", "64:ff9b::{}", "::{}")))
def test_an_ipv4_address_inside_an_ipv6_one_is_never_let_through_when_it_is_not_by_itself(
    address: IPv4Address, form: str
) -> None:
    if addresses.is_allowed(form.format(address)):
        assert addresses.is_allowed(str(address))


@given(st.ip_addresses(v=4))
def test_a_6to4_address_is_as_good_as_the_ipv4_address_inside_it(address: IPv4Address) -> None:
    embedding = ip_address(bytes.fromhex("2002") + address.packed + bytes(10))

    assert addresses.is_allowed(str(embedding)) == addresses.is_allowed(str(address))


@pytest.mark.parametrize("name", ["metadata.google.internal", "METADATA.google.internal.", "metadata", "instance-data"])
def test_the_names_under_which_clouds_answer_their_machines_are_known(name: str) -> None:
    assert addresses.is_metadata_name(name)
    assert not addresses.is_metadata_name(f"{name.rstrip('.')}.example.com")
