"""Filters of Live, Log and search: a fault with its place, or a filter that is read back from what it writes."""

import sys

from bot_bottle.audit.filter_match import Seen, matcher
from bot_bottle.audit.filters import FilterFault, parse
from bot_bottle.audit.record import VERSION, Record

_RECORD = Record(
    VERSION, "outcome", "r", 1_795_600_000_000_000_000, 1, "b", "a", "h", "l", "d", target="https://a.example:443",
    method="GET", path="/x", verdict="allow", rule="b/x", secrets=("KEY",), status=200,
)  # fmt: skip
_SEEN = Seen(_RECORD, "r", "a.example", '{"kind":"outcome"}')


def test_one_input(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        wanted = parse(text)
    except FilterFault as fault:
        assert 0 <= fault.position <= fault.end <= len(text)
        assert fault.what.isprintable()
        return
    assert parse(str(wanted)) == wanted
    matcher(wanted, _RECORD.time)(_SEEN)


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
