"""An ask in the words of a person: one sentence, the exact rule, and what each answer means. Pure (B73).

Everything that came from a bottle is made visible and cut here, once, for terminal, page and notice alike; pages
still escape it. The agent's own words are never part of the sentence.
"""

from collections.abc import Iterable, Sequence

import msgspec

from bot_bottle.base.sizes import human
from bot_bottle.base.text import many, visible
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.hosts import bracketed
from bot_bottle.supervise import expiry, granting
from bot_bottle.supervise.model import Ask, AskState, Scope, Wanted
from bot_bottle.supervise.risk import READS, cause

BELOW = " and below"
"""After a path: it and all below it, by whole segments."""
_HOST, _PATH, _WORDS = 100, 200, 2000
LARGE_HEAD = 4000
"""Bytes of request line and headers from which a request is said to carry something in them."""
_CONTENT = {
    "application/json": "JSON", "application/x-www-form-urlencoded": "form fields",
    "multipart/form-data": "form files",
    "text/plain": "text", "application/octet-stream": "binary data", "application/zip": "a zip file",
    "application/gzip": "a gzip file", "text/html": "HTML", "text/csv": "CSV", "application/xml": "XML",
}  # fmt: skip


class Consequence(msgspec.Struct, frozen=True):
    """What a yes of one scope means. permits: one sentence. until: one more, on when it ends."""

    scope: Scope
    permits: str
    until: str


def sentence(ask: Ask, first_seen: bool = False, like: Sequence[Wanted] = ()) -> str:
    """``fix-login wants to send 2.1 KB of JSON to hooks.relaybin.dev, a host that no bottle has reached before,
    because no rule names it.`` like: what one answer to this ask answers too (`cards`): how many, and the sum."""
    wanted = ask.wanted
    access = granting.is_access(wanted)
    what = _access(wanted) if access else _request(wanted, [wanted, *like])
    host = place(wanted)
    why = cause(ask, first_seen)
    comma = ", " if first_seen and ask.rule == DEFAULT else " "
    times = f" It asked {len(like) + 1} times." if access and like else ""
    return f"{visible(ask.label, 64)} wants to {what} {host}{comma}{visible(why, 200)}.{_secrets(wanted)}{times}"


def methods(wanted: Wanted) -> tuple[str, ...]:
    """Every method that a yes would let through, those that send first: none may be cut off behind the others."""
    every = sorted(wanted.methods, key=READS.__contains__) if granting.is_access(wanted) else [wanted.method]
    return tuple(visible(one, 32) for one in every)


def place(wanted: Wanted) -> str:
    """Host, and port where it is not the scheme's own; marked where nothing is encrypted."""
    target = wanted.target
    own = 443 if target.scheme == "https" else 80
    host = visible(bracketed(target.host), _HOST) + ("" if target.port == own else f" port {target.port}")
    return f"{host} without encryption" if target.scheme == "http" else host


def request_line(wanted: Wanted) -> str:
    """``POST https://host/path?…`` as text to show; the whole of what the rule would name. A wish's path stands for
    all below it."""
    target = wanted.target
    own = 443 if target.scheme == "https" else 80
    port = "" if target.port == own else f":{target.port}"
    query = f"?{visible(wanted.query, _PATH)}" if wanted.query else ""
    path = visible(wanted.path, _PATH) + query + (BELOW if granting.is_access(wanted) else "")
    return f"{'|'.join(methods(wanted))} {target.scheme}://{visible(bracketed(target.host), _HOST)}{port}{path}"


def quoted(ask: Ask) -> str:
    """The agent's own words, to be shown as a quotation and believed by nobody; "" where it said nothing."""
    return visible(ask.says, _WORDS)


def consequences(ask: Ask, scopes: Iterable[Scope]) -> list[Consequence]:
    """What a yes means for each scope that is open (`rules.scopes`)."""
    return [_consequence(ask, scope) for scope in scopes]


def state_words(ask: Ask) -> str:
    """How it stands, or ended, in a few words."""
    words = {
        AskState.WAITING: "waits for an answer",
        AskState.ALLOWED: "allowed",
        AskState.DENIED: "denied",
        AskState.EXPIRED: "missed: nobody answered in time, so it was denied",
        AskState.WITHDRAWN: "missed: the program gave up waiting",
        AskState.ENDED: "missed: the bottle ended while it waited",
        AskState.REFUSED: "refused: the policy changed and denies it now",
    }
    return words[ask.state]


def span(seconds: int) -> str:
    """``8 hours``: a time that a yes lasts."""
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit and seconds % unit == 0:
            return many(seconds // unit, name)
    return many(seconds, "second")


def _request(wanted: Wanted, every: Sequence[Wanted]) -> str:
    """every: of the card, this one too; they are of one kind."""
    count, method = len(every), visible(wanted.method, 32)
    if wanted.protocol == "websocket":
        return f"open {'a' if count == 1 else count} two-way stream{'s' if count > 1 else ''} (WebSocket) to"
    if wanted.body_bytes:
        kind = _CONTENT.get(wanted.content_type.partition(";")[0].strip().lower(), "")
        verb = "send" if wanted.method in ("POST", "PUT", "PATCH") else f"send ({method})"
        amount = f"{human(sum(one.body_bytes for one in every))}{f' of {kind}' if kind else ''}{_head(every, ' and')}"
        return f"{verb} {amount} to" if count == 1 else f"{verb} {many(count, 'request')} with {amount} in all to"
    times = f"{f' {count} times' if count > 1 else ''}{_head(every, ' with')}"
    return f"read{times} from" if wanted.method in READS else f"send {method} without a body{times} to"


def _head(every: Sequence[Wanted], word: str) -> str:
    """A head that is larger than those of usual programs: what is in it leaves as well."""
    if max(one.head_bytes for one in every) < LARGE_HEAD:
        return ""
    return f"{word} {human(sum(one.head_bytes for one in every))} of headers"


def _access(wanted: Wanted) -> str:
    first, last = methods(wanted)[:-1], methods(wanted)[-1:]
    words = " and ".join(one for one in (", ".join(first), *last) if one) or "any method"
    where = "" if wanted.path == "/" else f" below {visible(wanted.path, _PATH)}"
    return f"be let through with {words}{where} to"


def _secrets(wanted: Wanted) -> str:
    names = ", ".join(visible(one, 64) for one in wanted.secrets[:4])
    found = ", ".join(visible(one, 64) for one in wanted.findings[:4])
    secret = f" The real secret {names} goes along." if names else ""
    return f"{secret} Found in it: {found}." if found else secret


def _consequence(ask: Ask, scope: Scope) -> Consequence:
    late = ask.state in expiry.LATE
    if scope is Scope.ONCE:
        return _once(ask, late)
    line = request_line(msgspec.structs.replace(ask.wanted, query=""))
    every = f"Every {line}, with any query and body"
    lasts = span(expiry.DEFAULTS[scope])
    if scope is Scope.RUN:
        return Consequence(scope, f"{every}, from this run of {visible(ask.label, 64)}.", "Until the run ends.")
    if scope is Scope.BOTTLE:
        return Consequence(scope, f"{every}, from every run of bottle {ask.bottle}.", f"For {lasts}.")
    if scope is Scope.PROJECT:
        project = visible(ask.project, _PATH)
        return Consequence(scope, f"{every}, from every run of bottle {ask.bottle} in {project}.", f"For {lasts}.")
    return Consequence(scope, f"{every}, from every bottle that uses this file.", "Until the rule is taken out.")


def _once(ask: Ask, late: bool) -> Consequence:
    if granting.is_access(ask.wanted):
        return Consequence(Scope.ONCE, "One such request.", f"Within {span(expiry.RETRY)}.")
    if late:
        left = ask.state in expiry.LEFT
        which = "with the same query, header names and body" if left else "with any body and headers"
        permits = f"Nobody waits any more. A yes permits one more such request, {which}."
        return Consequence(Scope.ONCE, permits, f"Within {span(expiry.RETRY)}.")
    return Consequence(
        Scope.ONCE, "Exactly the bytes that are held, and no others.", f"Ends after {span(expiry.HOUR)} at most."
    )
