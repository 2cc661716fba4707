"""The scrubber: whatever the bytes and the chunks, no needle passes, and text without a needle is unchanged."""

import sys

from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber

NEEDLES = [
    *needles("first", b"sk-abcabcabcabc", b"sk-PPPPPPPPPPPP"),
    *needles("second", b"abcabcabd", b"QQQQQQQQQ"),
    *needles("same", b"aaaaaaaa", b"bbbbbbbb"),
]
FINDS = [needle.find for needle in NEEDLES]
SCRUBBER = Scrubber(NEEDLES)


def test_one_input(data: bytes) -> None:
    """First byte: chunk size. Where bytes under 128 say so, they stand for pieces of needles."""
    if not data:
        return
    size = data[0] % 37 + 1
    body = b"".join(FINDS[byte % len(FINDS)][:byte] if byte < 128 else bytes((byte - 31,)) for byte in data[1:200])
    stream = SCRUBBER.stream()
    out = b"".join(stream.feed(body[at : at + size]) for at in range(0, len(body), size)) + stream.finish()
    assert stream.held == 0
    if any(find in body for find in FINDS):
        assert stream.hits
    else:
        assert out == body
    assert SCRUBBER.clean(body) is body or any(find in body for find in FINDS)


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
