"""settings.toml is read again when it changes; with an error in it, what it said before goes on."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot_bottle.api.settings import Settings, load
from bot_bottle.api.wiring import Host
from bot_bottle.cli import serve_hosted
from bot_bottle.cli.serve_hosted import Hosted
from web_stage import until

DESK = '[notify.desk]\nkind = "desktop"\n'


class Warm:
    """A keeper that lends every secret, or none."""

    def ask(self, question: Any) -> dict[str, bytes]:
        return question(self)

    def supply(self, _home: Any, names: tuple[str, ...]) -> dict[str, bytes]:
        return dict.fromkeys(names, b"x")


class World:
    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = Host({"BOT_BOTTLE_HOME": str(place)})
        self.file = Path(self.host.home.settings)
        self.said: list[str] = []
        self.running: list[str] = []
        self.over: list[str] = []
        monkeypatch.setattr(serve_hosted.notifying, "run", self.notify)
        monkeypatch.setattr(serve_hosted.forwarding, "run", self.forward)
        monkeypatch.setattr(serve_hosted, "_LOOK", 0.02)

    def notify(
        self, _home: Any, settings: Settings, _values: Any, _link: Any, stop: threading.Event, _say: Any, _news: Any
    ) -> None:
        self.work(f"notify {' '.join(settings.notifiers)}", stop)

    def forward(self, _home: Any, settings: Settings, _values: Any, stop: threading.Event, _say: Any) -> None:
        self.work(f"forward {' '.join(settings.sinks)}", stop)

    def work(self, name: str, stop: threading.Event) -> None:
        self.running.append(name)
        stop.wait()
        self.over.append(name)

    def write(self, text: str) -> None:
        """As an editor does: another file in its place."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, self.file)

    @property
    def now(self) -> list[str]:
        left = list(self.running)
        for name in self.over:
            left.remove(name)
        return left


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


@pytest.fixture
def hosted(world: World) -> Iterator[Hosted]:
    world.write(DESK)
    warm: Any = Warm()
    made = Hosted(world.host, warm, load(world.host.home), lambda: "http://x/", world.said.append)
    made.begin()
    until(lambda: world.now == ["notify desk"])
    yield made
    made.close()
    until(lambda: world.now == [])


def test_a_changed_file_takes_effect(world: World, hosted: Hosted, tmp_path: Path) -> None:
    sink = f'[sink.file]\nkind = "file"\npath = "{tmp_path.parent}/out.jsonl"\n'
    world.write(DESK + sink)
    until(lambda: world.now == ["notify desk", "forward file"])
    assert world.over == [], "what did not change goes on"
    world.write(sink + "[retention]\ndays = 3\n")
    until(lambda: world.now == ["forward file"])
    until(lambda: hosted.settings.retention.days == 3)
    os.unlink(world.file)
    until(lambda: world.now == [])
    assert world.said == []


def test_with_an_error_what_it_said_before_goes_on(world: World, hosted: Hosted) -> None:
    world.write("[notify.desk]\nkind = 'nothing-like-it'\n")
    until(lambda: bool(world.said))
    assert "stays in force" in world.said[0] and world.now == ["notify desk"]
    assert list(hosted.settings.notifiers) == ["desk"] and hosted.fault is not None
    world.write(DESK.replace("desk]", "other]"))
    until(lambda: world.now == ["notify other"])
    assert len(world.said) == 1 and hosted.fault is None


def test_where_it_listens_is_said_to_wait_for_the_next_start(world: World, hosted: Hosted) -> None:
    world.write(DESK + "[serve]\nport = 4000\n")
    until(lambda: bool(world.said))
    assert "when serve starts again" in world.said[0] and world.now == ["notify desk"] and world.over == []
