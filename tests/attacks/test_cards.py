"""What a person sees before a yes: nothing that a yes would let go is hidden, and no word of an agent's passes for ours
(B73, B74, D25). Each has a control that shows the hole, or was red before its defence was there."""

import io
import json
import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from bot_bottle.base.clock import FixedClock
from bot_bottle.cli.supervise import command as supervise
from bot_bottle.cli.supervise_view import Deeds, Facts, View
from bot_bottle.egress.mcp.access import Found
from bot_bottle.egress.mcp.access import wanted as access_wanted
from bot_bottle.egress.mcp.catalogue import RequestAccess
from bot_bottle.keeper.messages.approvals import LeafProposed
from bot_bottle.policy.decide import compile
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.cards import in_turn
from bot_bottle.supervise.model import Ask, AskKind, AskState, Scope, Wanted
from bot_bottle.supervise.notify.engine import Around, Watcher, notice_of
from bot_bottle.supervise.notify.model import Notice, NotifierConfig
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.supervise.sentence import consequences, request_line, sentence
from bot_bottle.supervise.store import SqliteReader
from bot_bottle.web.news import News
from bot_bottle.web.reviewed import Reviewed
from unit.supervise.make import T0, access, ask
from unit.supervise.make import wanted as wanted_of
from web_stage import Bottle, Inside, Stage, wanted

HOOKS = "hooks.example.net"
READS: dict[str, Any] = {
    "method": "GET",
    "body_bytes": 0,
    "body_digest": "",
    "content_type": "",
    "headers": ("accept",),
}
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
    for name, size in zip(asks, (800, 900), strict=True):
        assert f"/in?n={size}" in text and f"{size} B" in text
        assert body.count(f"/part/held/{name}") >= 1


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


def test_d25_a_large_head_hides_behind_no_small_one(stage: Stage, inside: Inside) -> None:
    """Reads stand together over their paths, and each one's headers can carry sixty kilobytes."""
    bottle = stage.running("docs-typo", rows=())
    small = [stage.ask(bottle, what=wanted(path=f"/{n}", **READS, head_bytes=300), ago=9 - n).id for n in range(3)]
    large = stage.ask(bottle, what=wanted(path="/4", **READS, head_bytes=60_000))
    assert answered(inside) == small
    assert "wants to read with 60.0 KB of headers from" in text_of(inside, f"/inbox?ask={large.id}")


def test_d25_a_wish_for_all_hides_behind_no_wish_for_a_part(stage: Stage, inside: Inside) -> None:
    """A yes to access is for a path and all below: one for /docs never answers one for /."""
    bottle = stage.running("docs-typo", rows=())
    target = Target("https", "hooks.example.net", 443)
    one = stage.ask(bottle, what=Wanted(target, path="/docs", methods=("GET",)), kind=AskKind.ACCESS, ago=5)
    stage.ask(bottle, what=Wanted(target, path="/", methods=("GET",)), kind=AskKind.ACCESS)
    assert answered(inside) == [one.id]


# ---- places


def test_b74_no_bottle_pushes_another_out_of_the_inbox(stage: Stage, inside: Inside) -> None:
    """56 asks that no card can batch, older than the one of another bottle: both are shown, and what has no place is
    named with a way to it."""
    bad, good = stage.running("bad", rows=()), stage.running("good", rows=())
    for number in range(56):
        stage.ask(bad, what=wanted(path="/in", method=f"X{number:02}"), ago=100 - number)
    honest = stage.ask(good, what=wanted(path="/deploy"), ago=1)
    body = inside.raw("GET", "/inbox", inside.session()).body.decode()
    shown = re.findall(r'id="q-(a-[0-9a-f]+)"', body)
    assert len(shown) == 50 and shown.index(honest.id) == 1
    assert "7 more; they come as these are answered: bad 7." in text_of(inside)
    (link,) = re.findall(r'href="(/inbox[^"]*)">bad</a> 7', body)
    assert honest.id not in inside.raw("GET", unescape(link), inside.session()).body.decode()
    stage.store.settle(honest.id, honest.version, AskState.EXPIRED, 1)
    for one in stage.store.asks(AskQuery((AskState.WAITING,))):
        stage.store.settle(one.id, one.version, AskState.EXPIRED, 2)
    assert honest.id in inside.raw("GET", "/inbox?tab=missed", inside.session()).body.decode()


def no_answer(_ask: Ask, _allow: bool, _scope: Scope, _shown: str, _late: bool) -> str:
    return ""


DEEDS = Deeds(no_answer, lambda _: Facts(), lambda _: LeafProposed("", "", ""), lambda _: (Scope.ONCE,))


def drawn(view: View) -> str:
    """The live list as a person reads it."""
    out = io.StringIO()
    Console(file=out, width=200, height=30, force_terminal=True, color_system=None).print(view.render(T0, 30, 200))
    return " ".join(out.getvalue().split())


def test_b74_no_bottle_takes_the_places_of_a_terminal() -> None:
    """The live list is cut by the window: the first of each bottle stand first, and what is not shown is named."""
    many = [ask(f"a{number:02}", run="r1", label="bad", asked=T0 + number) for number in range(56)]
    of = ask("a99", run="r2", label="good", asked=T0 + 99)
    assert [one.id for one in in_turn([*many, of], lambda one: one.run)][:3] == ["a00", "a99", "a01"]
    view = View(DEEDS)
    view.update([*many, of])
    screen = drawn(view)
    assert "good wants to" in screen
    assert re.search(r"bad \d\d", screen)


def test_b74_no_bottle_takes_the_places_of_a_notice() -> None:
    """Three hosts of a notice are named: not three of one bottle where another asks as well."""
    many = [
        ask(f"a{number:02}", run="r1", label="bad", wanted=wanted_of(f"h{number}.example")) for number in range(9)
    ]
    of = ask("a99", run="r2", label="good", asked=T0 + 99, wanted=wanted_of("deploy.example"))
    notice = notice_of([*many, of], 10, "https://h/inbox", T0)
    assert "good" in notice.sentence and "deploy.example" in notice.sentence


# ---- news


def row(kind: str, verdict: str, **more: Any) -> dict[str, Any]:
    """A record of the host that is asked about, of a minute ago."""
    target = HOOKS if kind == "name" else f"https://{HOOKS}:443"
    return {"kind": kind, "target": target, "verdict": verdict, "time": time.time_ns() - 60 * 10**9, **more}


REFUSED = (
    row("denied", "deny", method="GET", path="/aaa", reason="ask.too-large"),
    row("denied", "deny", method="GET", path="/x", reason="ask.denied"),
    row("name", "allow", reason="policy.route"),
    row("ask", "ask", method="GET", path="/x", reason="policy.no-route"),
)
REACHED = (
    row("intent", "allow", method="GET", path="/x", request=7),
    row("outcome", "allow", method="GET", path="/x", request=7, status=200, address="203.0.113.7:443"),
)
NOWHERE = (
    row("intent", "allow", method="GET", path="/x", request=7),
    row("outcome", "allow", method="GET", path="/x", request=7, reason="upstream.refused", address="203.0.113.7:443"),
)


def reads(stage: Stage, rows: tuple[dict[str, Any], ...]) -> str:
    return stage.ask(stage.running("docs-typo", rows=rows), what=wanted(path="/y", **READS)).id


@pytest.mark.parametrize("rows", [(), REFUSED, NOWHERE])
def test_b73_a_bottle_cannot_take_the_news_off_a_host(
    stage: Stage, inside: Inside, rows: tuple[dict[str, Any], ...]
) -> None:
    """What a bottle does by itself (a request that is refused, a name looked up, an ask that it took back) puts a
    host into the log and makes none a known one: page, API, terminal and notice say that it is new."""
    ident = reads(stage, rows)
    card = text_of(inside)
    assert "First seen: no bottle has reached this host before." in card and "Reads from a new host" in card
    for path in ("/inbox", "/", f"/bottle/{stage.bottles[0].label}", f"/api/v1/asks/{ident}", "/api/v1/asks"):
        text = unescape(re.sub(r"<[^>]+>", "", inside.raw("GET", path, inside.session()).body.decode()))
        assert f"{HOOKS}, a host that no bottle has reached before" in " ".join(text.split()), path
    found = terminal(stage)
    assert found["first_seen"] is True and found["risk"] == "new" and "no bottle has reached" in found["sentence"]


def test_b73_what_was_reached_or_reviewed_is_no_news(stage: Stage, inside: Inside) -> None:
    """The control; and a person's mark does it too."""
    reads(stage, REACHED)
    assert "First seen" not in text_of(inside)
    assert terminal(stage)["first_seen"] is False


def test_b73_a_persons_mark_takes_the_news_off_a_host(stage: Stage, inside: Inside) -> None:
    reads(stage, REFUSED)
    assert "First seen" in text_of(inside)
    Reviewed(stage.home).mark(HOOKS, 1, "os:1000")
    assert "First seen" not in text_of(inside)
    assert terminal(stage)["first_seen"] is False


def terminal(stage: Stage) -> dict[str, Any]:
    """What `bot-bottle supervise --once --json` says of the only ask; its line says the same."""
    env = {"BOT_BOTTLE_HOME": stage.home.root}
    said = CliRunner().invoke(supervise, ["--once", "--json"], env=env, catch_exceptions=False).stdout
    (found,) = json.loads(said)["asks"]
    line = CliRunner().invoke(supervise, ["--once"], env=env, catch_exceptions=False).stdout
    assert found["sentence"] in line
    return found


def test_b73_the_live_list_says_news_and_what_it_does_not_know() -> None:
    of = ask(wanted=wanted_of(**READS))
    view = View(DEEDS)
    view.update([of])
    for mode in ("list", "detail"):
        view.mode = mode
        view.new = None
        assert "which hosts are new is not known yet" in drawn(view)
        view.new = {of.wanted.target.host}
        assert "reads from a new host" in drawn(view) and "a host that no bottle has reached before" in drawn(view)
        view.new = set()
        assert "new" not in drawn(view)


def test_b73_a_notice_says_news_too() -> None:
    """Only what is known to be new is said to be; the words are ours, the host is plain as ever."""
    new, old = (ask(f"a{host}", wanted=wanted_of(host)) for host in ("new.example", "old.example"))
    notice = notice_of([new, old], 2, "https://h/inbox", T0, new={"new.example"})
    assert notice.sentence.endswith("asks for new.example, old.example. No bottle has reached new.example before.")
    assert "No bottle has reached new[.]example before." in notice.inert
    assert "before" not in notice_of([old], 1, "https://h/inbox", T0).sentence


@pytest.mark.parametrize(("rows", "new"), [(REFUSED, (HOOKS,)), (REACHED, ())])
def test_b73_who_watches_for_notices_looks_into_the_logs(
    stage: Stage, rows: tuple[dict[str, Any], ...], new: tuple[str, ...]
) -> None:
    reads(stage, rows)
    heard: list[Notice] = []

    class Ear:
        def send(self, notice: Notice) -> None:
            heard.append(notice)

        def close(self) -> None:
            return

    around = Around(
        FixedClock(time.time_ns()), lambda: 0.5, lambda: SqliteReader(stage.home.approvals), lambda: "",
        news=News(stage.home).of,
    )  # fmt: skip
    watcher = Watcher("p", f"{stage.directory}/forward", NotifierConfig(), Ear(), around)
    watcher.round()
    watcher.close()
    assert [one.new for one in heard] == [new]
