"""The log key: made once, 0600, pinned."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from bot_bottle.audit.keys import LogKey, pinned
from bot_bottle.base.errors import AuditFault, OperatorFault


def test_made_once_with_mode_0600(tmp_path) -> None:
    first = LogKey.open(str(tmp_path / "keys"))
    path = tmp_path / "keys" / "log.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert LogKey.open(str(tmp_path / "keys")).public == first.public
    assert pinned(str(tmp_path / "keys")) == first.fingerprint
    assert sorted(os.listdir(tmp_path / "keys")) == ["log.fingerprint", "log.pem"]


def test_many_at_once_get_the_same_key(tmp_path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: LogKey.open(str(tmp_path / "keys")).public, range(32)))
    assert len(set(keys)) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path) -> None:
    LogKey.open(str(tmp_path))
    os.chmod(tmp_path / "log.pem", 0o640)
    with pytest.raises(OperatorFault) as fault:
        LogKey.open(str(tmp_path))
    assert "chmod 600" in fault.value.hint


def test_an_exchanged_key_is_refused(tmp_path) -> None:
    LogKey.open(str(tmp_path / "a"))
    LogKey.open(str(tmp_path / "b"))
    os.replace(tmp_path / "b" / "log.pem", tmp_path / "a" / "log.pem")
    with pytest.raises(AuditFault) as fault:
        LogKey.open(str(tmp_path / "a"))
    assert fault.value.slug == "audit.key-changed"


def test_garbage_and_links_are_refused(tmp_path) -> None:
    (tmp_path / "log.pem").write_bytes(b"nonsense")
    os.chmod(tmp_path / "log.pem", 0o600)
    with pytest.raises(OperatorFault):
        LogKey.open(str(tmp_path))


def test_its_repr_shows_nothing_private(key: LogKey) -> None:
    assert repr(key) == f"LogKey({key.fingerprint})"


def test_no_pin_without_a_key(tmp_path) -> None:
    with pytest.raises(OperatorFault):
        pinned(str(tmp_path))
