"""The ClientHello reader: nothing but Malformed, and only ASCII names."""

from bot_bottle.egress.wire.http1 import Malformed
from bot_bottle.egress.wire.sni import client_hello, server_name


def test_one_input(data: bytes) -> None:
    """Records, and a bare hello body."""
    for read in (lambda: client_hello(data), lambda: server_name(data)):
        try:
            found = read()
        except Malformed:
            continue
        assert found is None or isinstance(found, bytes) or found.isascii()


if __name__ == "__main__":
    import sys

    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
