"""Asks, answers and grants: what waits for a person, exactly what would be sent, the answer, taking a yes back."""

import base64
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, structs

from bot_bottle.api import grants
from bot_bottle.supervise import rules, sentence
from bot_bottle.supervise.model import Answer, Ask, AskState, Scope, StoredGrant
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.web.api import cursor
from bot_bottle.web.api.operation import Nothing, Operation
from bot_bottle.web.desk import Desk
from bot_bottle.web.news import news_for

Ident = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Cursor = Annotated[str, Meta(max_length=400)]
Filter = Annotated[str, Meta(max_length=253)]
StateName = Literal["waiting", "allowed", "denied", "expired", "withdrawn", "ended", "refused"]
ScopeName = Literal["once", "run", "bottle", "project", "always"]
StandingName = Literal["live", "unknown", "idle", "rule", "ended"]
WhyName = Literal["", "revoked", "run", "used", "expired", "policy", "clock", "nobody", "others", "silent"]
_MOST = 500


class AskFilter(msgspec.Struct, forbid_unknown_fields=True):
    """state: one or more; none for all. The others: exactly this; empty for any."""

    state: tuple[StateName, ...] = ()
    run: Filter = ""
    bottle: Filter = ""
    label: Filter = ""
    host: Filter = ""
    cursor: Cursor = ""
    limit: Annotated[int, Meta(ge=1, le=_MOST)] = 100


class AskItem(msgspec.Struct):
    """says of the ask is the agent's own, unchecked. sentence: for a person. state: also where `ask` leaves it out,
    because it is the first one."""

    id: str
    state: StateName
    ask: Ask
    sentence: str
    request_line: str


class AskPage(msgspec.Struct):
    """Newest first. next: cursor of the next page, "" at the end."""

    items: list[AskItem]
    next: str = ""


class AskId(msgspec.Struct, forbid_unknown_fields=True):
    ask: Ident


class Consequence(msgspec.Struct):
    scope: ScopeName
    permits: str
    until: str


class AskDetail(msgspec.Struct):
    """answers: that it got so far. scopes: that a yes may have now, narrowest first, with what each means."""

    id: str
    state: StateName
    ask: Ask
    sentence: str
    answers: list[Answer]
    scopes: list[Consequence]


class HeldRequest(msgspec.Struct):
    """Exactly what is held: head as it would leave (placeholders for secrets), first bytes of the body; base64.
    size: of the whole body. held: False where nothing is any more."""

    held: bool
    head: str = ""
    body: str = ""
    size: int = 0


class Proposal(msgspec.Struct):
    """The change of the bottle file that `always` makes. before: to be sent back as `shown` with the answer. also:
    other bottles that extend the file, so that the rule holds for them too."""

    path: str
    before: str
    diff: str
    also: tuple[str, ...] = ()


class Reply(msgspec.Struct, forbid_unknown_fields=True):
    """request: the digest of the ask that the person saw. seconds: how long a yes lives, 0 for its scope's own.
    shown: for `always`, `before` of the proposal that the person saw; without it no rule is written. late: the person
    saw that nobody waits any more (expired, withdrawn or ended), and permits one more such request; without it such a
    yes is refused (`ask.late`)."""

    ask: Ident
    request: Digest
    allow: bool
    scope: ScopeName = "once"
    seconds: Annotated[int, Meta(ge=0, le=366 * 86400)] = 0
    reason: Annotated[str, Meta(max_length=500)] = ""
    break_glass: bool = False
    shown: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")] = ""
    late: bool = False


class Replied(msgspec.Struct):
    """state: of the ask now. grant: id, "" for once. wrote: bottle file that got a rule."""

    state: StateName
    grant: str = ""
    wrote: str = ""


class GrantFilter(msgspec.Struct, forbid_unknown_fields=True):
    """live: only those that a bottle that runs may use now."""

    live: bool = False
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200


class GrantItem(StoredGrant, frozen=True, kw_only=True, omit_defaults=False):
    """used: requests that left under it, as far as their records are kept. state: whether it opens anything now.
    idle: nothing that runs may use it, but a start under the policy of then may; rule: a bottle file says it by now;
    unknown: a keeper does not answer.
    why: of idle, unknown and ended, "" for the others."""

    state: StandingName
    why: WhyName


class GrantList(msgspec.Struct):
    """The live ones first; of each state the newest first."""

    items: list[GrantItem]


class GrantId(msgspec.Struct, forbid_unknown_fields=True):
    grant: Ident


def list_asks(desk: Desk, wish: AskFilter) -> AskPage:
    before = cursor.decode(wish.cursor, int) if wish.cursor else 0
    states = tuple(AskState(state) for state in wish.state)
    query = AskQuery(states, wish.run, wish.bottle, wish.label, host=wish.host, before=before, limit=wish.limit)
    asks = desk.approvals().asks(query)
    more, new = cursor.encode(asks[-1].asked) if len(asks) == wish.limit else "", news_for(desk, asks)
    return AskPage(
        [AskItem(one.id, one.state.value, one, _said(one, new), sentence.request_line(one.wanted)) for one in asks],
        more,
    )


def get_ask(desk: Desk, which: AskId) -> AskDetail:
    ask = desk.ask(which.ask)
    scopes = rules.scopes(rules.Case(ask, desk.clock(), policy=ask.policy, revision=ask.revision))
    meant = [Consequence(one.scope.value, one.permits, one.until) for one in sentence.consequences(ask, scopes)]
    said = _said(ask, news_for(desk, [ask]))
    return AskDetail(ask.id, ask.state.value, ask, said, desk.approvals().answers(ask.id), meant)


def _said(ask: Ask, new: set[str]) -> str:
    return sentence.sentence(ask, ask.wanted.target.host in new)


def show_held(desk: Desk, which: AskId) -> HeldRequest:
    shown = desk.show(which.ask)
    head, body = (base64.b64encode(part).decode() for part in (shown.head, shown.body))
    return HeldRequest(shown.held, head, body, shown.size)


def propose_rule(desk: Desk, which: AskId) -> Proposal:
    found = desk.propose(which.ask)
    return Proposal(found.path, found.before, found.diff, found.also)


def answer_ask(desk: Desk, reply: Reply) -> Replied:
    given = desk.answer(
        reply.ask, reply.request, reply.allow, Scope(reply.scope), reply.seconds, reply.reason, reply.break_glass,
        reply.shown, reply.late,
    )  # fmt: skip
    return Replied(given.state.value, given.grant, given.wrote)


def list_grants(desk: Desk, wish: GrantFilter) -> GrantList:
    items = standing_grants(desk, only_alive=wish.live, limit=wish.limit)
    return GrantList([one for one in items if one.state == "live" or not wish.live])


def standing_grants(desk: Desk, only_alive: bool, limit: int) -> list[GrantItem]:
    """Grants with what they are now. only_alive: none that has ended whatever runs."""
    store, now = desk.approvals(), desk.clock()
    rows = store.grants(live_at=now if only_alive else 0, limit=limit)
    found = grants.stand(desk.home, store, rows, now, desk.facts)
    used = _used(desk, rows) if rows else {}
    return [
        GrantItem(**structs.asdict(structs.replace(one, used=used[one.id])), state=state.value, why=why.value)
        for one, (state, why) in found
    ]


def _used(desk: Desk, rows: list[StoredGrant]) -> dict[str, int]:
    """How often each was used: a lasting one by the log, since a gateway uses it without asking the store."""
    desk.office.watch.fresh()
    left = desk.index().uses(one.id for one in rows if not one.uses)
    return {one.id: one.used if one.uses else left.get(one.id, 0) for one in rows}


def revoke_grant(desk: Desk, which: GrantId) -> Nothing:
    desk.revoke(which.grant)
    return Nothing()


OPERATIONS = (
    Operation("listAsks", "GET", "/asks", "Asks, the newest first", "read", AskFilter, AskPage, list_asks),
    Operation("getAsk", "GET", "/asks/{ask}", "One ask with its answers", "read", AskId, AskDetail, get_ask),
    Operation(
        "showHeld", "GET", "/asks/{ask}/held", "Exactly what would be sent", "read", AskId, HeldRequest, show_held,
    ),
    Operation(
        "proposeRule", "GET", "/asks/{ask}/proposal", "The change that `always` would make", "read", AskId, Proposal,
        propose_rule,
    ),
    Operation("answerAsk", "POST", "/asks/{ask}/answer", "Answer an ask", "answer", Reply, Replied, answer_ask),
    Operation(
        "listGrants", "GET", "/grants", "Yeses that outlive their request", "read", GrantFilter, GrantList,
        list_grants,
    ),
    Operation(
        "revokeGrant", "DELETE", "/grants/{grant}", "Take a yes back", "answer", GrantId, Nothing, revoke_grant,
        lane="safe",
    ),
)  # fmt: skip
