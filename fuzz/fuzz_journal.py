"""The journal and the bundles: no byte is lost, whatever the pieces in which they arrive."""

import sys

from bot_bottle.audit.encode import MAX_LINE
from bot_bottle.audit.journal import leaves
from bot_bottle.audit.tiles import pack, unpack


def test_one_input(data: bytes) -> None:
    data = data.replace(b"\xfe", b"x" * 9000)
    whole, rest = leaves(data)
    assert b"".join(whole) + rest == data
    assert all(0 < len(leaf) <= MAX_LINE for leaf in whole)
    assert len(rest) < MAX_LINE
    cut = len(data) // 3
    first, left = leaves(data[:cut])
    second, left = leaves(left + data[cut:])
    assert (first + second, left) == (whole, rest)
    assert unpack(pack(whole)) == whole
    unpack(data)


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
