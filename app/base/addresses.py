"""Addresses of the network: whose a request is, and in which networks it lies.

An address of IPv4 that is written as one of IPv6 (`::ffff:10.0.0.1`) is that of IPv4, everywhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from app.base.errors import BadValue

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_MAPPED_BITS = 96
_WITH_PORT = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}|\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?")
_MAX_FORWARDED = 4096


def address(text: str) -> Address | None:
    """What the text names, with or without a port; None where it is no address."""
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        # Which interface of a machine a local address belongs to says nothing here.
        read = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return read.ipv4_mapped or read if isinstance(read, IPv6Address) else read


def network(text: str) -> Network:
    """`10.0.0.0/8`, `2001:db8::/32`, or one address.

    Raises:
        BadValue: it is no network, or has bits beyond its prefix.
    """
    try:
        read = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise BadValue(f'"{text[:80]}" is not a network. Write it as 10.0.0.0/8 or 2001:db8::/32.') from None
    if isinstance(read, IPv6Network) and read.prefixlen >= _MAPPED_BITS and read.network_address.ipv4_mapped:
        read = IPv4Network((read.network_address.ipv4_mapped, read.prefixlen - _MAPPED_BITS))
    elif text.strip().partition("/")[0] != "" and _has_more_bits(text.strip()):
        raise BadValue(f'"{text[:80]}" has bits beyond its prefix. The network is {read}.')
    return read


def is_in(one: Address | None, networks: Iterable[Network]) -> bool:
    """Whether the address lies in one of them. One that is not known lies nowhere."""
    return one is not None and any(one in known for known in networks)


def is_within(one: Network, networks: Iterable[Network]) -> bool:
    """Whether all of the network lies in one of the others."""
    for known in networks:
        if isinstance(one, IPv4Network):
            if isinstance(known, IPv4Network) and one.subnet_of(known):
                return True
        elif isinstance(known, IPv6Network) and one.subnet_of(known):
            return True
    return False


def of_client(peer: str | None, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> Address | None:
    """Who sent a request that came from `peer`; None where that is not known.

    What `X-Forwarded-For` says (`forwarded`, its lines in order) is believed only from a trusted peer, and from the
    right: each proxy adds whom it got the request from, and what stands left of the first stranger is the stranger's
    own word. A trusted peer that does not say whom it speaks for speaks for nobody known.
    """
    near = None if peer is None else address(peer)
    if not trusted or not is_in(near, trusted):
        return near
    named = b",".join(forwarded)
    if not named or len(named) > _MAX_FORWARDED:
        return None
    found: Address | None = None
    for text in reversed(named.decode("latin-1").split(",")):
        found = address(text)
        if found is None or not is_in(found, trusted):
            return found
    return found


def _has_more_bits(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return True
    return False
