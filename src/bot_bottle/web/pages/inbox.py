"""Inbox: what waits for a person as cards, exactly what would be sent, the answer; what was missed, what was said."""

from collections import Counter
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot_bottle.base.errors import BottleError
from bot_bottle.supervise import sentence
from bot_bottle.supervise.cards import Card, cards, in_turn
from bot_bottle.supervise.model import Ask, AskState
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.supervise.risk import WORDS
from bot_bottle.supervise.standing import WORDS as WORDS_OF_GRANTS
from bot_bottle.web.api import asks as operations
from bot_bottle.web.api.operation import Operation, fill
from bot_bottle.web.card import FOUND, SHOWN, full
from bot_bottle.web.desk import Desk
from bot_bottle.web.news import news_for
from bot_bottle.web.page import act, desk, form, page, shown

_MOST, _EACH = 2000, 500
_NAMED = 20
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
    asks = at.approvals().asks(AskQuery(states=_TABS[tab], each=_EACH, limit=_MOST))
    found = [ask for ask in asks if fits(ask, text)]
    new = news_for(at, found)
    stack = cards(found, lambda host: host in new)
    if tab != "waiting":
        stack.reverse()
    if tab != "answered":
        stack = in_turn(stack, lambda card: card.asks[0].run)
    current = next(
        (card for card in stack if any(ask.id == wanted for ask in card.asks)), stack[0] if stack else None
    )
    context: dict[str, Any] = {
        "tab_name": tab, "q": text, "stack": stack[:SHOWN], "more": max(0, len(stack) - SHOWN),
        "beyond": Counter(card.asks[0].label for card in stack[SHOWN:]).most_common(_NAMED), "count": len(found),
        "counts": {name: at.approvals().count(AskQuery(states=states)) for name, states in _TABS.items()},
        "current": full(at, current) if current else None, "place": stack.index(current) + 1 if current else 0,
        "previous": _beside(stack, current, -1), "next": _beside(stack, current, 1), "words": WORDS, "times": TIMES,
        "notes": notes, "answered": answered,
        "grants": operations.standing_grants(at, only_alive=True, limit=50) if tab == "answered" else (),
        "standing_words": WORDS_OF_GRANTS,
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


def _beside(stack: list[Card], current: Card | None, by: int) -> str:
    at = stack.index(current) + by if current else -1
    return stack[at].asks[0].id if 0 <= at < len(stack) else ""


async def held(request: Request) -> Response:
    return await run_in_threadpool(_held, request)


def _held(request: Request) -> Response:
    """Exactly the bytes that would leave, from the gateway: they lie nowhere else in clear."""
    at = desk(request)
    found = at.show(str(request.path_params["ask"]))
    head = found.head.decode("latin-1").replace("\r\n", "\n").strip("\n")
    body = str(shown(found.body.decode("utf-8", "replace")))
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
    """One answer to every ask of the card; then the next card, or where one does not count, that ask as it is now."""
    notes: list[dict[str, str]] = []
    refused = ""
    pairs = [pair.partition(":")[::2] for pair in values.get("asks", "").split(",") if pair][:SHOWN]
    for ident, digest in pairs:
        try:
            given = answer_one(request, ident, digest, values)
        except BottleError as error:
            notes.append({"kind": "deny", "what": error.what, "hint": error.hint})
            refused = refused or ident
        else:
            if given.wrote:
                notes.append({"kind": "allow", "what": f"A rule was written to {given.wrote}.", "hint": ""})
    if "hx-request" in request.headers:
        return _inbox(
            request,
            "inbox_part.html",
            notes=tuple(notes[:3]),
            chosen=refused or values.get("next", ""),
            answered=True,
        )
    if notes:
        return _inbox(request, "inbox.html", 409 if refused else 200, tuple(notes[:3]), refused)
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
            "late": values.get("late") == "yes",
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
