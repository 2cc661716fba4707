"""The starter does what web asks of it in lanes: a bottle is killed while others take long to start."""

import queue
import threading
from pathlib import Path
from typing import Any

import pytest

from bot_bottle.api.settings import Settings
from bot_bottle.api.wiring import Host
from bot_bottle.cli import serve_starter
from bot_bottle.cli.serve_places import Places
from bot_bottle.web import messages
from bot_bottle.web.messages import Reply
from bot_bottle.web.wish import StartWish

WAIT = 60


@pytest.fixture
def starter(tmp_path: Path) -> Any:
    made = serve_starter.Starter(Host({"BOT_BOTTLE_HOME": str(tmp_path)}), Settings(), Places((), []), lambda _: None)
    yield made
    made.close()


def test_kill_and_records_do_not_wait_behind_starts(starter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    go, begun, killed = threading.Event(), threading.Semaphore(0), list[str]()

    def start(_host: Host, wish: StartWish) -> str:
        begun.release()
        assert go.wait(WAIT)
        return wish.label

    monkeypatch.setattr(serve_starter, "start", start)
    monkeypatch.setattr(serve_starter.control, "kill", lambda _home, label: killed.append(label))
    monkeypatch.setattr(starter.warm, "ask", lambda question: None)
    replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()

    def told(reply: Reply, _fds: tuple[int, ...]) -> None:
        replies.put(reply)

    for number in range(20):
        starter._wish(messages.StartBottle(number, StartWish("claude", label=f"b{number}")), told)
    for _ in range(8):
        assert begun.acquire(timeout=WAIT)
    starter._wish(messages.KillBottle(100, "b"), told)
    assert replies.get(timeout=WAIT) == Reply(100)
    starter._wish(messages.Control(101, "froze all", "os:1", {}), told)
    assert replies.get(timeout=WAIT) == Reply(101)
    starter._wish(messages.ReadSettings(102), told)
    assert replies.get(timeout=WAIT).number == 102
    assert killed == ["b"]
    go.set()
    assert sorted(replies.get(timeout=WAIT).text for _ in range(20)) == sorted(f"b{number}" for number in range(20))
