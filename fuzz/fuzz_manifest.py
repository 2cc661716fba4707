"""Front matter, YAML events and the manifest check: any bytes are in order or a ManifestFault with lines."""

import sys

from bot_bottle.base.errors import ManifestFault
from bot_bottle.policy.check import check_agent, check_bottle
from bot_bottle.policy.merge import effective, merge


def test_one_input(data: bytes) -> None:
    for raw in (data, b"---\n" + data + b"\n---\n"):
        try:
            check_agent(raw, "x", "x.md")
        except ManifestFault as fault:
            assert all(problem.what and problem.line >= 1 for problem in fault.problems)
        try:
            effective(merge([check_bottle(raw, "x", "x.md")]), "x")
        except ManifestFault as fault:
            assert all(problem.what for problem in fault.problems)


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
