"""The spool: whatever lies in its file, a body is read as it was written or not at all."""

import os
import tempfile

from bot_bottle.egress.spool import Spool, Tampered

BODY = b"held " * 20


def test_one_input(data: bytes) -> None:
    """The first byte says where the rest overwrites what is at rest."""
    with tempfile.TemporaryFile() as file:
        spool = Spool(file.fileno(), 4)
        body = spool.body()
        body.write(BODY)
        body.finish()
        before = os.pread(file.fileno(), 1000, 0)
        os.pwrite(file.fileno(), data[1:], data[0] if data else 0)
        altered = os.pread(file.fileno(), len(before), 0) != before
        try:
            body.check()
            found = body.read()
        except Tampered:
            assert altered
        else:
            assert found == BODY and not altered


if __name__ == "__main__":
    import sys

    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
