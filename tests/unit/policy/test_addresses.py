"""policy.addresses: our classes against the standard library's, and the edges of each range."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.policy.addresses import _V4, _V6, AddressClass, classify


@pytest.mark.parametrize(
    ("ip", "kind"),
    [
        ("8.8.8.8", "public"),
        ("2606:4700::1111", "public"),
        ("10.1.2.3", "private"),
        ("fd12::1", "private"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("100.64.0.1", "cgnat"),
        ("169.254.169.254", "metadata"),
        ("168.63.129.16", "metadata"),
        ("100.100.100.200", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("192.0.2.1", "documentation"),
        ("2001:db8::1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("198.18.0.1", "benchmark"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("255.255.255.255", "reserved"),
        ("4000::1", "reserved"),
        ("::ffff:8.8.8.8", "embedded-ipv4"),
        ("::8.8.8.8", "embedded-ipv4"),
        ("64:ff9b::808:808", "embedded-ipv4"),
        ("2002:808:808::1", "embedded-ipv4"),
        ("2001:0:808:808::1", "embedded-ipv4"),
        ("2606:4700::5efe:a00:1", "embedded-ipv4"),
        ("2606:4700::200:5efe:a00:1", "embedded-ipv4"),
        ("fe80::1%eth0", "malformed"),
        ("010.0.0.1", "malformed"),
        ("0x7f000001", "malformed"),
        ("", "malformed"),
        ("example.com", "malformed"),
    ],
)
def test_class(ip: str, kind: str) -> None:
    assert classify(ip).value == kind


def test_the_edges_of_every_range() -> None:
    for table in (_V4, _V6):
        for text, _ in table:
            net = ipaddress.ip_network(text)
            assert not classify(str(net[0])).dialable
            assert not classify(str(net[-1])).dialable


@given(st.ip_addresses())
def test_nothing_is_dialable_that_the_standard_library_calls_not_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if classify(str(address)).dialable:
        assert address.is_global and not address.is_multicast


def test_only_public_is_dialable_and_dangerous_classes_cannot_be_pinned() -> None:
    assert [kind for kind in AddressClass if kind.dialable] == [AddressClass.PUBLIC]
    for kind in ("metadata", "multicast", "reserved", "unspecified", "embedded-ipv4", "malformed"):
        assert not AddressClass(kind).pinnable
