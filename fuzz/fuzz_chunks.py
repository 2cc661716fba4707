"""The chunk scanner: nothing but Malformed, and the same payload at another cut."""

from bot_bottle.egress.wire.chunks import Dechunker
from bot_bottle.egress.wire.http1 import Malformed


def _read(pieces: list[bytes]) -> tuple[bytes, bool] | None:
    reader, payload = Dechunker(), b""
    try:
        for piece in pieces:
            got, rest = reader.feed(piece)
            payload += got
            if rest:
                break
    except Malformed:
        return None
    return payload, reader.done


def test_one_input(data: bytes) -> None:
    """One body, whole and byte by byte."""
    whole = _read([data])
    single = _read([data[at : at + 1] for at in range(len(data))])
    assert whole == single or whole is None or single is None
    if whole is not None and single is not None:
        assert whole == single


if __name__ == "__main__":
    import sys

    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
