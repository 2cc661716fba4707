"""Paths: refused, or canonical, idempotent and without a second reading."""

import sys

from bot_bottle.policy.paths import canonical_path, loose_views


def test_one_input(data: bytes) -> None:
    try:
        path = canonical_path(data.decode("latin-1"))
    except ValueError:
        return
    assert canonical_path(path) == path
    for view in (path, *loose_views(path)):
        segments = view.split("/")
        assert not {".", ".."} & set(segments)
        assert "" not in segments[1:-1]


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
