"""Which addresses the hub may be sent to by a URL that somebody else has written: public ones, and nothing beside them.

The lists are IANA's: https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry. Of
IPv6 only what is allocated as global unicast (2000::/3) is let through, and NAT64, by the IPv4 address inside it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds
        "169.254.170.2",  # containers at AWS
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure's agent, at an address that looks public
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
    )
)
_METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.goog",
        "metadata.google.internal",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata.azure.internal",
        "metadata.tencentyun.com",
    }
)

_PRIVATE_4 = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
_NEVER_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

_GLOBAL_6 = IPv6Network("2000::/3")
_PRIVATE_6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_NEVER_6 = (
    IPv6Network("2001::/23"),  # protocols, among them Teredo, which holds an IPv4 address turned over
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),
)


def is_allowed(address: str, *, private: bool = False) -> bool:
    """Whether a connection may go to an IP address as text.

    `private` lets loopback and private networks through, for development; never link-local ones or those where a cloud
    gives out its machines' credentials.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_allowed_4(parsed, private) if isinstance(parsed, IPv4Address) else _is_allowed_6(parsed, private)


def is_metadata_name(host: str) -> bool:
    """Whether a host's name is one under which a cloud answers its own machines."""
    return host.lower().rstrip(".") in _METADATA_NAMES


def _is_allowed_4(address: IPv4Address, private: bool) -> bool:
    if address in _METADATA or _is_in(address, _NEVER_4):
        return False
    return private or not _is_in(address, _PRIVATE_4)


def _is_allowed_6(address: IPv6Address, private: bool) -> bool:
    if address in _METADATA or address.scope_id is not None:
        return False
    if address in _NAT64:
        return _is_allowed_4(IPv4Address(address.packed[12:]), private)
    if address in _6TO4:
        return _is_allowed_4(IPv4Address(address.packed[2:6]), private)
    if address in _GLOBAL_6:
        return not any(address in network for network in _NEVER_6)
    # What is mapped (::ffff:0:0/96) or compatible (::/96) is here too: nobody needs to write an IPv4 address so.
    return private and any(address in network for network in _PRIVATE_6)


def _is_in(address: IPv4Address, networks: tuple[IPv4Network, ...]) -> bool:
    return any(address in network for network in networks)
