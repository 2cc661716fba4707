"""CEF: whatever a line of the log is, the event is one line whose fields a strict reader finds again."""

import re
import sys

from bot_bottle.audit.entries import entry
from bot_bottle.audit.formats import cef

_HEADER = re.compile(r"CEF:0\|bot-bottle\|bot-bottle\|[^|\\]+\|((?:[^|\\]|\\.)*)\|((?:[^|\\]|\\.)*)\|(\d+)\|")


def test_one_input(data: bytes) -> None:
    texts = data.decode("utf-8", "replace").split("\x00")
    for line in (data + b"\n", _record(texts)):
        out = cef.line(entry("20261125t023842-9f3a00112233", 3, line)).decode()
        assert out.endswith("\n")
        assert "\n" not in out[:-1]
        assert "\r" not in out
        header = _HEADER.match(out)
        assert header
        rest = out[header.end() : -1]
        keys = re.findall(r"(?:^| )([A-Za-z0-9]+)=", re.sub(r"\\.", "", rest))
        assert len(keys) == len(set(keys))


def _record(texts: list[str]) -> bytes:
    from bot_bottle.audit.encode import encode
    from bot_bottle.audit.record import VERSION, Record

    a, b, c = (*texts, "", "", "")[:3]
    return encode(Record(VERSION, "denied", "r", 1, 1, a, b, c, a, b, path=b, reason=a, rule=c, detail={a: b}))


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
