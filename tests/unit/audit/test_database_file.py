"""The file of a database is made once, and no lock of SQLite is lost by looking at it again."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot_bottle.audit import database_file
from bot_bottle.audit.index import Index
from bot_bottle.base.home import Home
from bot_bottle.supervise.opening import open_to_write
from bot_bottle.web.reviewed import Reviewed
from bot_bottle.web.store import Store

TAKE = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def others_may_lock(path: Path) -> bool:
    """Whether another process gets the whole file for itself."""
    return subprocess.run([sys.executable, "-I", "-c", TAKE, str(path)], capture_output=True).returncode == 0


def test_what_is_locked_stays_locked(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    database_file.make(str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_SH)
        database_file.make(str(path))
        assert not others_may_lock(path)
        os.close(os.open(path, os.O_RDONLY))
        assert others_may_lock(path), "the control: a descriptor that is closed takes the lock along"


def test_a_link_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError, match="not a file"):
        database_file.make(str(tmp_path / "link"))


def test_many_make_it_at_once(tmp_path: Path) -> None:
    threads = [threading.Thread(target=database_file.make, args=(str(tmp_path / "one"),)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "one").stat().st_size == 0


def test_an_index_that_is_opened_again_keeps_what_another_process_would_delete(tmp_path: Path) -> None:
    """Seen live: the index of a running dashboard lost its log of writes to `log search`."""
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    first = Index(home.index, home)
    Index(home.index, home).close()
    subprocess.run(
        [sys.executable, "-I", "-c", "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM sqlite_master').fetchall()", home.index],
        check=True,
    )  # fmt: skip
    assert os.path.exists(f"{home.index}-wal")
    first.close()


def test_no_database_of_ours_is_opened_beside_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    os.makedirs(home.web, 0o700)

    def all_of_them() -> None:
        Index(home.index, home).close()
        open_to_write(home.approvals).close()
        Store(home)
        Reviewed(home).mark("a.example", 1, "ann")

    opened: list[str] = []
    really = os.open

    def seen(path: str, *rest: int, **more: int) -> int:
        opened.append(str(path))
        return really(path, *rest, **more)

    monkeypatch.setattr(os, "open", seen)
    all_of_them()
    assert len([path for path in opened if path.endswith(".sqlite")]) == 4, "the control: each was made"
    opened.clear()
    all_of_them()
    assert not [path for path in opened if path.endswith(".sqlite")]
