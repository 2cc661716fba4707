"""What the web process takes apart of a stranger's request: Host fields, cursors, forms, Last-Event-ID, codes."""

from typing import Any

from starlette.datastructures import Headers

from bot_bottle.web.api import cursor
from bot_bottle.web.forwarded import LOOPBACK_NAMES, Origins, split
from bot_bottle.web.page import fields, shown
from bot_bottle.web.pairing import ALPHABET, plain
from bot_bottle.web.problem import WebFault
from bot_bottle.web.sse import event, positions

PROXIED = Origins(frozenset(("box.local",)), frozenset(("10.0.0.2",)), "https://bottle.example.org")


def test_one_input(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for client in ("127.0.0.1", "10.0.0.2"):
        raw = [(b"host", data), (b"x-forwarded-host", data), (b"x-forwarded-for", data)]
        scope: dict[str, Any] = {"scheme": "http", "server": ("127.0.0.1", 8080), "client": (client, 1)}
        seen = PROXIED.seen(scope, Headers(raw=raw))
        if seen.ours and seen.scheme == "http":
            assert split(data.decode("latin-1").lower())[0] in LOOPBACK_NAMES
    try:
        assert cursor.encode(cursor.decode(text, tuple[int, str]))
    except WebFault:
        pass
    try:
        fields(data)
    except WebFault:
        pass
    kept = positions(text)
    again = event("x", text, {name: value for name, value in kept.items() if value.isascii()})
    assert again.count("\n\n") == 1 and "\r" not in again
    assert set(plain(text)) - set(ALPHABET) == {c for c in plain(text) if c not in ALPHABET}
    printed = shown(text)
    assert isinstance(printed, str) and "\x1b" not in printed and "\u202e" not in printed


if __name__ == "__main__":
    import sys

    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
