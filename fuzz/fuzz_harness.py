"""Harness files: any text is a harness or a ManifestFault whose problems say what is wrong."""

import sys

from bot_bottle.base.errors import ManifestFault
from bot_bottle.harnesses.load import parse

HEAD = 'format = 1\nname = "x"\ntitle = "X"\n[headless]\nargv = ["{entry}"]\n[interactive]\n'


def test_one_input(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for candidate in (text, HEAD + text):
        try:
            parse(candidate, "x.toml")
        except ManifestFault as fault:
            assert fault.problems and all(problem.what for problem in fault.problems)


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
