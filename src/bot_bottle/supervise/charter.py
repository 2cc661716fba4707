"""Who may answer asks, and how many of them: quorum, "not the requester", escalation, delegation, break-glass (B44).

In local mode (`LOCAL`) all of it is off: whoever reaches the control socket of a bottle is its person. A person is
counted once, by however many devices and delegations they speak, and so is a seat, by however many delegates.
"""

import msgspec

from bot_bottle.supervise.expiry import SECOND
from bot_bottle.supervise.model import Answer, Approver, Ask


class Delegation(msgspec.Struct, frozen=True):
    """`giver` lets `to` answer in their place until then (wall ns). Both are persons."""

    giver: str
    to: str
    until: int


class Charter(msgspec.Struct, frozen=True, omit_defaults=True):
    """quorum: how many persons must say yes. members: persons who may answer; () is whoever is let in.

    not_requester: who started the run does not answer its asks. escalate_after: seconds that an ask waits before
    `escalate_to` may answer too; 0 is never. break_glass: one of `breakers` (() is any member) may settle alone, with
    a reason. people: approver key (`key`) -> person, where one person has several devices.
    """

    quorum: int = 1
    members: tuple[str, ...] = ()
    not_requester: bool = False
    escalate_after: float = 0
    escalate_to: tuple[str, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    break_glass: bool = False
    breakers: tuple[str, ...] = ()
    people: dict[str, str] = {}


LOCAL = Charter()
"""One person, one machine."""


class Voice(msgspec.Struct, frozen=True):
    """Who speaks, and in whose place; the same where nobody delegated."""

    person: str
    seat: str


def key(approver: Approver) -> str:
    """An approver as charters and records name it: ``os:1000``, ``device:…``, ``token:…``."""
    return f"{approver.kind}:{approver.id}"


def title(approver: Approver) -> str:
    """An approver for a record and a person: key and name."""
    return f"{key(approver)} {approver.name}".strip()


def person(charter: Charter, approver: Approver) -> str:
    """The person behind an approver."""
    return charter.people.get(key(approver), key(approver))


def voice(charter: Charter, approver: Approver, ask: Ask, now: int) -> Voice | None:
    """With which voice an approver may answer an ask now; None: they may not."""
    who = person(charter, approver)
    if not charter.members or who in charter.members:
        return Voice(who, who)
    if who in charter.escalate_to and escalated(charter, ask, now):
        return Voice(who, who)
    for one in charter.delegations:
        if one.to == who and one.giver in charter.members and now < one.until:
            return Voice(who, one.giver)
    return None


def escalated(charter: Charter, ask: Ask, now: int) -> bool:
    """Whether an ask has waited so long that others may answer it."""
    return charter.escalate_after > 0 and now >= ask.asked + int(charter.escalate_after * SECOND)


def is_requester(charter: Charter, speaking: Voice, requester: str) -> bool:
    """Whether a voice is that of who started the run, by any device or delegate. requester: an approver key."""
    who = charter.people.get(requester, requester)
    return bool(requester) and who in (speaking.person, speaking.seat)


def yes_voices(charter: Charter, ask: Ask, answers: tuple[Answer, ...], requester: str) -> list[Voice]:
    """The voices that say yes, each person and each seat once, judged by the time of their answer."""
    found: list[Voice] = []
    for answer in answers:
        speaking = voice(charter, answer.approver, ask, answer.at) if answer.allow else None
        if speaking is None or (charter.not_requester and is_requester(charter, speaking, requester)):
            continue
        if all(speaking.person != one.person and speaking.seat != one.seat for one in found):
            found.append(speaking)
    return found
