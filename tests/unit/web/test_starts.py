"""Starts that take long: a repeat finds the one that is under way, and the page says how it stands."""

import re
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.harnesses.load import load_all
from bot_bottle.harnesses.placement import RECORD, Record, folder
from bot_bottle.web.sessions import csrf
from bot_bottle.web.tokens import Tokens
from bot_bottle.web.wish import StartWish
from web_stage import Answered, Inside, until

WISH = b'{"agent": "claude", "prompt": "mend it"}'


class Slow:
    """A starter whose starts end when they are told to. fault: what stops them."""

    def __init__(self) -> None:
        self.begun: list[StartWish] = []
        self.go = threading.Event()
        self.fault: BottleError | None = None

    def start(self, request: StartWish) -> str:
        self.begun.append(request)
        number = len(self.begun)
        assert self.go.wait(60)
        if self.fault is not None:
            raise self.fault
        return f"claude-{number}"


@pytest.fixture
def slow(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    made = Slow()
    monkeypatch.setattr(inside.starter, "start", made.start)
    inside.web.office.starts.patience = inside.web.office.starts.glance = 0.05
    yield made
    made.go.set()


@pytest.fixture
def admin(inside: Inside) -> dict[str, str]:
    _, text = Tokens(inside.web.office.store).issue("t", ["read", "control", "admin"], 1)
    return {"authorization": f"Bearer {text}", "content-type": "application/json"}


def post(inside: Inside, admin: dict[str, str], key: str = "", body: bytes = WISH) -> Answered:
    return inside.raw("POST", "/api/v1/bottles", admin | ({"idempotency-key": key} if key else {}), body)


def test_a_repeat_finds_the_start_that_is_under_way_and_reports_its_outcome(
    inside: Inside, slow: Slow, admin: dict[str, str]
) -> None:
    for _ in range(3):
        found = post(inside, admin, "k")
        assert (found.status, found.json()["slug"]) == (503, "start.under-way")
        assert "same Idempotency-Key" in found.json()["detail"]
    assert len(slow.begun) == 1
    slow.go.set()
    until(lambda: post(inside, admin, "k").status == 201)
    assert post(inside, admin, "k").json() == {"label": "claude-1"}
    assert len(slow.begun) == 1


def test_a_repeat_that_comes_while_the_first_waits_gets_the_same_answer(
    inside: Inside, slow: Slow, admin: dict[str, str]
) -> None:
    inside.web.office.starts.patience = 60
    given: list[Answered] = []
    threads = [threading.Thread(target=lambda: given.append(post(inside, admin, "k"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: inside.web.office.starts.waiting == 3)
    slow.go.set()
    for thread in threads:
        thread.join()
    assert [(one.status, one.json()) for one in given] == [(201, {"label": "claude-1"})] * 3
    assert len(slow.begun) == 1


def test_another_key_or_another_wish_is_another_start(inside: Inside, slow: Slow, admin: dict[str, str]) -> None:
    post(inside, admin, "one")
    post(inside, admin, "two")
    assert post(inside, admin, "one", b'{"agent": "codex", "prompt": "x"}').status == 422  # the key was for another
    assert len(slow.begun) == 2


def test_without_a_key_the_same_wish_is_started_once_while_it_is_under_way(
    inside: Inside, slow: Slow, admin: dict[str, str]
) -> None:
    post(inside, admin)
    assert "Idempotency-Key" in post(inside, admin).json()["detail"]
    assert len(slow.begun) == 1
    post(inside, admin, body=b'{"agent": "claude", "prompt": "another"}')
    assert len(slow.begun) == 2
    slow.go.set()
    until(lambda: not inside.web.office.starts.under_way())
    assert post(inside, admin).json() == {"label": "claude-3"}  # it ran; this is one more


def test_what_stopped_a_start_is_told_to_the_repeat_and_not_tried_again(
    inside: Inside, slow: Slow, admin: dict[str, str]
) -> None:
    slow.fault = UsageFault("workspace.missing", "There is no such directory.")
    assert post(inside, admin, "k").status == 503
    slow.go.set()
    until(lambda: not inside.web.office.starts.under_way())
    for _ in range(2):
        found = post(inside, admin, "k")
        assert (found.status, found.json()["slug"]) == (422, "workspace.missing")
    assert len(slow.begun) == 1


def test_a_start_of_which_the_dashboard_lost_sight_is_not_made_again(
    inside: Inside, slow: Slow, admin: dict[str, str]
) -> None:
    """The web process died between the first request and its repeat."""
    assert post(inside, admin, "k").status == 503
    inside.web.office.begun = inside.web.office.clock.wall() + 1
    found = post(inside, admin, "k")
    assert found.status == 409 and "not known" in found.json()["title"]
    assert len(slow.begun) == 1


def test_a_starter_that_fell_silent_may_have_started_it(inside: Inside, slow: Slow, admin: dict[str, str]) -> None:
    from bot_bottle.base.errors import HostFault

    slow.fault = HostFault("serve.silent", "The serve process does not answer.")
    slow.go.set()
    until(lambda: post(inside, admin, "k").json()["slug"] == "start.lost")
    assert post(inside, admin, "k").json()["slug"] == "start.lost"
    assert len(slow.begun) == 1


def test_there_is_an_end_to_starts_at_the_same_time(inside: Inside, slow: Slow, admin: dict[str, str]) -> None:
    most = inside.web.office.starts.most
    for number in range(most):
        assert post(inside, admin, f"k{number}").json()["slug"] == "start.under-way"
    found = post(inside, admin, "more")
    assert (found.status, found.json()["slug"]) == (503, "start.many")
    slow.go.set()
    until(lambda: not inside.web.office.starts.under_way())
    assert post(inside, admin, "more").status == 201  # nothing was begun before, so it may be tried again


def test_starts_are_listed(inside: Inside, slow: Slow, admin: dict[str, str]) -> None:
    post(inside, admin)
    (one,) = inside.raw("GET", "/api/v1/starts", admin).json()["items"]
    assert (one["agent"], one["state"], one["label"]) == ("claude", "starting", "")
    slow.go.set()
    until(lambda: not inside.web.office.starts.under_way())
    (one,) = inside.raw("GET", "/api/v1/starts", admin).json()["items"]
    assert (one["state"], one["label"]) == ("running", "claude-1") and one["ended"] >= one["since"]


class Clicks:
    """A signed-in browser that clicks on Start."""

    def __init__(self, inside: Inside) -> None:
        self.inside, self.headers = inside, inside.session()

    def start(self, **more: str) -> Answered:
        values = {"agent": "claude", "project": "", "bottle": "", "prompt": "mend it"} | more
        values["csrf"] = csrf(self.headers["cookie"].partition("=")[2])
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.inside.raw("POST", "/start", self.headers | kind, urllib.parse.urlencode(values).encode())

    def get(self, path: str, **more: Any) -> Answered:
        return self.inside.raw("GET", path, self.headers | more)


def test_a_person_who_clicks_again_comes_to_the_same_start(inside: Inside, slow: Slow) -> None:
    person = Clicks(inside)
    first, again = person.start(), person.start()
    assert first.status == again.status == 303
    assert first.headers["location"] == again.headers["location"]
    assert len(slow.begun) == 1


def test_the_page_of_a_start_goes_on_to_its_bottle(inside: Inside, slow: Slow) -> None:
    person = Clicks(inside)
    place = person.start(project="/work/site").headers["location"]
    shown = person.get(place)
    assert shown.status == 200 and "Starting claude" in shown.text and "/work/site" in shown.text
    assert "note deny" not in shown.text and 'http-equiv="refresh"' in shown.text  # goes on without scripts
    fragment = person.get(f"/part{place}", **{"hx-request": "true"})
    assert fragment.status == 200 and "hx-redirect" not in fragment.headers
    assert place in person.get("/").text, "Now tells of it"
    slow.go.set()
    until(lambda: person.get(place).status == 303)
    assert person.get(place).headers["location"] == "/bottle/claude-1"
    assert person.get(f"/part{place}", **{"hx-request": "true"}).headers["hx-redirect"] == "/bottle/claude-1"
    assert place not in person.get("/").text


def test_a_quick_start_goes_to_its_bottle_at_once(inside: Inside, slow: Slow) -> None:
    slow.go.set()
    inside.web.office.starts.glance = 60
    assert Clicks(inside).start().headers["location"] == "/bottle/claude-1"


def test_the_page_of_a_start_that_failed_says_why(inside: Inside, slow: Slow) -> None:
    person = Clicks(inside)
    slow.fault = UsageFault("workspace.missing", "There is no directory /x.", "Choose another.")
    place = person.start().headers["location"]
    slow.go.set()
    until(lambda: not inside.web.office.starts.under_way())
    for path in (place, f"/part{place}"):
        shown = person.get(path)
        assert "There is no directory /x." in shown.text and "Starting" not in shown.text
    assert person.get("/start/nothing").status == 404


def test_an_agent_that_can_start_is_chosen_and_the_others_say_that_they_cannot(inside: Inside) -> None:
    home, person = inside.web.office.home, Clicks(inside)
    options = re.findall(r'<option value="([a-z-]+)">([^<]*)<', person.get("/").text)
    assert ("claude", "claude (not installed)") in options
    pi = load_all(home.root).harnesses["pi"].harness
    place = Path(folder(home.harnesses, pi))
    place.mkdir(parents=True)
    (place / RECORD).write_bytes(msgspec.json.encode(Record("pi", pi.install.version, "p", "l", "d", True)))
    Path(home.agents).mkdir(exist_ok=True)
    Path(home.agents, "broken.md").write_text("---\nversion: 9\n---\n")
    options = re.findall(r'<option value="([a-z-]+)">([^<]*)<', person.get("/").text)
    assert options[0] == ("pi", "pi") and ("broken", "broken (its file has errors)") in options
