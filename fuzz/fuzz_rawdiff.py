"""Raw differences of git: any bytes are refused, or a list that says the same bytes again."""

import sys

from bot_bottle.bottles.workspace.rawdiff import RawDiffError, parse_raw


def test_one_input(data: bytes) -> None:
    try:
        changes = parse_raw(data)
    except RawDiffError:
        return
    again = b"".join(
        f":{c.old_mode} {c.new_mode} {c.old} {c.new} {c.status}\0".encode() + c.path + b"\0" for c in changes
    )
    assert again == data
    for change in changes:
        assert change.path and not change.path.startswith(b"/")
        assert not {b"", b".", b".."} & set(change.path.split(b"/"))


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
