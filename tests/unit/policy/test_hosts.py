"""policy.hosts: one spelling for every host, and nothing that could be read in two ways."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.policy.hosts import canonical_host, canonical_pattern, covers, is_address, split_authority

LABEL = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.Com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("r3---sn.example.com", "r3---sn.example.com"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1.", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert canonical_host(text) == canonical


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a..b", "-a.com", "a-.com", "a b.com", "a/b", "u@h", "a:80", "h#x", "h?x", "*.com", "a" * 64 + ".com",
     "xn--a-ecp.ru\u200b", "[::1", "::1]", "[::1]x", "xn--\u00fc", "ex\u00adample.com", "ex\u200dample.com", "straße.de"],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(a|an) "):
        canonical_host(text)


def test_a_name_longer_than_dns_allows_is_refused() -> None:
    with pytest.raises(ValueError, match="63 characters"):
        canonical_host(".".join(["a" * 60] * 5))


@given(st.one_of(NAME, st.text(max_size=30), st.ip_addresses().map(str)))
def test_idempotent_and_either_refused_or_plain(text: str) -> None:
    try:
        host = canonical_host(text)
    except ValueError:
        return
    assert canonical_host(host) == host
    assert host.isascii() and host == host.lower() and not host.endswith(".")
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.:")


@given(st.ip_addresses(v=6))
def test_every_ipv6_that_is_accepted_is_its_rfc_5952_text(address: ipaddress.IPv6Address) -> None:
    for text in (str(address), address.exploded.upper(), f"[{address}]"):
        if address.ipv4_mapped:
            with pytest.raises(ValueError, match="IPv4"):
                canonical_host(text)
        else:
            assert canonical_host(text) == address.compressed


@given(NAME, st.integers(1, 65535))
def test_an_authority_with_a_port(name: str, port: int) -> None:
    try:
        host = canonical_host(name)
    except ValueError:
        return
    assert split_authority(f"{name}:{port}", 443) == (host, port)
    assert split_authority(name, 443) == (host, 443)


@pytest.mark.parametrize(
    "text", ["a:", "a:0", "a:65536", "a:+1", "a:1 ", "a:٣", "[::1]9", "a:b@c", "u:p@h:80", "[::1]:"]
)
def test_bad_authorities(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(a|an) "):
        split_authority(text, 443)


def test_an_authority_of_ipv6() -> None:
    assert split_authority("[::1]:8443", 443) == ("::1", 8443)
    assert split_authority("[::1]", 443) == ("::1", 443)


@pytest.mark.parametrize(
    ("pattern", "host", "is_covered"),
    [
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.example.com", "badexample.com", False),
        ("example.com", "example.com", True),
        ("example.com", "a.example.com", False),
    ],
)
def test_a_wildcard_is_exactly_one_label(pattern: str, host: str, is_covered: bool) -> None:
    assert covers(canonical_pattern(pattern), host) is is_covered


@pytest.mark.parametrize(
    "text", ["*", "*.", "*.com", "a.*.com", "**.a.com", "*a.example.com", "*.10.0.0.1", "*.1.2.3.4"]
)
def test_bad_wildcards(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(a|an) "):
        canonical_pattern(text)


def test_addresses_are_told_from_names() -> None:
    assert is_address("10.0.0.1") and is_address("::1")
    assert not is_address("a.example") and not is_address("1.example")


@pytest.mark.parametrize("text", ["https://api.example.com/v1", "api.example.com/v1", "api.example.com:443"])
def test_a_url_as_a_host_is_told_where_its_parts_go(text: str) -> None:
    with pytest.raises(ValueError, match="a name alone"):
        canonical_pattern(text)
