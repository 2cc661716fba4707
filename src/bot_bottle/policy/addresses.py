"""What kind of place an IP address is: only public ones are dialled unless a route pins one (B13, B16, B18, B20).

Own tables, because those of the standard library change between versions. Sources: IANA special-purpose address
registries for IPv4 and IPv6 (RFC 6890), and the vendors' documents for the metadata addresses.
"""

import ipaddress
from enum import Enum


class AddressClass(Enum):
    """One named class. `dialable`: may be reached by a name that resolves to it. `pinnable`: by ``address:``."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    CGNAT = "cgnat"
    METADATA = "metadata"
    DOCUMENTATION = "documentation"
    MULTICAST = "multicast"
    BENCHMARK = "benchmark"
    RESERVED = "reserved"
    UNSPECIFIED = "unspecified"
    EMBEDDED_IPV4 = "embedded-ipv4"
    MALFORMED = "malformed"

    @property
    def dialable(self) -> bool:
        return self is AddressClass.PUBLIC

    @property
    def pinnable(self) -> bool:
        return self in _PINNABLE


_PINNABLE = frozenset(
    {
        AddressClass.PUBLIC,
        AddressClass.PRIVATE,
        AddressClass.LOOPBACK,
        AddressClass.LINK_LOCAL,
        AddressClass.CGNAT,
        AddressClass.BENCHMARK,
        AddressClass.DOCUMENTATION,  # some closed networks answer every name with one
    }
)

_METADATA = frozenset(
    {
        "169.254.169.254",  # AWS, Azure, GCP, Oracle, DigitalOcean, OpenStack
        "169.254.169.253",  # AWS resolver
        "169.254.169.123",  # AWS time
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "169.254.42.42",  # Scaleway
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure platform channel
        "192.0.0.192",  # Oracle classic
        "fd00:ec2::254",  # AWS
        "fd00:ec2::253",
        "fd00:ec2::23",  # AWS EKS pod identity
        "fd20:ce::254",  # GCP
        "fd00:42::42",  # Scaleway
        "fd00:a9fe:a9fe::254",  # others that map the IPv4 address into a unique local one
    }
)

_V4 = (
    ("0.0.0.0/8", AddressClass.UNSPECIFIED),
    ("10.0.0.0/8", AddressClass.PRIVATE),
    ("100.64.0.0/10", AddressClass.CGNAT),
    ("127.0.0.0/8", AddressClass.LOOPBACK),
    ("169.254.0.0/16", AddressClass.LINK_LOCAL),
    ("172.16.0.0/12", AddressClass.PRIVATE),
    ("192.0.0.0/24", AddressClass.RESERVED),
    ("192.0.2.0/24", AddressClass.DOCUMENTATION),
    ("192.31.196.0/24", AddressClass.RESERVED),  # AS112
    ("192.52.193.0/24", AddressClass.RESERVED),  # AMT
    ("192.88.99.0/24", AddressClass.RESERVED),  # 6to4 relay, deprecated
    ("192.168.0.0/16", AddressClass.PRIVATE),
    ("192.175.48.0/24", AddressClass.RESERVED),  # AS112
    ("198.18.0.0/15", AddressClass.BENCHMARK),
    ("198.51.100.0/24", AddressClass.DOCUMENTATION),
    ("203.0.113.0/24", AddressClass.DOCUMENTATION),
    ("224.0.0.0/4", AddressClass.MULTICAST),
    ("240.0.0.0/4", AddressClass.RESERVED),
)

_V6 = (
    ("::/128", AddressClass.UNSPECIFIED),
    ("::1/128", AddressClass.LOOPBACK),
    ("::ffff:0:0/96", AddressClass.EMBEDDED_IPV4),  # mapped
    ("::ffff:0:0:0/96", AddressClass.EMBEDDED_IPV4),  # translated, RFC 2765
    ("::/96", AddressClass.EMBEDDED_IPV4),  # compatible, deprecated
    ("64:ff9b::/96", AddressClass.EMBEDDED_IPV4),  # NAT64
    ("64:ff9b:1::/48", AddressClass.EMBEDDED_IPV4),  # local NAT64
    ("100::/64", AddressClass.RESERVED),  # discard
    ("2001::/32", AddressClass.EMBEDDED_IPV4),  # Teredo
    ("2001:2::/48", AddressClass.BENCHMARK),
    ("2001:db8::/32", AddressClass.DOCUMENTATION),
    ("2001::/23", AddressClass.RESERVED),
    ("2002::/16", AddressClass.EMBEDDED_IPV4),  # 6to4
    ("2620:4f:8000::/48", AddressClass.RESERVED),  # AS112
    ("3fff::/20", AddressClass.DOCUMENTATION),
    ("5f00::/16", AddressClass.RESERVED),  # segment routing
    ("fc00::/7", AddressClass.PRIVATE),
    ("fe80::/10", AddressClass.LINK_LOCAL),
    ("fec0::/10", AddressClass.PRIVATE),  # site-local, deprecated
    ("ff00::/8", AddressClass.MULTICAST),
)


def _ranges(table: tuple[tuple[str, AddressClass], ...]) -> tuple[tuple[int, int, AddressClass], ...]:
    """(mask, network, class), narrow networks first in the order of the table."""
    nets = [(ipaddress.ip_network(text), kind) for text, kind in table]
    return tuple((int(net.netmask), int(net.network_address), kind) for net, kind in nets)


_RANGES4 = _ranges(_V4)
_RANGES6 = _ranges(_V6)
_GLOBAL6 = ipaddress.IPv6Network("2000::/3")


def classify(ip: str) -> AddressClass:
    """The class of an address in its canonical text; text with a zone id or in another notation is MALFORMED."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return AddressClass.MALFORMED
    if "%" in ip:
        return AddressClass.MALFORMED
    if address.compressed in _METADATA:
        return AddressClass.METADATA
    number = int(address)
    for mask, network, kind in _RANGES4 if address.version == 4 else _RANGES6:
        if number & mask == network:
            return kind
    if address.version == 6:
        return _global6(address)
    return AddressClass.PUBLIC


def _global6(address: ipaddress.IPv6Address) -> AddressClass:
    """Global unicast is 2000::/3; an ISATAP interface id (RFC 5214) carries an IPv4 address."""
    if address not in _GLOBAL6:
        return AddressClass.RESERVED
    if (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE:
        return AddressClass.EMBEDDED_IPV4
    return AddressClass.PUBLIC
