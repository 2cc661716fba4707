"""syslog: whatever label, kind and text are, the frame has its length and one header."""

import re
import sys

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.sinks.syslog import message

_FRAME = re.compile(
    rb"(\d+) <\d{1,3}>1 (?:-|[0-9TZ:.-]+) [\x21-\x7e]+ bot-bottle [\x21-\x7e]+ [\x21-\x7e]+ - ", re.DOTALL
)


def test_one_input(data: bytes) -> None:
    label, _, rest = data.decode("utf-8", "replace").partition("\x00")
    kind, _, host = rest.partition("\x00")
    when = int.from_bytes(data[:9], "big", signed=True)
    record = Record(VERSION, kind, "r", max(-(2**62), min(2**62, when)), 0, "b", "a", "h", label, "p")
    out = message(Entry("r", 0, b"", record), data, host)
    match = _FRAME.match(out)
    assert match
    assert len(out) == len(match[1]) + 1 + int(match[1])
    assert b"\n" not in out


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
