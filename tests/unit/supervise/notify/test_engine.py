"""The watcher: each ask is told at least once, many together, late ones by who is for it, and nobody waits for it."""

import threading
from pathlib import Path

import pytest

from bot_bottle.api import notifying
from bot_bottle.api.settings import Settings
from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.base.clock import FixedClock
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home
from bot_bottle.supervise.model import AskState
from bot_bottle.supervise.notify import engine
from bot_bottle.supervise.notify.desktop import DesktopConfig
from bot_bottle.supervise.notify.engine import Around, Told, Watcher
from bot_bottle.supervise.notify.model import Notice, NotifierConfig
from bot_bottle.supervise.ports import ApprovalReader
from bot_bottle.supervise.store import SqliteReader, SqliteStore

from .conftest import LINK, MINUTE, NOW, an_ask

SECOND = 1_000_000_000


class Ear:
    """A notifier that remembers; told to fail, it does."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.tries = 0
        self.fail = False

    def send(self, notice: Notice) -> None:
        self.tries += 1
        if self.fail:
            raise SinkFault("down")
        self.notices.append(notice)

    def close(self) -> None:
        return


class Watching:
    def __init__(self, tmp_path: Path, config: NotifierConfig) -> None:
        self.path = str(tmp_path / "approvals" / "approvals.sqlite")
        self.clock = FixedClock(NOW)
        self.ear = Ear()
        self.said: list[str] = []
        self._tmp = tmp_path
        self._config = config
        self.begin()

    def begin(self) -> None:
        """A watcher, as after a start of `serve`."""
        around = Around(self.clock, lambda: 0.5, lambda: SqliteReader(self.path), lambda: LINK, self.said.append)
        self.watcher = Watcher("phone", str(self._tmp / "forward" / "notify-phone"), self._config, self.ear, around)

    def rounds(self, seconds: float, step: float = 0.5) -> None:
        for _ in range(int(seconds / step)):
            self.watcher.round()
            self.clock.advance(int(step * SECOND))


@pytest.fixture
def watching(tmp_path: Path, store: SqliteStore):
    found = Watching(tmp_path, NotifierConfig(every="10s"))
    yield found
    found.watcher.close()


def test_an_ask_is_told_within_a_second_and_once(watching: Watching, store: SqliteStore) -> None:
    watching.rounds(2)
    store.add(an_ask("a1", asked=watching.clock.wall()))
    watching.rounds(1)
    assert [notice.count for notice in watching.ear.notices] == [1]
    watching.rounds(60)
    assert len(watching.ear.notices) == 1


def test_what_comes_meanwhile_is_told_together(watching: Watching, store: SqliteStore) -> None:
    """B74: a hundred asks are two notices."""
    store.add(an_ask("a0", asked=watching.clock.wall()))
    watching.rounds(1)
    for number in range(1, 101):
        store.add(an_ask(f"a{number}", asked=watching.clock.wall()))
    watching.rounds(30)
    assert [notice.count for notice in watching.ear.notices] == [1, 100]
    assert watching.ear.notices[1].waiting == 101


def test_a_fault_is_tried_again_until_it_goes(watching: Watching, store: SqliteStore) -> None:
    watching.ear.fail = True
    store.add(an_ask("a1", asked=watching.clock.wall()))
    watching.rounds(30)
    assert 3 <= watching.ear.tries <= 12, "with growing pauses"
    assert len(watching.said) == 1
    assert "phone failed and is tried again: down" in watching.said[0]
    watching.ear.fail = False
    watching.rounds(60)
    assert [notice.count for notice in watching.ear.notices] == [1]


def test_what_ended_meanwhile_is_not_told(watching: Watching, store: SqliteStore) -> None:
    watching.ear.fail = True
    store.add(an_ask("a1", asked=watching.clock.wall()))
    store.add(an_ask("a2", asked=watching.clock.wall(), minutes=1))
    watching.rounds(5)
    assert store.settle("a1", 1, AskState.DENIED, watching.clock.wall())
    watching.clock.advance(2 * MINUTE)
    watching.ear.fail = False
    watching.rounds(120)
    assert watching.ear.notices == []


def test_a_restart_repeats_nothing_that_was_told_and_tells_what_was_not(
    watching: Watching, store: SqliteStore
) -> None:
    store.add(an_ask("a1", asked=watching.clock.wall()))
    watching.rounds(1)
    watching.ear.fail = True
    store.add(an_ask("a2", asked=watching.clock.wall()))
    watching.rounds(15)
    watching.ear.fail = False
    watching.watcher.close()
    watching.begin()
    watching.rounds(5)
    assert [notice.count for notice in watching.ear.notices] == [1, 1]
    assert watching.ear.notices[0].ident != watching.ear.notices[1].ident


def test_a_death_between_sending_and_noting_repeats(watching: Watching, store: SqliteStore, monkeypatch) -> None:
    store.add(an_ask("a1", asked=watching.clock.wall()))

    def died(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Told, "add", died)
        with pytest.raises(KeyboardInterrupt):
            watching.rounds(1)
    watching.begin()
    watching.rounds(1)
    assert [notice.ident for notice in watching.ear.notices] == [watching.ear.notices[0].ident] * 2


def test_an_escalation_waits_and_says_so(tmp_path: Path, store: SqliteStore) -> None:
    late = Watching(tmp_path, NotifierConfig(after="5m"))
    store.add(an_ask("a1", asked=NOW, minutes=30))
    store.add(an_ask("a2", asked=NOW, minutes=30))
    late.rounds(60)
    assert store.settle("a2", 1, AskState.ALLOWED, NOW + MINUTE)
    late.clock.advance(3 * MINUTE)
    late.rounds(30)
    assert late.ear.notices == []
    late.clock.advance(MINUTE)
    late.rounds(5)
    assert [(notice.count, notice.late) for notice in late.ear.notices] == [(1, True)]
    assert "still waits" in late.ear.notices[0].title
    late.watcher.close()


def test_a_store_that_is_missing_or_broken_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "approvals" / "approvals.sqlite"
    ear, clock = Ear(), FixedClock(NOW)
    said: list[str] = []

    def reader() -> ApprovalReader | None:
        return SqliteReader(str(path)) if path.exists() else None

    watcher = Watcher(
        "p", str(tmp_path / "f"), NotifierConfig(), ear, Around(clock, lambda: 0.5, reader, lambda: "", said.append)
    )
    assert watcher.round() == 0
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all" * 100)
    assert watcher.round() == 0
    assert said, "and it is said"
    path.unlink()
    store = SqliteStore(str(path))
    store.add(an_ask("a1"))
    assert watcher.round() == 1
    watcher.close()
    store.close()
    with pytest.raises(HostFault):
        SqliteReader(str(tmp_path / "nowhere"))


def test_nothing_is_read_while_nothing_changes(watching: Watching, store: SqliteStore, monkeypatch) -> None:
    store.add(an_ask("a1", asked=watching.clock.wall()))
    watching.rounds(30)
    asked: list[object] = []
    real = SqliteReader.asks
    monkeypatch.setattr(SqliteReader, "asks", lambda self, query: asked.append(query) or real(self, query))
    watching.rounds(30)
    assert asked == []


def test_what_was_told_stays_a_small_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_COMPACT", 200)
    told = Told(str(tmp_path))
    for number in range(300):
        told.add([f"ask{number:04d}"], {f"ask{number:04d}"})
    assert (tmp_path / "told").stat().st_size < 300
    assert "ask0299" in Told(str(tmp_path)).ids
    with (tmp_path / "told").open("ab") as file:
        file.write(b"ask9")
    assert "ask9" not in Told(str(tmp_path)).ids, "a torn line was not told"


def test_the_starter_runs_them_and_one_that_fails_stops_no_other(tmp_path: Path, store: SqliteStore) -> None:
    """api.notifying.run with a real program; the other notifier has a secret that is not set."""
    from bot_bottle.supervise.notify.webhook import WebhookConfig

    out, program = tmp_path / "out", tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{out}"\n')
    program.chmod(0o700)
    home = Home(str(tmp_path), str(tmp_path / "run"))
    settings = Settings(
        notifiers={
            "hook": WebhookConfig(url="https://x.example", signing_secret="k"),
            "here": DesktopConfig(command=str(program)),
        }
    )
    stop, said = threading.Event(), []
    thread = threading.Thread(target=notifying.run, args=(home, settings, {}, lambda: LINK, stop, said.append))
    thread.start()
    import time

    now = time.time_ns()
    store.add(an_ask("a1", asked=now))
    end = time.monotonic() + 10
    while not out.exists() and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert "work asks for api.example.com" in out.read_text()
    assert said == ["The notifier hook does not run: The secret k is not set. Run: bot-bottle secret set k"]
    sentence = notifying.test(home, settings, {}, "here", LINK)
    assert sentence == "The notifier here took a test notice."
