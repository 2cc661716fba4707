"""Needles: any secret of eight bytes or more has distinct, non-empty forms, and each is found again."""

import sys

from bot_bottle.inspect.needles import MINIMUM, needles
from bot_bottle.inspect.scrub import Scrubber


def test_one_input(data: bytes) -> None:
    value, placeholder = data[: len(data) // 2 + MINIMUM], data[len(data) // 2 :] or b"p"
    if len(value) < MINIMUM:
        return
    made = needles("example", value, placeholder)
    finds = [needle.find for needle in made]
    assert len(set(finds)) == len(finds)
    assert min(map(len, finds)) >= MINIMUM
    scrubber = Scrubber(made)
    for find in finds:
        assert scrubber.contains_secret(b"<" + find + b">") == "example"


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
