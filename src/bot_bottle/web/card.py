"""One card of the inbox in full: all that a person is to see before an answer, and what each answer would mean."""

import re
from dataclasses import dataclass
from typing import Any

from bot_bottle.api import around
from bot_bottle.base.text import visible
from bot_bottle.supervise import rules, sentence
from bot_bottle.supervise.cards import Card
from bot_bottle.supervise.expiry import LATE
from bot_bottle.supervise.granting import is_access
from bot_bottle.supervise.model import Ask, AskState, Scope
from bot_bottle.supervise.risk import WORDS
from bot_bottle.web.api import asks as operations
from bot_bottle.web.desk import Desk
from bot_bottle.web.look import pieces
from bot_bottle.web.rows import of_line

SHOWN = 50
FOUND = {
    "custody.secret-sent": "A real secret of this machine is in it. A yes would give it away.",
    "inspect.unseen-coding": "Its body is compressed or coded in a way that was not looked into.",
}
_NAMES = {
    Scope.ONCE: ("Once", "once"), Scope.RUN: ("This run", "for this run"),
    Scope.BOTTLE: ("This bottle", "for this bottle"), Scope.PROJECT: ("This project", "for this project"),
    Scope.ALWAYS: ("Always", "always"),
}  # fmt: skip
"""Title of a scope, and how the button says it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One scope that a yes may have. writes: what it would leave behind, one line each."""

    scope: str
    title: str
    button: str
    permits: str
    until: str
    writes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Full:
    """A card in full. batch: all asks that one answer answers. late: nobody waits any more."""

    card: Card
    ask: Ask
    choices: tuple[Choice, ...]
    risk: str
    late: bool
    settled: bool
    access: bool
    line: str
    says: str
    rows: tuple[Any, ...]
    also: str
    answers: tuple[Any, ...]
    parts: tuple[tuple[str, str], ...]


def full(at: Desk, card: Card) -> Full:
    """Everything that a person is to see before an answer, but the bytes, which come by themselves."""
    ask = card.asks[0]
    detail = operations.get_ask(at, operations.AskId(ask.id))
    late = ask.state in LATE
    settled = not late and ask.state is not AskState.WAITING
    return Full(
        card, ask, () if settled else choices(at, ask), WORDS[card.risk], late, settled, is_access(ask.wanted),
        sentence.request_line(ask.wanted), sentence.quoted(ask), last_rows(at, ask.run),
        around.also(at.index(), at.clock(), card.asks), tuple(detail.answers), parts_of(card),
    )  # fmt: skip


def parts_of(card: Card) -> tuple[tuple[str, str], ...]:
    """The sentence with what counts made strong: who, how much, to whom, which secret."""
    ask = card.asks[0]
    wanted = ask.wanted
    names = (visible(ask.label, 64), sentence.place(wanted), *(visible(one, 64) for one in wanted.secrets[:4]))
    amount = re.search(r"[0-9][0-9.]* ?[A-Za-z]*B(?: of [A-Za-z]+(?: [a-z]+)?)?(?= (?:in all )?to )", card.sentence)
    why = re.search(r"because ([^.]{3,200})\.", card.sentence)
    facts = (amount.group() if amount else "", why.group(1) if why else "")
    return tuple(pieces(card.sentence, names, facts))


def choices(at: Desk, ask: Ask) -> tuple[Choice, ...]:
    """The scopes that a yes to this ask may have, narrowest first."""
    facts = None if ask.state in LATE else at.facts(ask.label)
    leaf = facts.leaf if facts else ""
    case = rules.Case(ask, at.clock(), policy=ask.policy, revision=ask.revision, leaf=leaf)
    found = sentence.consequences(ask, rules.scopes(case))
    return tuple(
        Choice(one.scope.value, *_NAMES[one.scope], one.permits, one.until, writes(ask, one.scope, leaf))
        for one in found
    )


def writes(ask: Ask, scope: Scope, leaf: str) -> tuple[str, ...]:
    """What a yes would leave behind."""
    revision = f"policy revision {ask.revision}"
    if scope is Scope.ONCE:
        kind, digest = ("scope", ask.scope) if ask.state is AskState.EXPIRED else ("request", ask.request)
        bound = (f"{kind} sha256:{digest[:8]}…{digest[-4:]}", revision)
        return ("no rule: one grant, used once", *bound)
    if scope is Scope.ALWAYS:
        return (f"one route in {leaf}, shown below", f"policy revision {ask.revision}")
    return (
        f"no rule: a grant for {scope.value}",
        sentence.request_line(ask.wanted),
        f"policy revision {ask.revision}",
    )


def last_rows(at: Desk, run: str) -> tuple[Any, ...]:
    """The last five requests of a run."""
    return tuple(of_line(hit.text, hit.run, hit.number) for hit in around.last(at.index(), at.clock(), run))
