"""settings.toml: settings, or a fault whose problems have lines of the file."""

import sys

from bot_bottle.api.settings import SettingsFault, parse


def test_one_input(data: bytes) -> None:
    try:
        parse(data)
    except SettingsFault as fault:
        assert fault.problems
        last = data.count(b"\n") + 1
        assert all(0 <= one.line <= last for one in fault.problems)
        assert all(char.isprintable() or char == "\n" for char in str(fault))


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
