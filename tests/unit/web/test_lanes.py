"""What makes a bottle safer waits behind nothing: not behind starts that take long, however many wait for them."""

import contextlib
import threading
import urllib.parse
from collections.abc import Iterator

import pytest

from bot_bottle.keeper.messages.control import FreezeBottle, Stop
from bot_bottle.web.sessions import csrf
from bot_bottle.web.tokens import Tokens
from bot_bottle.web.wish import StartWish
from web_stage import Inside, Stage, until

MANY = 48
"""More than the threads that all requests share (40)."""


@pytest.fixture
def admin(inside: Inside) -> dict[str, str]:
    _, text = Tokens(inside.web.office.store).issue("t", ["read", "control", "admin"], 1)
    return {"authorization": f"Bearer {text}", "content-type": "application/json"}


@pytest.fixture
def crowded(inside: Inside, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Many requests wait for one start."""
    go = threading.Event()

    def start(_: StartWish) -> str:
        assert go.wait(120)
        return "one"

    monkeypatch.setattr(inside.starter, "start", start)
    inside.web.office.starts.patience = 120
    arrived: list[int] = []
    find = inside.web.gate.tokens.find

    def counted(text: str, now: int) -> object:
        arrived.append(1)
        return find(text, now)

    monkeypatch.setattr(inside.web.gate.tokens, "find", counted)

    def ask() -> None:
        body = b'{"agent": "claude", "prompt": "x"}'
        with contextlib.suppress(TimeoutError):
            inside.raw("POST", "/api/v1/bottles", admin | {"idempotency-key": "k"}, body)

    threads = [threading.Thread(target=ask) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    until(lambda: len(arrived) >= MANY and inside.web.office.starts.waiting >= 16)
    yield
    go.set()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("crowded")
def test_controls_do_not_wait_behind_starts(stage: Stage, inside: Inside, admin: dict[str, str]) -> None:
    bottle = stage.running("one")
    assert inside.raw("POST", "/api/v1/bottles/one/freeze", admin).status == 204
    assert inside.raw("POST", "/api/v1/freeze-all", admin).status == 200
    assert inside.raw("POST", "/api/v1/bottles/one/kill", admin).json()["slug"] == "serve.alone"  # it got through
    assert inside.raw("GET", "/api/v1/bottles", admin).status == 200
    assert inside.raw("POST", "/api/v1/bottles/one/stop", admin).status == 204
    assert [type(one) for one in bottle.said] == [FreezeBottle, FreezeBottle, Stop]


@pytest.mark.usefixtures("crowded")
def test_nor_do_the_buttons_of_the_pages(stage: Stage, inside: Inside) -> None:
    bottle = stage.running("one")
    headers = inside.session()
    body = urllib.parse.urlencode({"csrf": csrf(headers["cookie"].partition("=")[2])}).encode()
    headers["content-type"] = "application/x-www-form-urlencoded"
    for path in ("/bottle/one/freeze", "/bottle/one/stop"):
        assert inside.raw("POST", path, headers, body).status == 303
    assert inside.raw("POST", "/freeze-all", headers, body).status == 303
    assert [type(one) for one in bottle.said][:2] == [FreezeBottle, Stop]
