"""Whether an answer counts: one pure function, asked by the keeper before every compare-and-set (D25, B44, B74).

A no counts at once, from anybody who may answer. A yes counts for exactly the bytes that the person saw, under the
policy under which they were asked, before the deadline. After it a yes permits one more request like it, never a
rule, and only a yes that was given knowing so: one for what was waiting is for that, whoever hung up meanwhile.
"""

import msgspec

from bot_bottle.policy.grants import DEFAULT
from bot_bottle.supervise import expiry
from bot_bottle.supervise.charter import LOCAL, Charter, Voice, is_requester, voice, yes_voices
from bot_bottle.supervise.model import Answer, Ask, AskState, Scope

ORDER = tuple(Scope)
"""Narrowest first."""


class Case(msgspec.Struct, frozen=True):
    """What an answer is judged by. answers: those that the ask has already. policy, revision: in force at its bottle
    now; "" and 0 where the bottle has ended. requester: approver key of who started the run. now: wall ns
    (`expiry.Steady`). leaf: the bottle file that `always` would write, "" where none may be."""

    ask: Ask
    now: int
    answers: tuple[Answer, ...] = ()
    policy: str = ""
    revision: int = 0
    requester: str = ""
    leaf: str = ""


class Settles(msgspec.Struct, frozen=True):
    """The answer decides. late: nobody waits any more, so a yes is one retry. scope: the narrowest that any of the
    yes-sayers gave; seconds: how long it lasts, the shortest. broke: it was settled without the quorum."""

    allow: bool
    scope: Scope = Scope.ONCE
    seconds: int = 0
    late: bool = False
    broke: bool = False


class Waits(msgspec.Struct, frozen=True):
    """The answer is kept; so many more persons must say yes."""

    missing: int


class Refused(msgspec.Struct, frozen=True):
    """The answer does not count. slug: stable, ``ask.…``; what: what happened; hint: what to do."""

    slug: str
    what: str
    hint: str = ""


Ruling = Settles | Waits | Refused


def may_answer(charter: Charter, case: Case, answer: Answer) -> Ruling:
    """What an answer is worth. `answer.at` is set by the keeper, as `case.now`."""
    speaking = voice(charter, answer.approver, case.ask, case.now)
    fault = _ask_fault(case, answer) or _person_fault(charter, case, speaking)
    if fault:
        return fault
    late = is_late(case.ask, case.now)
    if not answer.allow:
        return Settles(False, late=late)
    fault = _policy_fault(case) or _late_fault(case, answer, late) or scope_fault(case, answer.scope)
    fault = fault or _time_fault(answer)
    if fault or speaking is None:
        return fault or Refused("ask.not-yours", "This ask is not yours to answer.")
    if answer.break_glass:
        return _break_glass(charter, answer, speaking, late)
    return _counted(charter, case, answer, late)


def is_late(ask: Ask, now: int) -> bool:
    """Whether a yes can no longer reach the request that was held."""
    return ask.state in expiry.LATE or expiry.overdue(ask, now)


def scopes(case: Case) -> tuple[Scope, ...]:
    """Which scopes a yes to this ask may have, narrowest first; the first one is preselected."""
    if is_late(case.ask, case.now):
        return (Scope.ONCE,)
    return tuple(scope for scope in ORDER if scope_fault(case, scope) is None)


def scope_fault(case: Case, scope: Scope) -> Refused | None:
    """Why a yes to this ask cannot reach so far."""
    ask = case.ask
    if scope is Scope.ONCE:
        return None
    if ask.wanted.secrets or ask.wanted.findings:
        what = "The request carries a secret" if ask.wanted.secrets else "Something was found in the request"
        return Refused("ask.once-only", f"{what}, so a yes holds for this request only.", "Answer with scope once.")
    if scope is Scope.PROJECT and not ask.project:
        return Refused("ask.no-project", "The bottle has no workspace, so there is no project.", "Use scope bottle.")
    return _always_fault(case) if scope is Scope.ALWAYS else None


def rule_fault(case: Case) -> Refused | None:
    """Why no rule can come of a yes to this ask: said before its change is shown, as the answer would be refused."""
    fault = _settled_fault(case.ask) or _policy_fault(case)
    if fault is None and is_late(case.ask, case.now):
        fault = _too_late(case) or _ONE_MORE
    return fault or scope_fault(case, Scope.ALWAYS)


def _always_fault(case: Case) -> Refused | None:
    if not case.leaf:
        return Refused("ask.no-file", "No bottle file can take a rule for this.", "Use scope bottle.")
    if case.ask.rule != DEFAULT:
        what = f"Rule {case.ask.rule} says that a person is asked, and a new rule would not change that."
        return Refused("ask.rule-asks", what, "Use scope bottle, or set action: allow on that rule yourself.")
    return None


def _ask_fault(case: Case, answer: Answer) -> Refused | None:
    other = Refused("ask.other-request", "The answer is for another request than the one that is held.", _AGAIN)
    return _settled_fault(case.ask) or (other if answer.request != case.ask.request else None)


def _settled_fault(ask: Ask) -> Refused | None:
    if ask.state is AskState.WAITING or ask.state in expiry.LATE:
        return None
    return Refused("ask.settled", f"This ask is {ask.state.value} already.", "See its answers in the inbox.")


_AGAIN = "Open the ask again and look at what it says now."
_LEFT = {AskState.WITHDRAWN: "Its program hung up", AskState.ENDED: "Its bottle ended"}
_LATER = (
    "Look at it again. A yes now permits one more such request: under Missed, approve --late, or late in the API."
)


def _person_fault(charter: Charter, case: Case, speaking: Voice | None) -> Refused | None:
    if speaking is None:
        return Refused("ask.not-yours", "This ask is not yours to answer.", "Ask one of the approvers.")
    if charter.not_requester and is_requester(charter, speaking, case.requester):
        return Refused("ask.own-request", "Who started the run does not answer its asks.", "Ask another approver.")
    return None


def _policy_fault(case: Case) -> Refused | None:
    """B74: a yes that was asked for under another policy."""
    ask = case.ask
    other = bool(case.policy) and case.policy != ask.policy
    if other or (case.revision and case.revision != ask.revision):
        return Refused("ask.policy-changed", "The policy changed since this was asked.", _AGAIN)
    return None


def _late_fault(case: Case, answer: Answer, late: bool) -> Refused | None:
    if not late:
        return None
    if fault := _too_late(case):
        return fault
    if not answer.late:
        what = f"{_LEFT.get(case.ask.state, 'Its time is over')}: nobody waits any more, and nothing was allowed."
        return Refused("ask.late", what, _LATER)
    return _ONE_MORE if answer.scope is not Scope.ONCE else None


def _too_late(case: Case) -> Refused | None:
    too_late = Refused("ask.too-late", "This was asked too long ago.", "Let the agent ask again.")
    return too_late if expiry.too_late(case.ask, case.now) else None


_ONE_MORE = Refused(
    "ask.late-once",
    "Nobody waits for this answer any more, so a yes permits one more request like it, never a rule.",
    "Answer with scope once.",
)


def _time_fault(answer: Answer) -> Refused | None:
    try:
        expiry.lifetime(answer.scope, answer.seconds)
    except ValueError as error:
        return Refused("ask.bad-time", f"{str(error)[0].upper()}{str(error)[1:]}.", "Give a shorter time.")
    return None


def _break_glass(charter: Charter, answer: Answer, speaking: Voice, late: bool) -> Ruling:
    if not charter.break_glass or (charter.breakers and speaking.person not in charter.breakers):
        return Refused("ask.no-break-glass", "Nobody may answer this alone.", "Wait for the other approvers.")
    if len(answer.reason.strip()) < 10:
        return Refused("ask.no-reason", "Whoever breaks the glass says why.", "Give a reason of ten letters or more.")
    return Settles(True, answer.scope, expiry.lifetime(answer.scope, answer.seconds), late, broke=True)


def _counted(charter: Charter, case: Case, answer: Answer, late: bool) -> Ruling:
    kept = tuple(one for one in case.answers if one.late or not late)  # who said yes to the held bytes only, did not
    before = yes_voices(charter, case.ask, kept, case.requester)
    after = yes_voices(charter, case.ask, (*kept, answer), case.requester)
    if len(after) == len(before):
        return Refused("ask.answered", "You said yes to this already.", "Another approver must answer too.")
    if len(after) < charter.quorum:
        return Waits(charter.quorum - len(after))
    given = [one for one in (*kept, answer) if one.allow]
    scope = min((one.scope for one in given), key=ORDER.index)
    seconds = min(expiry.lifetime(one.scope, one.seconds) for one in given if one.scope is scope)
    return Settles(True, scope, seconds, late)


__all__ = [
    "LOCAL", "Case", "Charter", "Refused", "Ruling", "Settles", "Waits", "is_late", "may_answer", "scope_fault",
    "scopes",
]  # fmt: skip
