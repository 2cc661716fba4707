"""What a person gains and loses by one policy instead of another, in words: `policy diff`. Pure.

Routes are taken apart into what each one permits - one target, protocol, method, path and its headers - and compared
part by part, whatever the routes are called and however they are cut. A part that a wider one covers is no loss.
Where routes for one host give different power, precedence matters, and every part that is not the same is named.
What a deny or ask rule of the same policy has the last word over is no gain and no loss: it is said to stay denied.
"""

from collections.abc import Iterable, Sequence
from enum import Enum

import msgspec

from bot_bottle.policy.effective import Policy
from bot_bottle.policy.hosts import covers
from bot_bottle.policy.parts import Part, Power, covered, opened, overruled, parts
from bot_bottle.policy.verdict import RouteLimits, Timeouts


class Means(Enum):
    """What a part comes to. NOTHING: another rule has the last word over it, or no rule opens what it denies."""

    ALLOWED = "allow"
    ASKED = "ask"
    DENIED = "deny"
    NOTHING = ""


class Claim(msgspec.Struct, frozen=True):
    """A part that one policy of two has. by: action and name of a rule that has the last word over all of it. but: of
    rules that have it over some of it. within: rules of the other policy that allow some of it, or ask about it."""

    part: Part
    means: Means
    by: tuple[str, str] = ("", "")
    but: tuple[tuple[str, str], ...] = ()
    within: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True):
    """Sentences. gained: what leaves, or may be asked for, only under the second policy. lost: only under the first.
    changed: what is neither - asks, rules without an effect, how long one waits, what is logged."""

    gained: tuple[str, ...]
    lost: tuple[str, ...]
    changed: tuple[str, ...]


def difference(before: Policy, after: Policy) -> Difference:
    """From one policy to another. Nothing in all three: every request is decided alike, with the same power."""
    come, gone = claims(after, before), claims(before, after)
    gained = [f"allowed: {text}" for text in _texts(come, Means.ALLOWED)]
    gained += [f"no longer denied: {text}" for text in _texts(gone, Means.DENIED)]
    lost = [f"no longer allowed: {text}" for text in _texts(gone, Means.ALLOWED)]
    lost += [f"denied: {text}" for text in _texts(come, Means.DENIED, whole=True)]
    changed = [f"asked about now: {text}" for text in _texts(come, Means.ASKED)]
    changed += [f"no longer asked about: {text}" for text in _texts(gone, Means.ASKED)]
    changed += _without_effect(come, "still", "was", "a rule denies now what nothing allowed")
    changed += _without_effect(gone, "was", "still", "no rule denies any more, and nothing allows")
    return Difference(tuple(gained), tuple(lost), (*changed, *_settings(before, after)))


def claims(policy: Policy, other: Policy) -> list[Claim]:
    """What each part of a policy means that another one does not have, not even in a wider one."""
    made: list[Claim] = []
    for part in _without(parts(policy), parts(other)):
        made.append(_denial(part, other) if part.action == "deny" else _yes(part, policy))
    told = {_any_protocol(one.part) for one in made if one.means is Means.DENIED}
    return [one for one in made if one.means is not Means.NOTHING or one.by[1] or _any_protocol(one.part) not in told]


def _any_protocol(part: Part) -> Part:
    return msgspec.structs.replace(part, protocol="")


def _yes(part: Part, policy: Policy) -> Claim:
    """An allow or ask part, as far as no stricter rule of its own policy has the last word."""
    but: list[tuple[str, str]] = []
    for action in ("deny", "ask") if part.action == "allow" else ("deny",):
        found = overruled(part, policy, action)
        if found.by:
            return Claim(part, Means.NOTHING, (action, found.by))
        but += [(action, rule) for rule in found.partly]
    return Claim(part, Means(part.action), but=tuple(but))


def _denial(part: Part, other: Policy) -> Claim:
    """A deny part makes a difference to what the other policy lets through, or asks about."""
    shut = overruled(part, other, "deny")
    if shut.by:
        return Claim(part, Means.NOTHING, ("deny", shut.by))
    but = tuple(("deny", rule) for rule in shut.partly)
    if other.default != "deny":
        return Claim(part, Means.DENIED, but=but)
    found = opened(part, other)
    if not (found.by or found.partly):
        return Claim(part, Means.NOTHING)
    return Claim(part, Means.DENIED, but=but, within=found.partly)


def _without(these: Sequence[Part], others: Sequence[Part]) -> list[Part]:
    """Parts that the others do not have, not even in a wider one."""
    same = set(others)
    return [
        one
        for one in these
        if one not in same and (_precedence(one, these, others) or not any(covered(one, wide) for wide in others))
    ]


def _precedence(part: Part, these: Sequence[Part], others: Sequence[Part]) -> bool:
    """Whether it matters which of several routes is the more specific one: they give different power."""
    near = (
        one for some in (these, others) for one in some if one.action == part.action and _meet(one.host, part.host)
    )
    return part.action != "deny" and len({one.power for one in near}) > 1


def _meet(one: str, two: str) -> bool:
    return one == two or covers(one, two.removeprefix("*.")) or covers(two, one.removeprefix("*.")) or (
        one.startswith("*.") != two.startswith("*.") and (covers(one, two) or covers(two, one))
    )  # fmt: skip


_DONE = {"deny": "denied", "ask": "asked about"}
_DOES = {"deny": "denies", "ask": "asks about"}


def _texts(some: Sequence[Claim], means: Means, whole: bool = False) -> list[str]:
    """One sentence for parts that differ in method, protocol or port only."""
    together: dict[tuple[object, ...], list[Claim]] = {}
    for one in some:
        if one.means is means:
            together.setdefault((*_key(one.part), one.but, one.within), []).append(one)
    return list(dict.fromkeys(_claim_text(group, whole) for group in together.values()))


def _claim_text(group: list[Claim], whole: bool) -> str:
    one = group[0]
    words = [_text([claim.part for claim in group])]
    if whole:
        return words[0]
    words += [f"as far as {_names(one.within)} goes"] if one.within else []
    for action, does in _DOES.items():
        rules = [rule for name, rule in one.but if name == action]
        words += [f"except what {_names(rules)} {does}"] if rules else []
    return ", ".join(words)


def _without_effect(some: Sequence[Claim], own: str, other: str, unopened: str) -> list[str]:
    """One sentence for each rule that has the last word. own, other: when it has it, where it is a rule of the policy
    that has the part, and where it is one of the other policy."""
    together: dict[tuple[object, ...], list[Claim]] = {}
    for one in some:
        if one.means is Means.NOTHING:
            together.setdefault((*_key(one.part), one.part.action, one.by), []).append(one)
    made: list[str] = []
    for group in together.values():
        action, rule = group[0].by
        when = other if group[0].part.action == "deny" else own
        lead = f"{when} {_DONE[action]} by {rule}{' anyway' if when == 'was' else ''}" if rule else unopened
        made.append(f"{lead}: {_text([claim.part for claim in group])}")
    return list(dict.fromkeys(made))


def _key(part: Part) -> tuple[object, ...]:
    return part.host, part.scheme, part.path, part.headers, part.power


def _names(rules: Sequence[str]) -> str:
    few = list(rules[:3])
    return " or ".join([*few, f"{len(rules) - 3} more rules"] if len(rules) > 3 else few)


def _text(group: list[Part]) -> str:
    one = group[0]
    methods = _some(part.method or "any method" for part in group)
    ports = _some(str(part.port) if part.port else "any port" for part in group)
    own = {"https": "443", "http": "80"}.get(one.scheme, "")
    port = "" if ports == own else f" port {ports}" if ports != "any port" else " any port"
    where = f"{methods} {one.scheme or 'http(s)'}://{one.host}{port}"
    path = {"": "", "exact": f" exactly {one.path.value}", "prefix": f" {one.path.value} and below"}
    words = [where + path.get(one.path.type, f" paths like {one.path.value}")]
    words += [f"only with {head.name} {head.type} {head.value}" for head in one.headers]
    protocols = {part.protocol for part in group}
    words += ["as WebSocket"] if protocols == {"websocket"} else []
    words += ["also as WebSocket"] if len(protocols) > 1 and one.action != "deny" else []
    return ", ".join([*words, *_power(one.power)])


def _power(power: Power) -> list[str]:
    auth, address, ca, own, limits, timeouts = power
    return [
        *([f"with secret {auth.secret}"] if auth else []),
        *([f"dialled at {address}"] if address else []),
        *(["trusting its own CA"] if ca else []),
        *(["agent's own credentials pass"] if own else []),
        *(["with limits of its own"] if (limits, timeouts) != (RouteLimits(), Timeouts()) else []),
    ]


def _some(words: Iterable[str]) -> str:
    return "|".join(dict.fromkeys(words))


def _settings(before: Policy, after: Policy) -> list[str]:
    """What is not about single requests."""
    found: list[str] = []
    for name in ("default", "ask_body", "ask_wait", "learn", "log", "sync"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            found.append(f"{name}: {old} -> {new}")
    return found
