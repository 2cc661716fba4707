"""Event streams of agents: any bytes are a reading, never an exception."""

import sys

from bot_bottle.harnesses.model import Success
from bot_bottle.harnesses.success import read

KINDS = ("claude", "codex", "pi", "trajectory", "none")


def test_one_input(data: bytes) -> None:
    for kind in KINDS:
        reading = read(Success(kind), data.split(b"\n"), data, data[0] if data else None)  # pyright: ignore
        assert reading.usage.input >= 0 and reading.text.isprintable()


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
