"""Event streams: any chunks of any bytes come out as they went in, unless they spell out a secret."""

import sys

from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber

SECRET = b"sk-abcabcabcabcabcabcxyz"
SCRUBBER = Scrubber(needles("first", SECRET, b"sk-PPPPPPPPPPPPPPPPPPPPP"))
PIECES = (
    b'data: {"a":"',
    b'"}\n\n',
    b'","b":"',
    b"\\n",
    b"\\",
    b'"',
    b"\r\n",
    b": x\n",
    b"event: y\n",
    SECRET,
    b"data:",
)


def test_one_input(data: bytes) -> None:
    """First byte: chunk size. Bytes under 128 stand for pieces of streams and of the secret."""
    if not data:
        return
    size = data[0] % 29 + 1
    body = b"data: " + b"".join(
        PIECES[byte % 11] if byte < 64 else SECRET[byte % 24 : byte % 24 + 3] if byte < 128 else bytes((byte - 96,))
        for byte in data[1:200]
    )
    stream = SCRUBBER.stream()
    out = b"".join(stream.feed(body[at : at + size]) for at in range(0, len(body), size)) + stream.finish()
    assert SECRET not in out
    assert stream.held == 0
    assert stream.hits or out == body


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
