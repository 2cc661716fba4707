"""Lines of a log: a fault, or a record that encodes to one bounded line and comes back the same."""

import sys

from bot_bottle.audit.encode import MAX_LINE, decode, encode
from bot_bottle.base.errors import AuditFault


def test_one_input(data: bytes) -> None:
    for line in (data, data + b"\n"):
        try:
            record = decode(line)
        except AuditFault:
            continue
        out = encode(record)
        assert len(out) <= MAX_LINE
        assert all(0x20 <= byte < 0x7F for byte in out[:-1])
        assert encode(decode(out)) == out


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
