"""Which stores are opened, in which order, and what a broken config file says."""

import sys
from pathlib import Path

import pytest

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.home import Home
from bot_bottle.base.secret import Secret
from bot_bottle.custody import keys
from bot_bottle.custody.open import Custody, open_custody
from bot_bottle.custody.settings import needed_variables
from bot_bottle.custody.stores.memory import MemoryStore
from bot_bottle.custody.supply import gateway_values, missing
from bot_bottle.custody.visible import visible_environment


@pytest.fixture
def place(tmp_path: Path) -> Home:
    (tmp_path / "secrets").mkdir()
    return Home(str(tmp_path), str(tmp_path / "run"))


def configure(place: Home, text: str) -> None:
    Path(place.secrets, "config.toml").write_text(text)


def test_the_file_comes_before_the_environment(place: Home) -> None:
    environ = {"BOT_BOTTLE_SECRET_EXAMPLE": "from-environment", "BOT_BOTTLE_SECRET_OTHER": "other-value"}
    custody = open_custody(place, environ)
    assert custody.where("example") == "environment"
    assert custody.put(Secret("example", b"from-file")) == "file"
    assert custody.where("example") == "file"
    assert custody.get("example") == Secret("example", b"from-file")
    assert custody.names() == ("example", "other")
    assert custody.located() == {"example": "file", "other": "environment"}
    assert open_custody(place, {}).names() == ("example",)


def test_the_config_file_chooses_stores_and_maps_variables(place: Home) -> None:
    configure(place, 'stores = ["environment"]\n[environment]\nanthropic = "ANTHROPIC_API_KEY"\n')
    custody = open_custody(place, {"ANTHROPIC_API_KEY": "sk-ant-0123456789"})
    assert custody.get("anthropic") == Secret("anthropic", b"sk-ant-0123456789")
    with pytest.raises(OperatorFault):
        custody.put(Secret("x", b"y" * 8))


def test_a_passphrase_is_asked_for_twice_when_new_and_once_when_opened(
    place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(place, 'key = "passphrase"\n')
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return "correct horse battery"

    monkeypatch.setattr(keys.Passphrase.__init__, "__defaults__", (keys.os.urandom, 2**10))
    custody = open_custody(place, {}, ask)
    custody.put(Secret("example", b"sk-example-0123456789"))
    assert custody.get("example") is not None
    assert open_custody(place, {}, ask).get("example") is not None
    assert len(asked) == 3
    assert "passphrase" in custody.protection()[0]


@pytest.mark.parametrize("typed", [["correct horse battery", "correct horse batery"], ["short", "short"]])
def test_a_mistyped_or_short_passphrase_makes_no_file(place: Home, typed: list[str]) -> None:
    configure(place, 'key = "passphrase"\n')
    answers = iter(typed)
    with pytest.raises(OperatorFault) as fault:
        open_custody(place, {}, lambda: next(answers)).put(Secret("example", b"sk-example-0123456789"))
    assert fault.value.slug == "custody.passphrase"
    assert not Path(place.secrets, "secrets.enc").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stores = [", "config.toml"),
        ('stores = ["vault"]', "unknown store"),
        ('stores = ["command"]', "no get"),
        ('key = "post-it"', "unknown"),
        ('colour = "red"', "colour"),
        ("stores = []", "unknown store"),
    ],
)
def test_a_broken_config_file_says_what_is_wrong(place: Home, text: str, words: str) -> None:
    configure(place, text)
    with pytest.raises(OperatorFault, match=words) as fault:
        open_custody(place, {})
    assert fault.value.slug == "custody.config"


def test_no_keyring_means_a_key_file_and_says_so(place: Home) -> None:
    custody = open_custody(place, {"PATH": "/nonexistent", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"})
    custody.put(Secret("example", b"sk-example-0123456789"))
    assert "whoever can read your files can read the secrets" in custody.protection()[0]


def test_a_key_file_that_others_read_is_refused(place: Home) -> None:
    open_custody(place, {}).put(Secret("example", b"sk-example-0123456789"))
    Path(place.keys, "secrets.key").chmod(0o644)
    with pytest.raises(OperatorFault, match="open to others"):
        open_custody(place, {}).get("example")


def test_the_keyring_is_asked_by_its_own_command(place: Home, tmp_path: Path) -> None:
    """A stand-in for secret-tool: what it stores came by standard input, never by an argument."""
    tool = tmp_path / "bin/secret-tool"
    tool.parent.mkdir()
    tool.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n'
        f"case $1 in store) cat > {tmp_path}/kept;; lookup) cat {tmp_path}/kept;; esac\n"
    )
    tool.chmod(0o755)
    environ = {"PATH": f"{tool.parent}:/usr/bin:/bin", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}
    open_custody(place, environ).put(Secret("example", b"sk-example-0123456789"))
    assert open_custody(place, environ).get("example") == Secret("example", b"sk-example-0123456789")
    key = (tmp_path / "kept").read_text()
    assert len(bytes.fromhex(key)) == 32
    assert key not in (tmp_path / "arguments").read_text()
    assert not Path(place.keys, "secrets.key").exists()


def test_supply_gives_what_was_asked_for_and_leaves_out_what_is_unset() -> None:
    store = MemoryStore()
    store.put(Secret("example", b"sk-example-0123456789"))
    store.put(Secret("other", b"sk-other-0123456789"))
    custody = Custody((store,))
    assert gateway_values(["example", "unset"], custody) == {"example": b"sk-example-0123456789"}
    assert missing(["example", "unset"], custody) == ("unset",)


def test_a_visible_secret_must_be_set() -> None:
    store = MemoryStore()
    store.put(Secret("example", b"sk-example-0123456789"))
    custody = Custody((store,))
    assert visible_environment({"example": "TOKEN"}, custody) == {"TOKEN": "sk-example-0123456789"}
    with pytest.raises(OperatorFault, match="unset is not set"):
        visible_environment({"unset": "TOKEN"}, custody)


def test_a_short_value_of_any_store_is_never_used(place: Home) -> None:
    """What cannot be scrubbed out of a reply must not be injected, wherever it comes from."""
    custody = open_custody(place, {"BOT_BOTTLE_SECRET_PIN": "1234567"})
    with pytest.raises(OperatorFault) as fault:
        gateway_values(["pin"], custody)
    assert fault.value.slug == "custody.short"
    assert "1234567" not in str(fault.value)


def test_a_command_gives_the_passphrase_where_no_terminal_is(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper of a running bottle has no terminal."""
    monkeypatch.setattr(keys.Passphrase.__init__, "__defaults__", (keys.os.urandom, 2**10))
    configure(place, 'key = "passphrase"\npassphrase = ["echo", "correct horse battery"]\n')
    environ = {"PATH": "/usr/bin:/bin"}

    def no_terminal() -> str:
        raise AssertionError("asked")

    open_custody(place, environ, no_terminal).put(Secret("example", b"sk-example-0123456789"))
    assert open_custody(place, environ, no_terminal).get("example") is not None
    configure(place, 'key = "passphrase"\npassphrase = ["false"]\n')
    with pytest.raises(OperatorFault, match="false refused"):
        open_custody(place, environ, no_terminal).get("example")


def test_the_launcher_learns_which_variables_the_keeper_needs(place: Home) -> None:
    configure(place, '[environment]\nanthropic = "ANTHROPIC_API_KEY"\n')
    environ = {"ANTHROPIC_API_KEY": "x", "BOT_BOTTLE_SECRET_A": "y", "AWS_SECRET_ACCESS_KEY": "z", "PATH": "/bin"}
    assert needed_variables(place, environ) == ("ANTHROPIC_API_KEY", "BOT_BOTTLE_SECRET_A", "PATH")


def test_a_key_sealed_by_systemd_creds(place: Home, tmp_path: Path) -> None:
    """A stand-in that seals by reversing: the key passes by pipes and lies on disk sealed only."""
    tool = tmp_path / "bin/systemd-creds"
    tool.parent.mkdir()
    tool.write_text(f"#!{sys.executable} -I\nimport sys; print(sys.stdin.read().strip()[::-1])\n")
    tool.chmod(0o755)
    configure(place, 'key = "systemd-creds"\n')
    environ = {"PATH": f"{tool.parent}:/usr/bin:/bin"}
    open_custody(place, environ).put(Secret("example", b"sk-example-0123456789"))
    assert open_custody(place, environ).get("example") == Secret("example", b"sk-example-0123456789")
    assert sorted(path.name for path in Path(place.keys).iterdir()) == ["secrets.cred"]
    assert "sealed to this machine" in open_custody(place, environ).protection()[0]
