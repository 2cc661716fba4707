"""What the five tools do. None of them can answer an ask, and none returns the name or value of a secret (B44, B59).

Every call that does something is recorded first: no record, no ask. All texts of the agent are made visible and cut
before they go on as quoted data (B73).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.base.text import visible
from bot_bottle.egress.inside import RULE
from bot_bottle.egress.mcp import access, routes
from bot_bottle.egress.mcp.answers import Result, refused, url_text
from bot_bottle.egress.mcp.catalogue import (
    ARGUMENTS,
    TEXT,
    Arguments,
    CheckRequest,
    ExplainDenial,
    ListRoutes,
    ReportDone,
    RequestAccess,
)
from bot_bottle.egress.mcp.ledger import WAITING_CALLS, Entry, Ledger, seconds_left
from bot_bottle.egress.messages import Asked
from bot_bottle.supervise.model import AskKind, AskState

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway

Then = Callable[[Result], None]
Forget = Callable[[], None]


class Tools:
    """The tools of one gateway. Every `then` is called once, unless what was returned is called before."""

    def __init__(self, gateway: "Gateway", ledger: Ledger) -> None:
        self._gateway = gateway
        self._ledger = ledger

    def call(self, name: str, raw: dict[str, object], entry: str, may_wait: bool, then: Then) -> Forget:
        """Records the call, then does it. entry: the door it came by. The name must be one of `ARGUMENTS`."""
        number = self._gateway.next_number()
        try:
            arguments = msgspec.convert(raw, ARGUMENTS[name])
        except (msgspec.ValidationError, ValueError) as fault:
            wrong = refused(visible(f"{name}: {fault}", 300))
            self._record(number, entry, name, {"refused": "arguments"}, lambda: then(wrong))
            return _nothing
        begun = _Begun()
        self._record(
            number,
            entry,
            name,
            _details(arguments),
            lambda: begun.go(lambda: self._do(number, arguments, may_wait, then)),
        )
        return begun.forget

    def _record(self, number: int, entry: str, name: str, detail: dict[str, str], then: Callable[[], None]) -> None:
        journal = self._gateway.journal
        record = journal.record(
            RecordKind.REPORT, request=number, entry=entry, protocol="mcp", method=name, rule=RULE, detail=detail
        )
        journal.write(record, then)

    def _do(self, number: int, arguments: Arguments, may_wait: bool, then: Then) -> Forget:
        match arguments:
            case ListRoutes():
                then(routes.listed(self._gateway.rules.compiled))
            case ExplainDenial():
                then(routes.explained(self._gateway, arguments))
            case RequestAccess():
                self._request(number, arguments, _noting(access.left_out(arguments), then))
            case CheckRequest():
                return self._check(arguments, may_wait, then)
            case _:
                then(Result("ok", "Recorded. A person can read it; whether it is true is for them to judge."))
        return _nothing

    def _request(self, number: int, arguments: RequestAccess, then: Then) -> None:
        found = access.wanted(self._gateway.rules.compiled, arguments)
        if isinstance(found, Result):
            then(found)
            return
        ledger, wanted = self._ledger, found.wanted
        if (same := ledger.same(wanted)) is not None:
            ledger.when_open(same, lambda entry: then(self._told(entry)))
            return
        asked = Asked(
            number=number, kind=AskKind.ACCESS, wanted=wanted, rule=found.rule, reason=found.reason, hint=found.hint,
            says=quoted(arguments.justification),
        )  # fmt: skip
        over = ledger.open(asked, lambda entry: then(self._told(entry)))
        if over is not None:
            then(Result("refused", over.what, {"reason": over.slug}, error=True))

    def _check(self, arguments: CheckRequest, may_wait: bool, then: Then) -> Forget:
        entry = self._ledger.find(arguments.ask)
        if entry is None:
            then(refused("This bottle has no such ask." if arguments.ask else "This bottle has asked nothing yet."))
            return _nothing
        waits = may_wait and arguments.wait > 0 and self._ledger.waiting_calls < WAITING_CALLS
        if self._ledger.refresh(entry) is AskState.WAITING and waits:
            return self._ledger.wait(entry, arguments.wait, lambda ended: then(self._told(ended)))
        then(self._told(entry))
        return _nothing

    def _told(self, entry: Entry) -> Result:
        """The state of an ask as its own bottle may know it: never who answered."""
        data: dict[str, object] = {"ask": entry.ask}
        if entry.wanted is not None:
            data |= {"url": url_text(entry.wanted.target, entry.wanted.path), "methods": list(entry.wanted.methods)}
        state = self._ledger.refresh(entry)
        match state:
            case AskState.WAITING:
                data["seconds_left"] = seconds_left(entry.deadline)
                message = "A person was asked. Call check_request with wait, or go on with other work."
                return Result("waiting", message, data)
            case AskState.ALLOWED:
                message = (
                    "A person allowed it. Send the request again now." if entry.wanted else "A person allowed it."
                )
                if entry.until:
                    data["seconds_left"] = seconds_left(entry.until)
                return Result("allowed", message, data)
            case AskState.DENIED:
                message = "A person said no. Do not ask for the same again; work without it."
            case AskState.EXPIRED:
                message = "Nobody answered in time, which means no. A late yes is possible: check again later."
            case _:
                message = "The ask was ended without an answer."
        said = visible(entry.what, 300)
        return Result(state.value, f"{message} {said}".strip() if state is not AskState.EXPIRED else message, data)


def _noting(note: str, then: Then) -> Then:
    """Says a sentence more wherever something was done."""

    def told(result: Result) -> None:
        then(replace(result, message=f"{result.message} {note}") if note and not result.error else result)

    return told


class _Begun:
    """A call between its record and its end; forgotten, it does not begin or is not answered."""

    def __init__(self) -> None:
        self._gone = False
        self._end: Forget = _nothing

    def go(self, do: Callable[[], Forget]) -> None:
        if not self._gone:
            self._end = do()

    def forget(self) -> None:
        self._gone = True
        self._end()


def quoted(text: str) -> str:
    """The agent's words on one line, nothing invisible in them, cut."""
    return visible(" ".join(text.split()), TEXT)


def _details(arguments: Arguments) -> dict[str, str]:
    """What the record of a call holds of its arguments."""
    match arguments:
        case RequestAccess():
            where = arguments.url or f"{arguments.scheme}://{arguments.host}:{arguments.port or ''}{arguments.path}"
            return {
                "url": visible(where, 512),
                "methods": visible(" ".join(arguments.methods), 200),
                "says": quoted(arguments.justification),
            }
        case ReportDone():
            return {"status": arguments.status, "summary": quoted(arguments.summary)}
        case CheckRequest():
            return {"ask": visible(arguments.ask, 64)} if arguments.ask else {}
        case ExplainDenial():
            return {"url": visible(arguments.url, 512), "request": visible(str(arguments.request), 64)}
        case _:
            return {}


def _nothing() -> None:
    return None
