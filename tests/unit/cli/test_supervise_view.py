"""The live list: no key answers another ask than the one that is shown, hostile text stays text."""

import io
import time

import msgspec
import pytest
from rich.console import Console

from bot_bottle.base.errors import UsageFault
from bot_bottle.cli.supervise import line
from bot_bottle.cli.supervise_view import Deeds, Facts, View
from bot_bottle.keeper.messages.approvals import AskShown, LeafProposed
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Ask, AskKind, AskState, Scope, Wanted


def ask(ident: str = "a-one", host: str = "hooks.example.net", says: str = "") -> Ask:
    now = time.time_ns()
    wanted = Wanted(Target("https", host, 443), "POST", "/in", body_bytes=27, content_type="application/json")
    return Ask(
        ident, "run", "b", "fix-login", "claude", "claude", "/work", AskKind.REQUEST, 1, wanted, DEFAULT, "no-route",
        "Nothing names it.", "r" * 64, "s" * 64, "p", 1, now, now + 90 * 10**9, says,
    )  # fmt: skip


class Done:
    """What was asked for."""

    def __init__(self, scopes: tuple[Scope, ...] = tuple(Scope)) -> None:
        self.said: list[tuple[str, bool, Scope, str]] = []
        self.late: list[bool] = []
        self.scopes = scopes
        self.known: Facts | None = None
        self.fault: UsageFault | None = None

    def deeds(self) -> Deeds:
        rule = LeafProposed("/b.md", "d" * 64, "+rule\n-other\n same", ("sh", "w"))
        return Deeds(self.answer, self.facts, lambda _: rule, lambda _: self.scopes)

    def answer(self, one: Ask, allow: bool, scope: Scope, shown: str, late: bool) -> str:
        if self.fault:
            raise self.fault
        self.late.append(late)
        self.said.append((one.id, allow, scope, shown))
        return "done"

    def facts(self, _ask: Ask) -> Facts:
        if self.known is not None:
            return self.known
        return Facts(self.scopes, AskShown(True, b"POST /in HTTP/1.1\r\n\r\n", b"\x1b[2Jbody\x1b]0;t\x07", 12))


def view(*asks: Ask, done: Done | None = None) -> tuple[View, Done]:
    done = done or Done()
    one = View(done.deeds())
    one.update(list(asks))
    return one, done


def shown(one: View) -> str:
    out = io.StringIO()
    Console(file=out, width=100, height=40, force_terminal=True, color_system=None, highlight=False).print(
        one.render(time.time_ns(), 40, 100)
    )
    return out.getvalue()


def test_a_row_says_what_exactly_is_asked() -> None:
    """Three reads of one host are three rows that differ, also where their paths are long."""
    rows = [asking(f"a-{n}", f"/stream/{n}") for n in (1, 2)]
    rows += [asking("a-3", "/s" * 300 + "3", 8443), asking("a-4", "/s" * 300 + "4", 8443)]
    one, _ = view(*rows)
    text = shown(one)
    assert all(f"GET https://up.example/stream/{n} " in text for n in (1, 2))
    assert text.count("GET https://up.example:8443/s/s") == 2 and text.count("\u2026") == 2
    lines = [line(row).splitlines() for row in rows]
    assert lines[0][0].startswith("a-1 ") and lines[0][1].strip() == "GET https://up.example/stream/1"
    assert len({long[1] for long in lines}) == 4


def asking(ident: str, path: str, port: int = 443) -> Ask:
    wanted = Wanted(Target("https", "up.example", port), "GET", path)
    return msgspec.structs.replace(ask(ident), wanted=wanted)


def test_the_detail_says_what_the_records_say() -> None:
    one, done = view(ask())
    done.known = Facts(last=("     7 12:30:01 outcome", "     3 12:29:00 denied"), also="No past request is like it.")
    one.press("enter")
    words = " ".join(shown(one).split())
    assert "7 12:30:01 outcome" in words and "3 12:29:00 denied" in words and "No past request is like it." in words


def test_allow_and_deny_answer_the_selected_ask() -> None:
    one, done = view(ask("a-one"), ask("a-two"))
    one.press("j")
    one.press("a")
    one.press("k")
    one.press("d")
    assert done.said == [("a-two", True, Scope.ONCE, ""), ("a-one", False, Scope.ONCE, "")]


def test_the_selection_stays_with_its_ask_when_the_list_changes() -> None:
    one, done = view(ask("a-one"), ask("a-two"), ask("a-three"))
    one.press("j")
    one.update([ask("a-two"), ask("a-three"), ask("a-four")])
    one.press("a")
    assert done.said[-1][0] == "a-two"


@pytest.mark.parametrize("mode", ["enter", "5a"])
def test_what_was_settled_meanwhile_leaves_the_list_and_no_key_hits_its_neighbour(mode: str) -> None:
    one, done = view(ask("a-one"), ask("a-two"))
    for key in ("enter",) if mode == "enter" else ("5", "a"):
        one.press(key)
    one.update([ask("a-two")])
    assert (one.mode, "settled meanwhile" in one.said) == ("list", True)
    one.press("y")
    assert done.said == []


def test_a_scope_that_cannot_be_is_refused_and_the_narrowest_is_preselected() -> None:
    one, done = view(ask(), done=Done((Scope.ONCE, Scope.RUN)))
    one.press("5")
    assert one.scope is Scope.ONCE
    one.press("2")
    one.press("a")
    assert done.said == [("a-one", True, Scope.RUN, "")]
    one.update([ask("a-one"), ask("a-two")])
    one.press("j")
    assert one.scope is Scope.ONCE or done.said


@pytest.mark.parametrize(
    ("scopes", "keys", "help_row"),
    [
        (tuple(Scope), "1 2 3 4 5 scope", "scope: once, run, bottle, project, always"),
        ((Scope.ONCE, Scope.RUN, Scope.BOTTLE), "1 2 3 scope", "scope: once, run, bottle"),
        ((Scope.ONCE, Scope.RUN, Scope.BOTTLE, Scope.ALWAYS), "1 2 3 5 scope", "scope: once, run, bottle, always"),
        ((Scope.ONCE,), "", "scope: once, and no wider for this one"),
    ],
)
def test_only_scopes_that_a_yes_may_have_are_offered(scopes: tuple[Scope, ...], keys: str, help_row: str) -> None:
    one, _ = view(ask(), done=Done(scopes))
    line = next(row for row in shown(one).splitlines() if "a allow" in row)
    assert (keys in line) if keys else ("scope" not in line)
    assert ("5" in line) == (Scope.ALWAYS in scopes)
    one.press("?")
    assert help_row in shown(one)
    one.press("?")
    one.press("enter")
    assert ("5 always" in shown(one)) == (Scope.ALWAYS in scopes)


def test_without_an_ask_no_scope_is_offered() -> None:
    one, _ = view()
    assert "scope" not in shown(one)


@pytest.mark.parametrize("answered", [True, False])
def test_a_scope_stands_for_its_own_ask_and_not_for_the_one_that_takes_its_place(answered: bool) -> None:
    one, done = view(ask("a-one"), ask("a-two"))
    one.press("3")
    if answered:
        one.press("a")
    one.update([ask("a-two")])
    assert one.scope is Scope.ONCE
    one.press("a")
    assert done.said[-1] == ("a-two", True, Scope.ONCE, "")


def test_always_shows_its_diff_and_writes_only_after_y() -> None:
    one, done = view(ask())
    one.press("5")
    one.press("a")
    assert "+rule" in shown(one) and "Also holds for: sh, w." in shown(one)
    one.press("n")
    assert done.said == []
    one.press("a")
    one.press("y")
    assert done.said == [("a-one", True, Scope.ALWAYS, "d" * 64)]


def test_d25_a_yes_to_what_was_missed_is_said_twice_and_as_a_late_one() -> None:
    """What `a` sends for a waiting ask is never a late yes; for a missed one it says first what that permits."""
    one, done = view(ask("a-one"), msgspec.structs.replace(ask("a-two"), state=AskState.WITHDRAWN))
    one.press("a")
    one.press("j")
    one.press("a")
    assert (one.mode, len(done.said)) == ("late", 1)
    text = shown(one)
    assert "gave up waiting" in text and "with the same query, header names and body" in " ".join(text.split())
    one.press("n")
    assert (one.said, one.mode, len(done.said)) == ("Nothing was allowed.", "list", 1)
    one.press("a")
    one.press("y")
    assert done.said == [("a-one", True, Scope.ONCE, ""), ("a-two", True, Scope.ONCE, "")]
    assert done.late == [False, True]
    one.press("d")  # a no needs no second word
    assert done.said[-1] == ("a-two", False, Scope.ONCE, "")


@pytest.mark.parametrize("mode", ["late", "rule"])
def test_no_y_hits_another_ask_than_the_one_that_was_asked_about(mode: str) -> None:
    first = ask("a-one") if mode == "rule" else msgspec.structs.replace(ask("a-one"), state=AskState.EXPIRED)
    one, done = view(first, ask("a-two"))
    for key in "5a" if mode == "rule" else "a":
        one.press(key)
    assert one.mode == mode
    one.update([ask("a-two")])
    one.press("y")
    assert (one.mode, done.said) == ("list", [])


def test_a_fault_is_said_and_nothing_ends() -> None:
    one, done = view(ask())
    done.fault = UsageFault("ask.settled", "This ask is denied already.", "See it.")
    one.press("a")
    assert one.said == "This ask is denied already. See it."
    assert not one.over


def test_b73_hostile_text_is_shown_as_text() -> None:
    evil = "\x1b[2J\x1b]52;c;cm0=\x07[bold]\u202eevil[/]" * 50
    one, _ = view(ask(host=evil, says=evil))
    one.press("enter")
    text = shown(one)
    assert "\x1b[2J" not in text
    assert "\x1b]" not in text
    assert "\u202e" not in text
    assert "body" in text
    assert "(unchecked)" in text.replace("\n", " ")


def test_missed_and_help_and_leaving() -> None:
    one, _ = view(ask())
    one.press("?")
    assert "deny" in shown(one)
    one.press("?")
    one.press("m")
    assert (one.missed, one.asks) == (True, [])
    assert "Nothing was missed" in shown(one)
    one.press("a")
    one.press("q")
    assert one.over


def test_five_hundred_asks_show_around_the_selected_one() -> None:
    one, _ = view(*(ask(f"a-{number:04d}") for number in range(500)))
    for _ in range(250):
        one.press("j")
    text = shown(one)
    assert "> a-0250" in text
    assert "a-0001" not in text


def test_state_words_of_missed_ones() -> None:
    one, _ = view(msgspec.structs.replace(ask(), state=AskState.EXPIRED))
    assert "missed" in shown(one)
