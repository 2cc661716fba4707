"""ClientHello and WebSocket frames: any cut gives the same, what is malformed is refused, nothing raises anything else."""

import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.egress.names import SyntheticNames
from bot_bottle.egress.wire.frames import FrameScrubber, FrameWatcher
from bot_bottle.egress.wire.http1 import Malformed
from bot_bottle.egress.wire.sni import client_hello, server_name
from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber

SECRET, PLACEHOLDER = b"sk-0123456789abcdefghijklmnop", b"sk-PLACEHOLDERPLACEHOLDERPLA"
SCRUBBER = Scrubber(needles("example", SECRET, PLACEHOLDER))


def hello(name: str | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = name is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("name", ["api.test", "a" * 60 + ".test", None])
def test_the_name_of_a_real_client_hello(name: str | None) -> None:
    found = client_hello(hello(name))
    assert found is not None
    assert server_name(found) == name


def test_a_hello_in_several_records_and_pieces() -> None:
    whole = hello("api.test")
    body = whole[5:]
    records = b"".join(b"\x16\x03\x01" + len(part).to_bytes(2) + part for part in (body[:3], body[3:40], body[40:]))
    assert all(client_hello(records[:cut]) is None for cut in range(len(records)))
    assert server_name(client_hello(records) or b"") == "api.test"


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_a_damaged_hello_is_malformed_or_read(data: st.DataObject) -> None:
    whole = bytearray(hello("api.test"))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(whole), 260) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    try:
        found = client_hello(bytes(whole))
        if found is not None:
            name = server_name(found)
            assert name is None or name.isascii()
    except Malformed:
        pass


def test_two_names_or_a_strange_list_are_refused() -> None:
    def with_extensions(data: bytes) -> bytes:
        return b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0" + len(data).to_bytes(2) + data

    one = b"\0\0\0\x0d\0\x0b\0\0\x08api.test"
    assert server_name(with_extensions(one)) == "api.test"
    for bad in (one + one, b"\0\0\0\x0d\0\x0b\1\0\x08api.test", b"\0\0\0\x0d\0\x0a\0\0\x08api.test", one[:-1]):
        with pytest.raises(Malformed):
            server_name(with_extensions(bad))


def frame(opcode: int, payload: bytes, fin: bool, mask: bytes = b"") -> bytes:
    size = len(payload)
    head = bytes((opcode | (128 if fin else 0),))
    bit = 128 if mask else 0
    head += bytes((bit | size,)) if size < 126 else bytes((bit | 126,)) + size.to_bytes(2)
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return head + mask + body


def payload_of(frames: bytes) -> bytes:
    """Data payload of unmasked frames."""
    out, at = b"", 0
    while at < len(frames):
        opcode, size = frames[at] & 15, frames[at + 1]
        at += 2
        if size == 126:
            size, at = int.from_bytes(frames[at : at + 2]), at + 2
        if opcode < 8:
            out += frames[at : at + size]
        at += size
    return out


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 240), st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_d24_frames_are_scrubbed_at_every_cut(filler: bytes, split: int, cuts: list[int]) -> None:
    text = filler + SECRET + filler
    wire = frame(1, text[:split], False) + frame(9, b"p", True) + frame(0, text[split:], True)
    scrubber, out, at = FrameScrubber(SCRUBBER), b"", 0
    while at < len(wire):
        step = cuts[at % len(cuts)]
        out += scrubber.feed(wire[at : at + step])
        at += step
    assert payload_of(out) == SCRUBBER.clean(text)
    assert SECRET not in out


@settings(deadline=None)
@given(st.binary(min_size=4, max_size=4), st.integers(0, 60), st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_b43_masked_frames_are_watched_at_every_cut(mask: bytes, split: int, cuts: list[int]) -> None:
    text = b"hello " + SECRET
    wire = frame(2, text[:split], False, mask) + frame(0, text[split:], True, mask)
    watcher, found, at = FrameWatcher(SCRUBBER), None, 0
    while at < len(wire):
        step = cuts[at % len(cuts)]
        found = found or watcher.watch(wire[at : at + step])
        at += step
    assert found == "example"


@pytest.mark.parametrize(
    "bad",
    [
        frame(1, b"a", True, b"mask"),
        b"\xc1\1a",
        b"\x83\0",
        frame(0, b"a", True),
        frame(1, b"a", False) + frame(1, b"b", True),
        frame(9, b"a", False),
        b"\x89\x7e\0\x80" + bytes(128),
        b"\x82\x7f\xff" + bytes(7),
    ],
)
def test_d24_frames_that_break_the_rules(bad: bytes) -> None:
    with pytest.raises(Malformed):
        FrameScrubber(SCRUBBER).feed(bad)


def test_synthetic_names_are_stable_and_bounded() -> None:
    names = SyntheticNames(limit=2)
    first, second = names.addresses("a.test"), names.addresses("b.test")
    assert first is not None and second is not None and first != second
    assert names.addresses("a.test") == first
    assert names.addresses("c.test") is None
    assert [names.name_of(address) for address in (*first, *second)] == ["a.test", "a.test", "b.test", "b.test"]
    assert names.name_of("198.18.0.1") is None and names.name_of("8.8.8.8") is None and names.name_of("::1") is None
