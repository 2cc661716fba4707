"""Assertion files (policy test): any bytes are assertions or a ManifestFault with lines, and are answered."""

import sys

from bot_bottle.base.errors import ManifestFault
from bot_bottle.policy import assertions
from bot_bottle.policy.decide import compile
from bot_bottle.policy.effective import Policy

_KNOWN = compile(Policy("b", (), default="ask"))


def test_one_input(data: bytes) -> None:
    for raw in (data, b"allow:\n  - " + data, b"deny: [" + data + b"]"):
        try:
            read = assertions.read(raw, "x.test.yaml")
        except ManifestFault as fault:
            assert all(problem.what for problem in fault.problems)
            continue
        for one in assertions.failures(_KNOWN, read):
            assert one.got and one.text.isprintable()


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
