"""Settings of a hostile repository: what is left of any list names no program, holds no user part, and reads back."""

import sys

from bot_bottle.bottles.workspace import gitconfig


def test_one_input(data: bytes) -> None:
    pairs = gitconfig.allowed(gitconfig.parse_list(data))
    text = gitconfig.render(pairs)
    for key, value in pairs:
        section, _, rest = key.lower().partition(".")
        assert section not in ("include", "includeif", "alias", "filter", "credential", "http", "url", "diff", "gpg")
        name = rest.rsplit(".", 1)[-1]
        assert name not in (
            "uploadpack",
            "receivepack",
            "vcs",
            "proxy",
            "sshcommand",
            "fsmonitor",
            "hookspath",
            "driver",
        )
        if name in ("url", "pushurl"):
            assert value and not value.startswith(("-", "ext::")) and "\n" not in value
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    assert len(lines) == 2 * len(pairs) + 1, "no value breaks out of its line"


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
