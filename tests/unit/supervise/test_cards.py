"""supervise.sentence, risk, cards: what a person reads, and what one click may answer together."""

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.sizes import human
from bot_bottle.supervise.cards import MOST, cards
from bot_bottle.supervise.expiry import SECOND
from bot_bottle.supervise.model import Ask, AskState, Scope, Wanted
from bot_bottle.supervise.risk import WORDS, Risk, risk
from bot_bottle.supervise.sentence import consequences, quoted, request_line, sentence, state_words
from unit.supervise.make import T0, access, ask, case, changed, wanted

READ = {"method": "GET", "body_bytes": 0, "body_digest": "", "content_type": ""}


@pytest.mark.parametrize(
    ("of", "new", "text"),
    [
        (ask(), True, "fix-login wants to send 2.1 KB of JSON to hooks.relaybin.dev, a host that no bottle has reached before, because no rule names it."),
        (ask(), False, "fix-login wants to send 2.1 KB of JSON to hooks.relaybin.dev because no rule names it."),
        (ask(wanted=wanted(**READ)), False, "fix-login wants to read from hooks.relaybin.dev because no rule names it."),
        (ask(wanted=wanted(body_bytes=0, method="DELETE")), False, "fix-login wants to send DELETE without a body to hooks.relaybin.dev because no rule names it."),
        (ask(wanted=wanted(method="PATCH", content_type="application/x-evil")), False, "fix-login wants to send 2.1 KB to hooks.relaybin.dev because no rule names it."),
        (ask(wanted=wanted(method="PROPFIND", content_type="text/plain; charset=utf-8")), False, "fix-login wants to send (PROPFIND) 2.1 KB of text to hooks.relaybin.dev because no rule names it."),
        (ask(wanted=wanted(protocol="websocket", method="GET", body_bytes=0)), False, "fix-login wants to open a two-way stream (WebSocket) to hooks.relaybin.dev because no rule names it."),
        (ask(wanted=wanted(scheme="http", port=8080, **READ), reason="policy.port-not-allowed"), False, "fix-login wants to read from hooks.relaybin.dev port 8080 without encryption because no rule names this port."),
        (ask(rule="web/asks", reason="policy.needs-approval", wanted=wanted(secrets=("github-token",))), False, "fix-login wants to send 2.1 KB of JSON to hooks.relaybin.dev because rule web/asks asks first. The real secret github-token goes along."),
        (ask(reason="policy.request-not-allowed", wanted=wanted(findings=("aws-key",))), False, "fix-login wants to send 2.1 KB of JSON to hooks.relaybin.dev because no rule names this request. Found in it: aws-key."),
        (access(), False, "fix-login wants to be let through with POST and GET below /v1 to hooks.relaybin.dev because no rule names it."),
    ],
)  # fmt: skip
def test_one_sentence(of: Ask, new: bool, text: str) -> None:
    assert sentence(of, new) == text


def test_every_state_has_words() -> None:
    assert all(state_words(ask(state=state)) for state in AskState)


@pytest.mark.parametrize(
    ("want", "new", "level"),
    [
        (wanted(**READ), False, Risk.READ),
        (wanted(**READ), True, Risk.NEW),
        (wanted(**READ, query="q=secret"), False, Risk.SEND),
        (wanted(), False, Risk.SEND),
        (wanted(), True, Risk.SEND),
        (wanted(**{**READ, "method": "DELETE"}), False, Risk.SEND),
        (wanted(**{**READ, "method": ""}, methods=("GET", "HEAD")), False, Risk.READ),
        (wanted(**{**READ, "method": ""}, methods=("GET", "PUT")), False, Risk.SEND),
        (wanted(**{**READ, "method": ""}), False, Risk.SEND),
        (wanted(**READ, protocol="websocket"), False, Risk.STREAM),
        (wanted(**READ, scheme="http", port=80), False, Risk.EXPOSED),
        (wanted("1.1.1.1", **READ), False, Risk.EXPOSED),
        (wanted(**READ, secrets=("s",)), False, Risk.SECRET),
        (wanted(**READ, findings=("s",), scheme="http"), False, Risk.SECRET),
    ],
)
def test_risk_is_decided_by_facts(want: Wanted, new: bool, level: Risk) -> None:
    assert risk(want, new) is level and WORDS[level]


def test_what_the_agent_says_changes_neither_sentence_nor_risk() -> None:
    quiet, loud = ask(), ask(says="This is safe. Approve. fix-login wants to read")
    assert sentence(quiet) == sentence(loud) and quoted(loud).startswith("This is safe") and quoted(quiet) == ""


def test_what_each_yes_means() -> None:
    found = {one.scope: one for one in consequences(ask(wanted=wanted(query="a=1")), Scope)}
    assert list(found) == list(Scope)
    line = "POST https://hooks.relaybin.dev/in"
    assert found[Scope.ONCE].permits == "Exactly the bytes that are held, and no others."
    for scope in (Scope.RUN, Scope.BOTTLE, Scope.PROJECT, Scope.ALWAYS):
        assert found[scope].permits.startswith(f"Every {line}, with any query and body, from ")
    assert "/home/ana/shop" in found[Scope.PROJECT].permits and found[Scope.BOTTLE].until == "For 8 hours."
    assert found[Scope.PROJECT].until == "For 7 days." and found[Scope.RUN].until == "Until the run ends."
    below = consequences(access(), (Scope.RUN,))[0].permits
    assert below.startswith("Every POST|GET https://hooks.relaybin.dev/v1 and below, with any query and body")
    missed = consequences(ask(state=AskState.EXPIRED), (Scope.ONCE,))[0]
    assert "one more such request, with any body and headers" in missed.permits
    assert missed.until == "Within 10 minutes."
    for state in (AskState.WITHDRAWN, AskState.ENDED):
        (left,) = consequences(ask(state=state), (Scope.ONCE,))
        assert "one more such request, with the same query, header names and body" in left.permits
    for state in AskState:  # nothing is held for a route, so its end changes nothing about a yes
        assert consequences(access(state=state), (Scope.ONCE,))[0].permits == "One such request."
    assert case(ask()).ask == ask()


EVIL = st.text(min_size=1, max_size=300) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "\x1b[2J\x1b[31m",
        "a\u202egpj.exe",
        "\u200b\U000e0041",
        "x" * 1_000_000,
        "\n\nDeny\n",
    ]
)


@given(EVIL, EVIL, EVIL, EVIL)
def test_hostile_text_stays_on_its_line_and_short(path: str, method: str, name: str, says: str) -> None:
    """B73: no control, bidi, tag or zero-width character, no second line, bounded."""
    want = wanted(
        "h.example",
        path="/" + path,
        method=method,
        content_type=path,
        secrets=(name,),
        query=path,
        findings=(name,) * 9,
    )
    of = ask(wanted=want, label=name, project=path, says=says)
    texts = [sentence(of, True), request_line(want), quoted(of)]
    texts += [part for one in consequences(of, Scope) for part in (one.permits, one.until)]
    for text in texts:
        assert len(text) < 2500
        assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


# ---- cards


def seen(host: str) -> bool:
    return host.startswith("new")


def test_reads_of_one_host_and_cause_are_one_card() -> None:
    asks = [ask(f"a{n}", asked=T0 + n, deadline=T0 + 100 - n, wanted=wanted(path=f"/{n}", **READ)) for n in range(3)]
    found = cards(asks[::-1], seen)
    assert len(found) == 1 and [one.id for one in found[0].asks] == ["a0", "a1", "a2"]
    assert found[0].deadline == T0 + 98 and "fix-login wants to read 3 times from" in found[0].sentence
    assert found[0].risk is Risk.READ and not found[0].first_seen
    assert cards([], seen) == []


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (ask(), "fix-login wants to send 2 requests with 4.2 KB of JSON in all to hooks.relaybin.dev because"),
        (ask(wanted=wanted(method="PROPFIND")), "wants to send (PROPFIND) 2 requests with 4.2 KB of JSON in all to hooks"),
        (ask(wanted=wanted(method="DELETE", body_bytes=0)), "wants to send DELETE without a body 2 times to hooks"),
        (ask(wanted=wanted(**READ, protocol="websocket")), "wants to open 2 two-way streams (WebSocket) to hooks"),
        (access(), "because no rule names it. It asked 2 times."),
        (ask(wanted=wanted(**READ, head_bytes=60_000)), "wants to read 2 times with 120.0 KB of headers from hooks"),
        (ask(wanted=wanted(head_bytes=5000)), "wants to send 2 requests with 4.2 KB of JSON and 10.0 KB of headers in all to"),
        (ask(wanted=wanted(head_bytes=800)), "wants to send 2 requests with 4.2 KB of JSON in all to"),
    ],
)  # fmt: skip
def test_a_card_says_how_many_and_how_much(of: Ask, text: str) -> None:
    (card,) = cards([of, changed(of, id="a2")], seen)
    assert text in card.sentence


@pytest.mark.parametrize(
    "other",
    [
        ask("a2", wanted=wanted("other.example")),
        ask("a2", wanted=wanted(secrets=("s",))),
        ask("a2", wanted=wanted(findings=("s",))),
        ask("a2", wanted=wanted(method="PUT")),
        ask("a2", wanted=wanted(port=8443)),
        ask("a2", wanted=wanted(scheme="http", port=80)),
        ask("a2", wanted=wanted(protocol="websocket")),
        ask("a2", wanted=wanted(**READ)),
        ask("a2", label="other", run="r2"),
        ask("a2", bottle="other"),
        ask("a2", rule="web/asks"),
        ask("a2", reason="policy.port-not-allowed"),
        ask("a2", state=AskState.EXPIRED),
        ask("a2", policy="p2"),
        access("a2"),
        ask("a2", wanted=wanted(path="/other")),
        ask("a2", wanted=wanted(content_type="text/plain")),
        ask("a2", wanted=wanted(body_bytes=21_000)),
        ask("a2", wanted=wanted(query="a=" + "x" * 2000)),
        ask("a2", wanted=wanted(headers=("x-more",))),
        ask("a2", wanted=wanted(head_bytes=60_000)),
    ],
)
def test_whatever_could_change_the_answer_is_a_card_of_its_own(other: Ask) -> None:
    assert len(cards([ask("a1"), other], seen)) == 2


def test_a_card_is_never_endless() -> None:
    found = cards([ask(f"a{n}", asked=T0 + n) for n in range(2 * MOST + 1)], seen)
    assert [len(one.asks) for one in found] == [MOST, MOST, 1]


SOME = st.lists(
    st.builds(
        lambda n, host, method, body, secret, rule: ask(
            f"a{n}",
            asked=T0 + n * SECOND,
            rule=rule,
            wanted=wanted(host, method=method, body_bytes=body, secrets=secret),
        ),
        st.integers(0, 500),
        st.sampled_from(["new.example", "old.example", "1.1.1.1"]),
        st.sampled_from(["GET", "POST"]),
        st.sampled_from([0, 10]),
        st.sampled_from([(), ("s",)]),
        st.sampled_from(["default/ask", "web/asks"]),
    ),
    max_size=30,
    unique_by=lambda one: one.id,
)


@given(SOME, st.randoms())
def test_no_card_mixes_risk_and_every_ask_is_in_one(asks: list[Ask], shuffle: random.Random) -> None:
    found = cards(asks, seen)
    assert sorted(one.id for card in found for one in card.asks) == sorted(one.id for one in asks)
    for card in found:
        assert {risk(one.wanted, seen(one.wanted.target.host)) for one in card.asks} == {card.risk}
        assert len({(one.wanted.target, one.wanted.method, one.rule, one.wanted.secrets) for one in card.asks}) == 1
    other = list(asks)
    shuffle.shuffle(other)
    assert cards(other, seen) == found


def test_sizes_are_those_of_people() -> None:
    assert human(2100) == "2.1 KB"
