"""What a yes that outlives its request would have let through in the past: for the card (team.md C1). Pure."""

from collections.abc import Iterable

import msgspec

from bot_bottle.base.text import many
from bot_bottle.policy.grants import Grant
from bot_bottle.policy.replay import KINDS, Line, request_of
from bot_bottle.supervise.granting import is_access
from bot_bottle.supervise.model import Wanted


class Also(msgspec.Struct, frozen=True):
    """covered: past requests that such a rule covers. held_back: those of them that did not leave then. bottles:
    names of the bottles that they came from, sorted. undecidable: requests of which the log does not hold enough."""

    covered: int = 0
    held_back: int = 0
    bottles: tuple[str, ...] = ()
    undecidable: int = 0


def also(wanted: Wanted, lines: Iterable[Line]) -> Also:
    """What else the rule for this ask covers among recorded requests; those of its host are enough."""
    rule = as_rule(wanted)
    covered, held_back, undecidable, bottles = 0, 0, 0, set[str]()
    for line in lines:
        if line.kind not in KINDS or rule.host not in line.target:
            continue
        request = request_of(line)
        if isinstance(request, str):
            undecidable += 1
        elif rule.covers("", request):
            covered += 1
            held_back += line.verdict != "allow"
            bottles.add(line.bottle)
    return Also(covered, held_back, tuple(sorted(bottles)), undecidable)


def also_words(found: Also) -> str:
    """One sentence for a card."""
    if not found.covered:
        return "No past request is like it."
    held = f", {found.held_back} of which did not leave" if found.held_back else ""
    where = f" from {many(len(found.bottles), 'bottle')}" if len(found.bottles) > 1 else ""
    return f"Would also have allowed {many(found.covered, 'past request')}{where}{held}."


def as_rule(wanted: Wanted) -> Grant:
    """The rule that a yes gives, without whose it is."""
    target = wanted.target
    return Grant(
        id="",
        ask="",
        rule="",
        scheme=target.scheme,
        host=target.host,
        port=target.port,
        protocol=wanted.protocol,
        path=wanted.path,
        expires=0,
        methods=wanted.methods or (wanted.method,),
        prefix=is_access(wanted),
    )
