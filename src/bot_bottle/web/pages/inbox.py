"""Inbox: what waits for a person as cards, exactly what would be sent, the answer; what was missed, what was said."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot_bottle.audit.filters import Filter, Term
from bot_bottle.base.errors import BottleError
from bot_bottle.base.text import visible
from bot_bottle.policy.replay import Line
from bot_bottle.supervise import past, rules, sentence
from bot_bottle.supervise.cards import Card, cards
from bot_bottle.supervise.expiry import LATE
from bot_bottle.supervise.granting import is_access
from bot_bottle.supervise.model import Ask, AskState, Scope
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.supervise.risk import WORDS
from bot_bottle.web.api import asks as operations
from bot_bottle.web.api.operation import Operation, fill
from bot_bottle.web.desk import Desk
from bot_bottle.web.look import pieces
from bot_bottle.web.page import act, desk, form, page
from bot_bottle.web.page import shown as seen
from bot_bottle.web.rows import of_line

SHOWN = 50
_MOST, _LAST, _PAST = 1000, 5, 5000
_TABS = {
    "waiting": (AskState.WAITING,),
    "missed": (AskState.EXPIRED, AskState.ENDED, AskState.WITHDRAWN),
    "answered": (AskState.ALLOWED, AskState.DENIED, AskState.REFUSED),
}
TIMES = (
    (0, "its own time"),
    (900, "15 minutes"),
    (3600, "1 hour"),
    (28800, "8 hours"),
    (86400, "1 day"),
    (604800, "7 days"),
)
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
class Shown:
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
    lines: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]


async def inbox(request: Request) -> Response:
    return await run_in_threadpool(_inbox, request, "inbox.html")


async def part(request: Request) -> Response:
    """The inside of the page: what an event of the stream brings up to date, and what an answer leads to."""
    return await run_in_threadpool(_inbox, request, "inbox_part.html")


def _inbox(
    request: Request, template: str, status: int = 200, notes: tuple[dict[str, str], ...] = (), chosen: str = "",
    answered: bool = False,
) -> Response:  # fmt: skip
    at, query = desk(request), request.query_params
    wanted, text = chosen or query.get("ask", ""), query.get("q", "")[:200]
    tab = _tab(at, query.get("tab", ""), wanted)
    found = [ask for ask in at.approvals().asks(AskQuery(states=_TABS[tab], limit=_MOST)) if fits(ask, text)]
    new = first_seen(at, found)
    stack = cards(found, lambda host: host in new)
    if tab != "waiting":
        stack.reverse()
    current = next(
        (card for card in stack if any(ask.id == wanted for ask in card.asks)), stack[0] if stack else None
    )
    context: dict[str, Any] = {
        "tab_name": tab, "q": text, "stack": stack[:SHOWN], "more": max(0, len(stack) - SHOWN), "count": len(found),
        "counts": {name: at.approvals().count(AskQuery(states=states)) for name, states in _TABS.items()},
        "current": shown(at, current) if current else None, "place": stack.index(current) + 1 if current else 0,
        "previous": _beside(stack, current, -1), "next": _beside(stack, current, 1), "words": WORDS, "times": TIMES,
        "notes": notes, "answered": answered,
        "grants": at.approvals().grants(live_at=at.clock(), limit=50) if tab == "answered" else (),
        "oldest": min((card.deadline for card in stack), default=0) if tab == "waiting" else 0,
        "found_words": FOUND, "state_words": sentence.state_words, "request_line": sentence.request_line,
    }  # fmt: skip
    return page(request, template, status=status, tab="inbox", **context)


def _tab(at: Desk, tab: str, wanted: str) -> str:
    """The tab of the URL, or the one in which the wanted ask is."""
    if tab in _TABS:
        return tab
    ask = at.approvals().ask(wanted) if wanted else None
    return next((name for name, states in _TABS.items() if ask and ask.state in states), "waiting")


def fits(ask: Ask, text: str) -> bool:
    """Whether all words of the filter stand in label, bottle, harness, host, method, path or agent."""
    wanted = ask.wanted
    facts = (ask.label, ask.bottle, ask.harness, ask.agent, wanted.target.host, wanted.method, wanted.path)
    whole = " ".join(facts).lower()
    return all(word in whole for word in text.lower().split())


def first_seen(at: Desk, found: Iterable[Ask]) -> set[str]:
    """Hosts that no record named before the first of these asks."""
    asked: dict[str, int] = {}
    for ask in found:
        host = ask.wanted.target.host
        asked[host] = min(asked.get(host, ask.asked), ask.asked)
    known = at.index().reach.host_first(asked)
    return {host for host, when in asked.items() if host not in known or known[host][0] >= when - 2_000_000_000}


def _beside(stack: list[Card], current: Card | None, by: int) -> str:
    at = stack.index(current) + by if current else -1
    return stack[at].asks[0].id if 0 <= at < len(stack) else ""


# ---- one card


def shown(at: Desk, card: Card) -> Shown:
    """Everything that a person is to see before an answer, but the bytes, which come by themselves."""
    ask = card.asks[0]
    detail = operations.get_ask(at, operations.AskId(ask.id))
    late = ask.state in LATE
    settled = not late and ask.state is not AskState.WAITING
    return Shown(
        card, ask, () if settled else choices(at, ask), WORDS[card.risk], late, settled, is_access(ask.wanted),
        sentence.request_line(ask.wanted), sentence.quoted(ask), last_rows(at, ask.run), _also(at, ask),
        tuple(detail.answers), tuple(sentence.request_line(one.wanted) for one in card.asks[:SHOWN]),
        parts_of(card),
    )  # fmt: skip


def parts_of(card: Card) -> tuple[tuple[str, str], ...]:
    """The sentence with what counts made strong: who, how much, to whom, which secret."""
    ask = card.asks[0]
    wanted = ask.wanted
    names = (visible(ask.label, 64), sentence.place(wanted), *(visible(one, 64) for one in wanted.secrets[:4]))
    amount = re.search(r"[0-9][0-9.]* ?[A-Za-z]*B(?: of [A-Za-z]+(?: [a-z]+)?)?(?= to )", card.sentence)
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
    bound = (f"request sha256:{ask.request[:8]}…{ask.request[-4:]}", f"policy revision {ask.revision}")
    if scope is Scope.ONCE:
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
    only = Filter((Term("run", (run,)), Term("kind", ("outcome", "denied"))))
    found = at.index().page(only, at.clock(), _LAST, None, 0.1)
    return tuple(of_line(hit.text, hit.run, hit.number) for hit in found.hits)


def _also(at: Desk, ask: Ask) -> str:
    """What a lasting yes would have allowed in the past thirty days."""
    only = Filter((Term("host", (ask.wanted.target.host,)), Term("kind", ("outcome", "denied")))).plus("since", "30d")
    found = at.index().page(only, at.clock(), _PAST, None, 0.1)
    return past.also_words(past.also(ask.wanted, (line for hit in found.hits if (line := _line(hit.text)))))


def _line(text: str) -> Line | None:
    import msgspec

    try:
        return msgspec.json.decode(text, type=Line)
    except msgspec.MsgspecError:
        return None


async def held(request: Request) -> Response:
    return await run_in_threadpool(_held, request)


def _held(request: Request) -> Response:
    """Exactly the bytes that would leave, from the gateway: they lie nowhere else in clear."""
    at = desk(request)
    found = at.show(str(request.path_params["ask"]))
    head = found.head.decode("latin-1").replace("\r\n", "\n").strip("\n")
    body = str(seen(found.body.decode("utf-8", "replace")))
    return page(
        request, "held.html", held=found.held, head=head, body=body, size=found.size,
        cut=found.size > len(found.body), ask_id=str(request.path_params["ask"]),
    )  # fmt: skip


async def rule(request: Request) -> Response:
    return await run_in_threadpool(_rule, request)


def _rule(request: Request) -> Response:
    """The change of the bottle file that `always` makes, as a diff; its digest goes along with the answer."""
    at, ask = desk(request), str(request.path_params["ask"])
    try:
        found, fault = at.propose(ask), None
    except BottleError as error:
        found, fault = None, error
    return page(request, "rule.html", proposal=found, fault=fault, ask_id=ask)


# ---- the answer


async def answer(request: Request) -> Response:
    values = await form(request)
    return await run_in_threadpool(_answer, request, values)


def _answer(request: Request, values: dict[str, str]) -> Response:
    """One answer to every ask of the card; then the next card."""
    notes: list[dict[str, str]] = []
    pairs = [pair.partition(":")[::2] for pair in values.get("asks", "").split(",") if pair][:SHOWN]
    for ident, digest in pairs:
        try:
            given = answer_one(request, ident, digest, values)
        except BottleError as error:
            notes.append({"kind": "deny", "what": error.what, "hint": error.hint})
        else:
            if given.wrote:
                notes.append({"kind": "allow", "what": f"A rule was written to {given.wrote}.", "hint": ""})
    if "hx-request" in request.headers:
        return _inbox(
            request, "inbox_part.html", notes=tuple(notes[:3]), chosen=values.get("next", ""), answered=True
        )
    if notes:
        return _inbox(
            request, "inbox.html", 409 if any(note["kind"] == "deny" for note in notes) else 200, tuple(notes[:3])
        )
    return RedirectResponse(
        f"/inbox?ask={values['next']}" if values.get("next", "").isascii() and values.get("next") else "/inbox", 303
    )


def answer_one(request: Request, ident: str, digest: str, values: dict[str, str]) -> operations.Replied:
    """What the API's answerAsk does, with the same checks. digest: of the request that the person saw."""
    operation = _BY_NAME["answerAsk"]
    wish = fill(
        operation,
        {
            "ask": ident, "request": digest, "allow": values.get("answer") == "allow",
            "scope": values.get("scope", "once"), "seconds": values.get("seconds", "0"),
            "reason": values.get("reason", "")[:500], "shown": values.get("shown", ""),
        },
    )  # fmt: skip
    return operations.answer_ask(desk(request, operation.scope), wish)


async def revoke(request: Request) -> Response:
    values = await form(request)
    return await run_in_threadpool(_revoke, request, values)


def _revoke(request: Request, values: dict[str, str]) -> Response:
    notes: tuple[dict[str, str], ...] = ()
    try:
        act(request, _BY_NAME["revokeGrant"], grant=values.get("grant", ""))
    except BottleError as error:
        notes = ({"kind": "deny", "what": error.what, "hint": error.hint},)
    if notes:
        return _inbox(request, "inbox.html", 409, notes)
    return RedirectResponse("/inbox?tab=answered", 303)


_BY_NAME: dict[str, Operation[Any, Any]] = {operation.name: operation for operation in operations.OPERATIONS}

ROUTES = [
    Route("/inbox", inbox, methods=["GET"]),
    Route("/part/inbox", part, methods=["GET"]),
    Route("/part/held/{ask}", held, methods=["GET"]),
    Route("/part/rule/{ask}", rule, methods=["GET"]),
    Route("/inbox/answer", answer, methods=["POST"]),
    Route("/inbox/revoke", revoke, methods=["POST"]),
]
