"""WebSocket frames: nothing but Malformed, and no secret passes."""

from bot_bottle.egress.wire.frames import FrameScrubber, FrameWatcher
from bot_bottle.egress.wire.http1 import Malformed
from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber

_SECRET = b"sk-0123456789abcdef"
_SCRUBBER = Scrubber(needles("example", _SECRET, b"sk-PLACEHOLDER"))


def test_one_input(data: bytes) -> None:
    """The server's bytes and the agent's."""
    for feed in (FrameScrubber(_SCRUBBER).feed, FrameWatcher(_SCRUBBER).watch):
        try:
            out = feed(data)
        except Malformed:
            continue
        assert not isinstance(out, bytes) or _SECRET not in out


if __name__ == "__main__":
    import sys

    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
