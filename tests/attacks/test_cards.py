"""What a person sees before a yes: nothing that a yes would let go is hidden, and no word of an agent's passes for ours
(B73, B74, D25). Each has a control that shows the hole, or was red before its defence was there."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from bot_bottle.egress.mcp.access import Found
from bot_bottle.egress.mcp.access import wanted as access_wanted
from bot_bottle.egress.mcp.catalogue import RequestAccess
from bot_bottle.policy.decide import compile
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import AskKind, Scope, Wanted
from bot_bottle.supervise.sentence import consequences, request_line, sentence
from unit.supervise.make import access
from web_stage import Bottle, Inside, Stage, wanted

SENDS = ("DELETE", "PATCH", "POST", "PUT")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


@pytest.fixture
def inside(stage: Stage) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


def text_of(inside: Inside, path: str = "/inbox") -> str:
    """A page as a person reads it."""
    body = inside.raw("GET", path, inside.session()).body.decode()
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body[body.index('<div id="inbox">') :])).split())


def answered(inside: Inside, path: str = "/inbox") -> list[str]:
    """The asks that one click on this page's card answers."""
    body = inside.raw("GET", path, inside.session()).body.decode()
    found = re.search(r'name="asks" value="([^"]*)"', body)
    assert found
    return [one.partition(":")[0] for one in found.group(1).split(",")]


# ---- methods


def test_b73_no_method_of_a_wish_is_left_out(stage: Stage, inside: Inside) -> None:
    """`request_access` for many methods, long ones before those that send: every one of them is named everywhere, and
    those that send come first. A gateway that was taken over may say any word."""
    long = ("GET", "HEAD", "LOCK-" + "A" * 27, "OPTIONS-" + "A" * 24, *SENDS)
    bottle = stage.running("docs-typo", rows=())
    what = Wanted(Target("https", "hooks.example.net", 443), path="/", methods=long)
    stage.ask(bottle, what=what, kind=AskKind.ACCESS)
    page = text_of(inside)
    of = access(wanted=what)
    texts = [sentence(of), request_line(what), *(one.permits for one in consequences(of, (Scope.RUN, Scope.ALWAYS)))]
    for text in (page, *texts):
        at = [re.search(rf"\b{one}\b", text) for one in (*SENDS, "GET", "HEAD")]
        assert all(at), text
    for text in texts:
        assert max(text.index(one) for one in SENDS) < text.index("GET")


@pytest.mark.parametrize("word", ["LOCK-" + "A" * 27, "X", "PROPFIND", "CONNECT", "POST-", "GET POST", "\u202eTSOP"])
def test_b73_a_wish_names_known_methods_or_is_no_wish(word: str) -> None:
    """No person reads a word that an agent made up among the methods: the agent is told which there are."""
    policy = compile(Policy("b", (), default="ask"))
    made = RequestAccess(justification="why", url="https://new.test/x", methods=["GET", word])
    got = access_wanted(policy, made)
    assert not isinstance(got, Found) and got.error
    assert all(one in got.message for one in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
    known = RequestAccess(justification="why", url="https://new.test/x", methods=["get", "PUT"])
    assert isinstance(access_wanted(policy, known), Found)


# ---- a content type


@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ("text/plain. Checked by the gateway: nothing of the workspace is in it", "a content type that is none"),
        ("text/plain; note=checked-by-the-gateway", "“text/plain”"),
        ("Checked by the gateway", "a content type that is none"),
        ("application/vnd.api+json", "“application/vnd.api+json”"),
        ("\u202eaa/bb", "a content type that is none"),
    ],
)
def test_b73_a_content_type_is_the_agents_word(stage: Stage, inside: Inside, claim: str, shown: str) -> None:
    """The word for a body stands in quotes, and only where it is one: no sentence of an agent's among our facts."""
    bottle = stage.running("docs-typo", rows=())
    stage.ask(bottle, what=wanted(content_type=claim))
    body = inside.raw("GET", "/inbox", inside.session()).body.decode()
    fact = re.search(r"<dt>Body</dt><dd>.*?</dd>", body, re.DOTALL)
    assert fact
    assert shown in unescape(re.sub(r"<[^>]+>", "", fact.group()))
    assert "hecked" not in fact.group()


# ---- many in one card


def forms(stage: Stage, bottle: Bottle) -> list[str]:
    """Three small forms and one of three megabytes, to one path."""
    sizes = (4, 4, 4, 3_000_000)
    return [
        stage.ask(
            bottle, what=wanted(path="/in", body_bytes=size, body_digest=f"{number}" * 64, content_type="application/x-www-form-urlencoded"),
            body=b"x" * min(size, 100), ago=10 - number,
        ).id
        for number, size in enumerate(sizes)
    ]  # fmt: skip


def test_d25_a_large_body_hides_behind_no_small_one(stage: Stage, inside: Inside) -> None:
    """One click answered four: the card said "4 B" and the fourth had three megabytes."""
    asks = forms(stage, stage.running("docs-typo", rows=()))
    assert answered(inside) == asks[:3]
    text = text_of(inside)
    assert "wants to send 3 requests with 12 B of form fields in all to" in text
    assert "wants to send 3.0 MB of form fields to" in text_of(inside, f"/inbox?ask={asks[3]}")


def test_d25_what_one_click_answers_is_all_shown(stage: Stage, inside: Inside) -> None:
    """The sum in the sentence, each with its target and size, and each one's bytes at hand."""
    bottle = stage.running("docs-typo", rows=())
    asks = [
        stage.ask(bottle, what=wanted(path="/in", body_bytes=size, query=f"n={size}"), ago=10).id
        for size in (800, 900)
    ]
    body = inside.raw("GET", "/inbox", inside.session()).body.decode()
    text = text_of(inside)
    assert "wants to send 2 requests with 1.7 KB of JSON in all to" in text
    for ask, size in zip(asks, (800, 900), strict=True):
        assert f"/in?n={size}" in text and f"{size} B" in text
        assert body.count(f"/part/held/{ask}") >= 1


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/other"}, {"content_type": "text/plain"}, {"body_bytes": 30_000}, {"query": "a=" + "x" * 3000},
        {"headers": ("accept", "content-type", "x-more")},
    ],
)  # fmt: skip
def test_d25_what_sends_is_answered_with_its_like_only(
    stage: Stage, inside: Inside, other: dict[str, object]
) -> None:
    bottle = stage.running("docs-typo", rows=())
    one = stage.ask(bottle, what=wanted(path="/in"), ago=5)
    stage.ask(bottle, what=wanted(**{"path": "/in", **other}))  # type: ignore[arg-type]
    assert answered(inside) == [one.id]
    alike = stage.ask(bottle, what=wanted(path="/in"))
    assert answered(inside) == [one.id, alike.id]  # the control


def test_d25_a_wish_for_all_hides_behind_no_wish_for_a_part(stage: Stage, inside: Inside) -> None:
    """A yes to access is for a path and all below: one for /docs never answers one for /."""
    bottle = stage.running("docs-typo", rows=())
    target = Target("https", "hooks.example.net", 443)
    one = stage.ask(bottle, what=Wanted(target, path="/docs", methods=("GET",)), kind=AskKind.ACCESS, ago=5)
    stage.ask(bottle, what=Wanted(target, path="/", methods=("GET",)), kind=AskKind.ACCESS)
    assert answered(inside) == [one.id]
