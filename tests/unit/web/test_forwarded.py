"""Which names are ours, and what a browser calls them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from bot_bottle.web.forwarded import Origins, is_loopback, split

TLS = Origins(frozenset(("192.168.1.7", "box.local", "[fd00::7]")))
PROXIED = Origins(frozenset(), frozenset(("10.0.0.2",)), "https://bottle.example.org")


def seen(
    origins: Origins,
    host: str,
    *,
    scheme: str = "http",
    server: str = "127.0.0.1",
    client: str = "127.0.0.1",
    **more: str,
) -> Any:
    scope = {"scheme": scheme, "server": (server, 8443 if scheme == "https" else 8080), "client": (client, 1)}
    return origins.seen(
        scope, Headers({"host": host} | {name.replace("_", "-"): value for name, value in more.items()})
    )


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("LOCALHOST:8080", "http://localhost:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_loopback_is_ours_at_its_port(host: str, origin: str) -> None:
    found = seen(Origins(), host)
    assert found.ours and found.local and found.origin == origin and found.cookie == "bot-bottle-8080"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:8081",
        "127.0.0.1:08080x",
        "[::1",
        "[::1]x:8080",
        "127.1:8080",
        "2130706433:8080",
        "localhost.:8080",
        "192.168.1.7:8080",
    ],
)
def test_everything_else_is_not(host: str) -> None:
    found = seen(TLS, host)
    assert not found.ours and found.origin == "" and not found.local


@pytest.mark.parametrize("host", ["192.168.1.7:8443", "box.local:8443", "[fd00::7]:8443"])
def test_names_of_the_certificate_are_ours_over_tls(host: str) -> None:
    found = seen(TLS, host, scheme="https", server="192.168.1.7", client="192.168.1.20")
    assert found.ours and not found.local and found.secure and found.cookie == "__Host-bot-bottle"
    assert not seen(TLS, host, scheme="http", server="192.168.1.7").ours


def test_loopback_names_are_not_ours_where_another_address_was_reached() -> None:
    """A container's forward or a NAT: the name says loopback, the socket does not."""
    assert not seen(TLS, "127.0.0.1:8443", scheme="https", server="192.168.1.7").ours


def test_the_default_port_may_be_left_out() -> None:
    scope = {"scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1)}
    found = Origins().seen(scope, Headers({"host": "localhost"}))
    assert found.ours and found.origin == "http://localhost" and found.cookie == "bot-bottle-80"


def test_the_stated_proxy_gives_the_public_origin() -> None:
    more = {"x_forwarded_for": "203.0.113.9, 198.51.100.1", "x_forwarded_proto": "https"}
    found = seen(PROXIED, "bottle.example.org", server="10.0.0.1", client="10.0.0.2", **more)
    assert found.ours and not found.local and found.origin == "https://bottle.example.org" and found.secure
    assert found.client == "198.51.100.1"  # what the proxy itself saw, not what the client claimed
    assert not seen(PROXIED, "bottle.example.org", server="10.0.0.1", client="10.0.0.3", **more).ours
    assert not seen(PROXIED, "evil.example", server="10.0.0.1", client="10.0.0.2", **more).ours


@given(st.text(max_size=60))
def test_a_host_never_breaks_and_never_lies(text: str) -> None:
    name, port = split(text)
    assert 0 <= port <= 99999
    if name and port and not text.startswith("["):
        assert text.startswith(f"{name}:")


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("", False),
        ("localhost", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_what_loopback_is(address: str, found: bool) -> None:
    assert is_loopback(address) is found
