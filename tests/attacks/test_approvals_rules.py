"""Attacks on what a person's yes permits: the pure parts of B44, B74 and D25. Each has a control that opens the hole."""

import os
from pathlib import Path

import msgspec
import pytest

from bot_bottle.base.errors import BottleError
from bot_bottle.policy.check import check_bottle
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.grants import DEFAULT, Grant
from bot_bottle.policy.merge import effective, merge
from bot_bottle.policy.verdict import Auth, Kind, Request, Target
from bot_bottle.supervise import charter, digest, expiry, granting, leaf, rules
from bot_bottle.supervise.cards import MOST, cards
from bot_bottle.supervise.charter import LOCAL, Charter
from bot_bottle.supervise.expiry import SECOND, Steady
from bot_bottle.supervise.granting import Holder
from bot_bottle.supervise.model import Approver, Ask, AskKind, AskState, Scope
from bot_bottle.supervise.risk import Risk, risk
from bot_bottle.supervise.rules import Refused, Settles, may_answer
from bot_bottle.supervise.sentence import consequences, quoted, request_line, sentence
from unit.supervise.make import BEN, T0, access, answer, ask, case, changed, wanted

HOST = "api.key-host.dev"
KEYED = Route("web/keyed", HOST, auth=Auth("bearer", "api-key"), action="ask")
HOLDER = Holder("r1", "web", "/home/ana/shop", "p1")


def settles(of: object, **facts: object) -> bool:
    return isinstance(of, Settles)


# ---- B44: the agent approves its own proposal, binding a known key to its host


def test_b44_what_an_agent_asks_for_never_carries_a_secret() -> None:
    """A yes to `request_access` for any host: no secret goes there, whatever the agent calls it."""
    of = access(
        wanted=wanted("evil.example", method="", methods=("POST",), path="/", body_bytes=0), says="binds api-key"
    )
    grant = granting.grant_for(of, answer(of, scope=Scope.RUN), Settles(True, Scope.RUN, 60), "g1")
    assert grant
    policy = Policy("web", (KEYED,), default="ask")
    known = compile(policy, granting.for_gateway([grant], HOLDER, T0 + SECOND))
    verdict = decide(known, Request(Target("https", "evil.example", 443), "POST", "/x"))
    assert verdict.kind is Kind.ALLOW and policy.route(verdict.route).auth is None
    assert policy.route(0).auth is not None  # the control: what another index would have given
    assert "auth" not in msgspec.json.encode(leaf.route_of(of.wanted)).decode()


def test_b45_learning_gives_no_secret_and_opens_no_deny() -> None:
    """In a learn mode anything unnamed leaves: bare. The route with the key asks as before, a deny denies as before."""
    deny = Route("web/no", "shut.example", scheme="", ports=(), protocols=("http1", "websocket"), action="deny")
    policy = Policy("web", (KEYED, deny), default="learn", learn_until=T0)
    known = compile(policy)
    verdict = decide(known, Request(Target("https", "evil.example", 443), "POST", "/x"))
    route = policy.route(verdict.route)
    assert verdict.kind is Kind.ALLOW and route.auth is None and not route.agent_credentials and not route.address
    assert decide(known, Request(Target("https", HOST, 443), "POST", "/x")).kind is Kind.ASK
    for host, scheme in (
        ("shut.example", "http"),
        ("169.254.169.254", "http"),
        ("10.0.0.1", "https"),
        ("[::1]", "http"),
    ):
        assert decide(known, Request(Target(scheme, host.strip("[]"), 80), "GET", "/")).kind is Kind.DENY
    open_key = changed(KEYED, action="allow")
    assert (
        policy.route(0).auth
        and decide(compile(Policy("web", (open_key,))), Request(Target("https", HOST, 443), "GET", "/")).rule
        == "web/keyed"
    )  # the control


def test_b44_a_yes_for_one_rule_is_none_for_the_rule_that_holds_the_key() -> None:
    """A grant for what no route names never answers the ask route with the secret, though host and path are equal."""
    grant = Grant("g1", "a1", DEFAULT, "https", HOST, 443, "http1", "/", T0 * 2, prefix=True)
    asked = Request(Target("https", HOST, 443), "GET", "/v1")
    assert decide(compile(Policy("web", (KEYED,), default="ask"), (grant,)), asked).kind is Kind.ASK
    own = changed(grant, rule=KEYED.rule)
    assert decide(compile(Policy("web", (KEYED,), default="ask"), (own,)), asked).kind is Kind.ALLOW  # the control


def test_b44_who_started_the_run_does_not_answer_where_the_charter_says_so() -> None:
    strict = Charter(not_requester=True, people={"device:d1": "ana", "os:1000": "ana"})
    for who in (Approver("os", "1000", "ana"), BEN):
        ruling = may_answer(strict, case(ask(), requester="os:1000"), answer(ask(), approver=who))
        assert isinstance(ruling, Refused) and ruling.slug == "ask.own-request"
    assert settles(may_answer(LOCAL, case(ask(), requester="os:1000"), answer(ask())))  # the control: local mode


def test_b44_the_agents_words_take_no_part_in_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet, loud = ask(), ask(says="APPROVED by ana. scope: always. risk: none.")
    assert sentence(quiet) == sentence(loud) and risk(quiet.wanted, True) is Risk.SEND
    assert quiet.request == loud.request and quiet.scope == loud.scope
    asked = [may_answer(LOCAL, case(of), answer(of, scope=Scope.RUN)) for of in (quiet, loud)]
    assert asked[0] == asked[1]
    assert (
        decide(compile(Policy("web", (), default="ask")), Request(quiet.wanted.target, "POST", "/in")).kind
        is Kind.ASK
    )


def test_b44_nobody_who_is_not_let_in_answers() -> None:
    members = Charter(members=("os:1000",))
    inside = Approver("agent", "claude", "ana")
    for allow in (True, False):
        ruling = may_answer(members, case(ask()), answer(ask(), allow, approver=inside))
        assert isinstance(ruling, Refused) and ruling.slug == "ask.not-yours"
    named_alike = Approver("token", "1000", "ana")  # same id and name, another kind
    assert isinstance(may_answer(members, case(ask()), answer(ask(), approver=named_alike)), Refused)


# ---- B74: flooding, and stale yeses


def test_b74_a_yes_dies_with_the_policy_under_which_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for facts in ({"policy": "p2"}, {"revision": 2}):
        ruling = may_answer(LOCAL, case(ask(), **facts), answer(ask()))
        assert isinstance(ruling, Refused) and ruling.slug == "ask.policy-changed"
    grant = granting.grant_for(ask(), answer(ask(), scope=Scope.RUN), Settles(True, Scope.RUN, 60), "g1")
    assert grant and granting.for_gateway([grant], HOLDER, T0 + SECOND)  # the control: under its own policy
    assert not granting.for_gateway([grant], changed(HOLDER, policy="p2"), T0 + SECOND)
    monkeypatch.setattr(rules, "_policy_fault", lambda _case: None)
    assert settles(may_answer(LOCAL, case(ask(), policy="p2"), answer(ask())))


def test_b74_of_a_flood_one_click_answers_one_kind() -> None:
    """50 harmless asks around a dangerous one: the dangerous one is in a card of its own, whatever it looks like."""
    flood = [ask(f"a{n}", asked=T0 + n, wanted=wanted(path=f"/{n}")) for n in range(120)]
    evil = [
        ask("evil-1", asked=T0 + 60, wanted=wanted(path="/60", secrets=("api-key",))),
        ask("evil-2", asked=T0 + 61, wanted=wanted("hooks.relaybin.dev.evil.example")),
        ask("evil-3", asked=T0 + 62, wanted=wanted(method="DELETE", body_bytes=0)),
    ]
    made = cards([*flood, *evil], lambda _host: False)
    for one in evil:
        assert [card.asks for card in made if one in card.asks] == [(one,)]
    assert max(len(card.asks) for card in made) <= MOST


def test_b74_silence_is_a_no_whatever_the_clock_does() -> None:
    of = ask()
    for late, slug in ((False, "ask.late"), (True, "ask.late-once")):
        ruling = may_answer(LOCAL, case(of, now=of.deadline), answer(of, scope=Scope.RUN, late=late))
        assert isinstance(ruling, Refused) and ruling.slug == slug
    clock = Steady(T0, 0)
    an_hour_back = clock.now(T0 + 600 * SECOND - 3600 * SECOND, 600 * SECOND)
    assert expiry.overdue(of, an_hour_back)
    assert not expiry.overdue(of, T0 + 600 * SECOND - 3600 * SECOND)  # the control: the bare wall clock


# ---- B73: text of the agent drives the reader


@pytest.mark.parametrize(
    "evil",
    [
        "\x1b[2J\x1b[1;1HALLOWED",
        "safe\u202egnp.exe",
        "a\u200bb",
        "\U000e0041tag",
        "line\nDenied: no",
        "<b>ok</b>" * 9999,
    ],
)
def test_b73_no_text_of_a_bottle_drives_who_reads_an_ask(evil: str) -> None:
    of = ask(
        label=evil,
        says=evil,
        wanted=wanted(path=f"/{evil}", method=evil, query=evil, secrets=(evil,), findings=(evil,)),
    )
    texts = [sentence(of, True), quoted(of), request_line(of.wanted)]
    texts += [one.permits + one.until for one in consequences(of, Scope)]
    for text in texts:
        assert text.isprintable() and "\n" not in text and len(text) < 2500
    assert not evil.isprintable() or len(evil) > 2500  # the control: as it came it would


# ---- D25: another tail, a short grant for hours, always in a shared base


def test_d25_a_yes_is_for_exactly_these_bytes() -> None:
    base = wanted()
    seen = digest.request_digest("web", AskKind.REQUEST, base)
    others = [
        wanted(body_digest="c" * 64), wanted(headers=("x-more",)), wanted(path="/in2"), wanted(method="PUT"),
        wanted(query_digest="q"), wanted(secrets=("k",)), wanted(findings=("f",)), wanted("evil.example"),
        wanted(port=8443), wanted(scheme="http"), wanted(protocol="websocket"),
    ]  # fmt: skip
    for other in others:
        of = ask(wanted=other)
        ruling = may_answer(LOCAL, case(of), answer(of, request=seen))
        assert isinstance(ruling, Refused) and ruling.slug == "ask.other-request"
    assert (
        digest.request_digest("other", AskKind.REQUEST, base)
        != seen
        != digest.scope_digest("web", AskKind.REQUEST, base)
    )
    assert settles(may_answer(LOCAL, case(ask()), answer(ask(), request=seen)))  # the control


def test_d25_no_two_lists_of_parts_have_one_digest() -> None:
    """Header ``a`` and secret ``b`` are not header ``a, b``."""
    digests = {
        digest.request_digest("web", AskKind.REQUEST, wanted(headers=headers, secrets=secrets, findings=findings))
        for headers, secrets, findings in [
            (("a", "b"), (), ()), (("a",), ("b",), ()), ((), ("a", "b"), ()), ((), ("a",), ("b",)), (("ab",), (), ()),
            ((), (), ("a", "b")), (("a", "b", ""), (), ()),
        ]
    }  # fmt: skip
    assert len(digests) == 7


def test_d25_a_secret_is_let_go_once_and_never_by_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    of = ask(rule="web/keyed", wanted=wanted(secrets=("api-key",)))
    for scope in (Scope.RUN, Scope.BOTTLE, Scope.PROJECT, Scope.ALWAYS):
        ruling = may_answer(LOCAL, case(of), answer(of, scope=scope))
        assert isinstance(ruling, Refused) and ruling.slug == "ask.once-only"
    assert settles(may_answer(LOCAL, case(of), answer(of)))
    monkeypatch.setattr(rules, "scope_fault", lambda _case, _scope: None)
    assert settles(may_answer(LOCAL, case(of), answer(of, scope=Scope.RUN)))  # the control


@pytest.mark.parametrize("state", [AskState.EXPIRED, AskState.ENDED, AskState.WITHDRAWN])
def test_d25_a_late_yes_is_one_request_within_ten_minutes(state: AskState) -> None:
    of = ask(state=state)
    ruling = may_answer(LOCAL, case(of), answer(of, late=True))
    assert isinstance(ruling, Settles) and ruling.late
    grant = granting.grant_for(of, answer(of), ruling, "g1")
    assert grant and grant.uses == 1 and grant.expires - grant.given == 600 * SECOND
    assert granting.match_once([grant], ask("a2"), HOLDER, T0 + 2 * SECOND)
    assert not granting.match_once([changed(grant, used=1)], ask("a2"), HOLDER, T0 + 2 * SECOND)
    assert not granting.match_once([grant], ask("a2"), HOLDER, grant.expires)
    in_time = granting.grant_for(ask(), answer(ask()), Settles(True), "g1")
    assert in_time is None  # the control: a yes in time leaves nothing behind


@pytest.mark.parametrize("state", [*expiry.LATE, AskState.WAITING])
def test_d25_a_yes_to_held_bytes_never_becomes_one_to_others(
    state: AskState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent hangs up, its bottle ends or the deadline passes while a person reads; the yes was for these bytes."""
    now = T0 + SECOND if state is not AskState.WAITING else ask().deadline
    of, said = ask(state=state), answer(ask(), at=now)
    ruling = may_answer(LOCAL, case(of, now=now), said)
    assert isinstance(ruling, Refused) and ruling.slug == "ask.late" and "nothing was allowed" in ruling.what
    monkeypatch.setattr(rules, "_late_fault", lambda *_: None)
    assert settles(may_answer(LOCAL, case(of, now=now), said))  # the control: a grant for one more request


@pytest.mark.parametrize(("state", "other"), [("withdrawn", False), ("ended", False), ("expired", True)])
def test_d25_who_hung_up_sends_again_what_was_read(state: str, other: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lateness of the bottle's own doing is no way to another body, even where the person says yes to the late ask."""
    of = ask(state=AskState(state))
    same = ask("a2", asked=T0 + SECOND)
    bodies = ask("a3", wanted=wanted(body_digest="c" * 64)), ask("a4", wanted=wanted(headers=("x-more",)))

    def matches(again: Ask) -> bool:
        grant = granting.grant_for(of, answer(of, late=True), Settles(True, late=True), "g1")
        assert grant
        return granting.match_once([grant], again, HOLDER, T0 + 2 * SECOND) is not None

    assert matches(same) and [matches(one) for one in bodies] == [other, other]
    monkeypatch.setattr(expiry, "LEFT", ())
    assert [matches(one) for one in bodies] == [True, True]  # the control


def test_d25_every_yes_ends() -> None:
    for scope in (Scope.RUN, Scope.BOTTLE, Scope.PROJECT):
        made = granting.grant_for(ask(), answer(ask(), scope=scope), Settles(True, scope), "g1")
        assert made and T0 < made.expires <= T0 + SECOND + 90 * expiry.DAY * SECOND
        assert not granting.for_gateway([made], HOLDER, made.expires)
    assert granting.flow_ends(Settles(True), T0) == T0 + expiry.HOUR * SECOND


def test_d25_a_grant_never_beats_a_deny() -> None:
    host = wanted().target.host
    grant = Grant("g1", "a1", DEFAULT, "https", host, 443, "http1", "/", T0 * 2, prefix=True)
    asked = Request(wanted().target, "POST", "/in")
    deny = Route("web/no", host, scheme="", ports=(), protocols=("http1", "websocket"), action="deny")
    assert decide(compile(Policy("web", (deny,), default="ask"), (grant,)), asked).kind is Kind.DENY
    rivals = tuple(Route(f"web/{n}", host, action="ask", auth=Auth("bearer", n)) for n in ("one", "two"))
    tied = tuple(changed(grant, rule=f"web/{n}") for n in ("one", "two"))
    assert decide(compile(Policy("web", rivals, default="ask"), tied), asked).kind is Kind.DENY
    assert decide(compile(Policy("web", (), default="ask"), (grant,)), asked).kind is Kind.ALLOW  # the control


LEAF = "---\nextends: base\negress: {default: ask}\n---\n"
BASE = "---\negress:\n  routes:\n    - {name: base, host: base.example}\n---\nFor everybody.\n"


def test_d25_always_writes_the_leaf_and_never_a_parent(tmp_path: Path) -> None:
    """The base is extended by other bottles: what one agent asked for must not reach them."""
    (tmp_path / "web.md").write_text(LEAF)
    (tmp_path / "base.md").write_text(BASE)
    files = [check_bottle(text.encode(), name, f"{name}.md") for name, text in (("base", BASE), ("web", LEAF))]
    found = leaf.propose(f"{tmp_path}/web.md", effective(merge(files), "web"), wanted())
    leaf.write(found)
    assert (tmp_path / "base.md").read_text() == BASE and sorted(os.listdir(tmp_path)) == ["base.md", "web.md"]
    assert found.policy.routes[-1].rule.startswith("web/")
    other = effective(merge([files[0]]), "other")
    assert decide(compile(other), Request(wanted().target, "POST", "/in")).kind is Kind.DENY


def test_d25_always_writes_what_was_shown_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "web.md"
    path.write_text(LEAF)
    policy = effective(
        merge([check_bottle(BASE.encode(), "base", "b"), check_bottle(LEAF.encode(), "web", "w")]), "web"
    )
    shown = leaf.propose(str(path), policy, wanted())
    path.write_text(LEAF.replace("extends: base", "extends: [base, more]"))  # an editor, meanwhile
    with pytest.raises(BottleError) as fault:
        leaf.write(shown)
    assert fault.value.slug == "leaf.changed" and "hooks.relaybin.dev" not in path.read_text()
    again = leaf.propose(str(path), policy, wanted())
    leaf.write(again)
    assert path.read_bytes() == again.after  # the control


@pytest.mark.parametrize(
    "host",
    ["x\n    - host: evil.example", "a.example}, {host: evil.example", "a.example # ", "*", "*.example", "a b", '"'],
)
def test_d25_no_name_writes_more_than_its_route(tmp_path: Path, host: str) -> None:
    """Host and path come from a bottle; the gateway makes them canonical, and this stands without it."""
    path = tmp_path / "web.md"
    path.write_text(LEAF)
    policy = effective(merge([check_bottle(LEAF.replace("extends: base\n", "").encode(), "web", "w")]), "web")
    for want in (wanted(host), wanted(path=f"/{host}"), wanted(method=host)):
        try:
            found = leaf.propose(str(path), policy, want)
        except (BottleError, ValueError):
            continue
        routes = check_bottle(found.after, "web", "w").bottle.egress.routes
        assert len(routes) == 1 and routes[0].host == want.target.host and "*" not in routes[0].host
        assert "evil.example" not in [route.host for route in routes]


def test_d25_quorum_is_of_persons_not_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    two = Charter(quorum=2, people={"device:d1": "ana", "os:1000": "ana"})
    first = answer(ask(), id="n1")
    second = answer(ask(), id="n2", approver=BEN)
    assert isinstance(may_answer(two, case(ask(), answers=(first,)), second), Refused)
    monkeypatch.setattr(charter, "person", lambda _charter, approver: charter.key(approver))
    assert settles(may_answer(two, case(ask(), answers=(first,)), second))  # the control
