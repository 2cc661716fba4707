"""What a yes permits: stored grants, and which of them hold for a bottle now. Pure.

A grant names the target, method and path that the person saw, dies with the policy under which it was given, and is
never a secret's: where an ask carries one, a yes is for once (`rules.scope_fault`).
"""

from collections.abc import Iterable

import msgspec

from bot_bottle.policy.grants import Grant
from bot_bottle.policy.verdict import Request
from bot_bottle.supervise import charter, expiry
from bot_bottle.supervise.model import Answer, Ask, AskKind, Scope, StoredGrant, Wanted
from bot_bottle.supervise.rules import Settles


class Holder(msgspec.Struct, frozen=True):
    """A running bottle as grants know it. project: absolute path of the workspace, or "". policy: digest in force.
    agent, harness: by which, with the others, a policy is the same one after it changed."""

    run: str
    bottle: str
    project: str
    policy: str
    agent: str = ""
    harness: str = ""


def grant_for(ask: Ask, answer: Answer, ruling: Settles, name: str, write: str = "") -> StoredGrant | None:
    """The grant that a settling yes gives; None where it only lets the held request go. name: id of the new grant.
    write: for ALWAYS, the bottle file that gets the rule: kept as a note, the rule itself is what permits."""
    if not ruling.allow:
        return None
    once = ruling.scope is Scope.ONCE
    if once and not ruling.late and ask.kind is AskKind.REQUEST:
        return None
    lasts = expiry.RETRY if once else expiry.lifetime(ruling.scope, ruling.seconds)
    return StoredGrant(
        id=name,
        ask=ask.id,
        answer=answer.id,
        scope=ruling.scope,
        subject=_subject(ask, ruling.scope, write),
        policy=ask.policy,
        rule=ask.rule,
        wanted=ask.wanted,
        given=answer.at,
        expires=answer.at + lasts * expiry.SECOND,
        approver=answer.approver,
        retry=_retry(ask) if once and ask.kind is AskKind.REQUEST else "",
        uses=1 if once else 0,
        write=write if ruling.scope is Scope.ALWAYS else "",
    )


def _retry(ask: Ask) -> str:
    """What a late yes permits once. Who hangs up, or ends, while a person reads, sends afterwards what they read and
    no other bytes (D25); after the deadline it is the same request with any body and headers."""
    return ask.request if ask.state in expiry.LEFT else ask.scope


def flow_ends(ruling: Settles, at: int) -> int:
    """Wall ns at which a flow that a yes for once opens must end."""
    return at + expiry.lifetime(Scope.ONCE, ruling.seconds if ruling.scope is Scope.ONCE else 0) * expiry.SECOND


def alive(grant: StoredGrant, now: int) -> bool:
    """Whether a grant could be used at all. One from the future was given by another clock: it is dead (D25)."""
    used_up = bool(grant.uses) and grant.used >= grant.uses
    return not (grant.revoked or used_up) and grant.given - 60 * expiry.SECOND <= now < grant.expires


def holds(grant: StoredGrant, holder: Holder, now: int) -> bool:
    """Whether a grant is for this bottle, under this policy, now."""
    return is_for(grant, holder) and bool(grant.policy) and grant.policy == holder.policy and alive(grant, now)


def is_for(grant: StoredGrant, holder: Holder) -> bool:
    """Whether a grant is for this bottle, whatever its policy."""
    subjects = {
        Scope.ONCE: holder.bottle, Scope.RUN: holder.run, Scope.BOTTLE: holder.bottle, Scope.PROJECT: holder.project
    }  # fmt: skip
    return bool(grant.subject) and subjects.get(grant.scope, "") == grant.subject


def outdated(grant: StoredGrant, ask: Ask | None, holder: Holder, before: str) -> bool:
    """Whether the policy of a grant is over now that `holder` has another one: it held there till now (`before`,
    digest, "" at a start), or it was asked for by the same agent of the same bottle, harness and workspace. Others of
    that bottle have policies of their own, which say nothing of each other. ask: of the grant."""
    if grant.policy == holder.policy or not is_for(grant, holder):
        return False
    mine = (holder.bottle, holder.project, holder.agent, holder.harness)
    same = ask is not None and (ask.bottle, ask.project, ask.agent, ask.harness) == mine
    return same or (bool(before) and grant.policy == before)


def for_gateway(grants: Iterable[StoredGrant], holder: Holder, now: int) -> tuple[Grant, ...]:
    """What the gateway of a bottle may decide by itself: every grant that holds for any number of uses. A route that
    an agent may use once goes along too, so that its request is asked about where the policy denies by default."""
    return tuple(as_grant(one) for one in grants if not one.retry and holds(one, holder, now))


def as_grant(grant: StoredGrant) -> Grant:
    """A stored grant as the policy applies it."""
    wanted = grant.wanted
    return Grant(
        id=grant.id,
        ask=grant.ask,
        rule=grant.rule,
        scheme=wanted.target.scheme,
        host=wanted.target.host,
        port=wanted.target.port,
        protocol=wanted.protocol,
        path=wanted.path,
        expires=grant.expires,
        methods=wanted.methods or (wanted.method,),
        prefix=is_access(wanted),
        once=bool(grant.uses),
        approver=charter.title(grant.approver),
    )


def is_access(wanted: Wanted) -> bool:
    """Whether it is a route that an agent asks for beforehand, so that the path is a prefix."""
    return not wanted.method


def match_once(grants: Iterable[StoredGrant], ask: Ask, holder: Holder, now: int) -> StoredGrant | None:
    """A yes for one use that this new ask may take at once: the caller takes it with `store.use` first."""
    return next((one for one in grants if one.uses and holds(one, holder, now) and _fits_once(one, ask)), None)


def _fits_once(grant: StoredGrant, ask: Ask) -> bool:
    if grant.retry:
        return ask.kind is AskKind.REQUEST and grant.retry in (ask.scope, ask.request)
    wanted = ask.wanted
    request = Request(wanted.target, wanted.method, wanted.path, protocol=wanted.protocol)
    more = set(wanted.secrets) - set(grant.wanted.secrets) or set(wanted.findings) - set(grant.wanted.findings)
    return ask.kind is AskKind.REQUEST and not more and as_grant(grant).covers(ask.rule, request)


def _subject(ask: Ask, scope: Scope, write: str) -> str:
    subjects = {Scope.RUN: ask.run, Scope.PROJECT: ask.project, Scope.ALWAYS: write}
    return subjects.get(scope, ask.bottle)
