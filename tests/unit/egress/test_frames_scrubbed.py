"""The server's WebSocket messages are framed anew, and stay the same messages at every chunking."""

from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.egress.wire.frames import FrameScrubber
from bot_bottle.inspect.scrub import Scrubber


def frame(fin: bool, opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    head = bytes([opcode | (128 if fin else 0)])
    if size < 126:
        return head + bytes([size]) + payload
    return head + (bytes([126]) + size.to_bytes(2) if size < 65536 else bytes([127]) + size.to_bytes(8)) + payload


def messages(data: bytes) -> list[tuple[int, bytes]]:
    """Reads frames strictly: a continuation only inside a message, a new message only outside."""
    out: list[tuple[int, bytes]] = []
    opcode, held = 0, b""
    while data:
        first, size, at = data[0], data[1] & 127, 2
        wide = {126: 2, 127: 8}.get(size, 0)
        if wide:
            size, at = int.from_bytes(data[2 : 2 + wide]), 2 + wide
        payload, data = data[at : at + size], data[at + size :]
        kind = first & 15
        if kind >= 8:
            out.append((kind, payload))
            continue
        assert (kind == 0) == bool(opcode)
        opcode, held = opcode or kind, held + payload
        if first & 128:
            out.append((opcode, held))
            opcode, held = 0, b""
    return out


def scrubbed(parts: list[bytes]) -> bytes:
    stream = FrameScrubber(Scrubber())
    return b"".join(stream.feed(part) for part in parts)


def test_a_frame_that_comes_in_two_reads_stays_one_message() -> None:
    whole = frame(True, 2, bytes(70000))
    assert messages(scrubbed([whole[:5000], whole[5000:]])) == [(2, bytes(70000))]


@given(
    st.lists(st.tuples(st.sampled_from((1, 2, 9)), st.binary(max_size=120)), max_size=6), st.lists(st.integers(1, 50))
)
def test_messages_are_the_same_at_every_chunking(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frame(True, opcode, payload) for opcode, payload in sent)
    parts: list[bytes] = []
    for cut in cuts:
        parts.append(data[:cut])
        data = data[cut:]
    parts.append(data)
    assert messages(scrubbed(parts)) == sent
