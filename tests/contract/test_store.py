"""What every secret store promises; memory is the twin of all. Read-only stores are filled in their own way."""

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.secret import Secret
from bot_bottle.custody.keys import KeyFile, Passphrase
from bot_bottle.custody.ports import Store
from bot_bottle.custody.stores.command import CommandStore
from bot_bottle.custody.stores.encrypted_file import EncryptedFileStore
from bot_bottle.custody.stores.environment import EnvironmentStore
from bot_bottle.custody.stores.memory import MemoryStore

VALUES = {"example": b"sk-example-0123456789", "other-key": b"sk-other-0123456789"}
READER = """
import pathlib, sys
path = pathlib.Path(sys.argv[1]) / sys.argv[2]
sys.exit(1) if not path.is_file() else print(path.read_text())
"""
Filled = Callable[[dict[str, bytes]], Store]


def file_store(folder: Path) -> EncryptedFileStore:
    return EncryptedFileStore(f"{folder}/secrets/secrets.enc", [KeyFile(f"{folder}/keys/secrets.key")])


def phrase_store(folder: Path) -> EncryptedFileStore:
    return EncryptedFileStore(f"{folder}/phrase.enc", [Passphrase(lambda: "correct horse battery", cost=2**10)])


def command_store(folder: Path, values: dict[str, bytes]) -> CommandStore:
    for name, value in values.items():
        (folder / name).write_bytes(value)
    reader = [sys.executable, "-I", "-c", READER, str(folder), "{name}"]
    listing = [sys.executable, "-I", "-c", "import os, sys; print('\\n'.join(os.listdir(sys.argv[1])))", str(folder)]
    return CommandStore(reader, {}, listing)


@pytest.fixture(params=["memory", "file", "passphrase", "environment", "command"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Filled:
    """A function that gives a store holding these values."""

    def make(values: dict[str, bytes]) -> Store:
        if request.param == "environment":
            return EnvironmentStore(
                {f"BOT_BOTTLE_SECRET_{name.upper().replace('-', '_')}": v.decode() for name, v in values.items()}
            )
        if request.param == "command":
            return command_store(tmp_path, values)
        store = {
            "memory": MemoryStore,
            "file": lambda: file_store(tmp_path),
            "passphrase": lambda: phrase_store(tmp_path),
        }[request.param]()
        for name, value in values.items():
            store.put(Secret(name, value))
        return store

    return make


def test_what_was_put_is_read(filled: Filled) -> None:
    store = filled(VALUES)
    secret = store.get("example")
    assert secret == Secret("example", VALUES["example"])
    assert secret is not None and secret.name == "example"


def test_names_are_sorted_and_show_no_value(filled: Filled) -> None:
    assert filled(VALUES).names() == ("example", "other-key")


def test_an_unknown_name_is_none(filled: Filled) -> None:
    store = filled(VALUES)
    assert store.get("absent") is None
    assert store.remove("absent") is False


def test_an_empty_store_has_no_names(filled: Filled) -> None:
    assert filled({}).names() == ()


@pytest.mark.parametrize("name", ["../example", "-x", "a b", "", "EXAMPLE;ls"])
def test_a_name_that_is_none_finds_nothing(filled: Filled, name: str) -> None:
    assert filled(VALUES).get(name) is None


def test_a_store_writes_or_says_that_it_does_not(filled: Filled) -> None:
    store = filled(VALUES)
    try:
        store.put(Secret("example", b"sk-changed-0123456789"))
    except OperatorFault as fault:
        assert fault.slug == "custody.read-only"
        assert "sk-changed" not in str(fault)
        with pytest.raises(OperatorFault):
            store.remove("example")
        return
    assert store.get("example") == Secret("example", b"sk-changed-0123456789")
    assert store.remove("example") is True
    assert store.names() == ("other-key",)


@pytest.mark.parametrize("make", [file_store, phrase_store])
def test_a_second_process_reads_what_the_first_wrote(
    make: Callable[[Path], EncryptedFileStore], tmp_path: Path
) -> None:
    for name, value in VALUES.items():
        make(tmp_path).put(Secret(name, value))
    assert make(tmp_path).names() == tuple(VALUES)
    assert make(tmp_path).get("other-key") == Secret("other-key", VALUES["other-key"])


def test_the_file_holds_no_value_and_nobody_else_reads_it(tmp_path: Path) -> None:
    file_store(tmp_path).put(Secret("example", VALUES["example"]))
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert path.is_dir() or VALUES["example"] not in path.read_bytes()


def test_every_changed_byte_refuses_the_whole_file(tmp_path: Path) -> None:
    store = file_store(tmp_path)
    store.put(Secret("example", VALUES["example"]))
    path = tmp_path / "secrets/secrets.enc"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        with pytest.raises(OperatorFault):
            file_store(tmp_path).get("example")
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(OperatorFault):
            file_store(tmp_path).get("example")
    path.write_bytes(whole)
    assert file_store(tmp_path).get("example") is not None


def test_a_file_of_another_key_or_without_its_key_is_refused(tmp_path: Path) -> None:
    file_store(tmp_path).put(Secret("example", VALUES["example"]))
    key = tmp_path / "keys/secrets.key"
    key.write_bytes(b"k" * 32)
    with pytest.raises(OperatorFault) as damaged:
        file_store(tmp_path).get("example")
    assert damaged.value.slug == "custody.damaged"
    key.unlink()
    with pytest.raises(OperatorFault) as missing:
        file_store(tmp_path).get("example")
    assert missing.value.slug == "custody.key-missing"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = file_store(tmp_path)
    store.put(Secret("example", VALUES["example"]))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(Exception, match="cannot be written"):
        store.put(Secret("example", b"sk-changed-0123456789"))
    monkeypatch.undo()
    assert file_store(tmp_path).get("example") == Secret("example", VALUES["example"])
    assert sorted(path.name for path in (tmp_path / "secrets").iterdir()) == ["secrets.enc", "secrets.enc.lock"]


def test_a_wrong_passphrase_is_refused(tmp_path: Path) -> None:
    phrase_store(tmp_path).put(Secret("example", VALUES["example"]))
    wrong = EncryptedFileStore(f"{tmp_path}/phrase.enc", [Passphrase(lambda: "wrong horse battery", cost=2**10)])
    with pytest.raises(OperatorFault):
        wrong.get("example")


@pytest.mark.parametrize(
    ("script", "words"),
    [("raise SystemExit(3)", "status 3"), ("import time; time.sleep(30)", "no answer")],
)
def test_a_failing_command_is_told_without_its_output(script: str, words: str) -> None:
    store = CommandStore([sys.executable, "-I", "-c", f"print('sk-leak-leak'); {script}"], {}, timeout=1)
    with pytest.raises(OperatorFault) as fault:
        store.get("example")
    assert words in str(fault.value)
    assert "sk-leak" not in str(fault.value)


def test_a_command_that_is_not_installed_is_told() -> None:
    with pytest.raises(OperatorFault, match="not installed"):
        CommandStore(["/nonexistent/pass", "{name}"], {"PATH": ""}).get("example")
