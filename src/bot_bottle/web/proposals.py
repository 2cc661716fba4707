"""Changes to a policy that its own past suggests: a rule narrowed to what it was used for, routes that were missed.

Made by the rooms that learn and replay (policy.learn, policy.difference, policy.replay); here only the records are
gathered, newest first and not without end, and the result is put into words and a diff.
"""

import time
from collections.abc import Iterator

import msgspec

from bot_bottle.audit.filters import Filter, Term, exactly
from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.base.text import many
from bot_bottle.bottles import past
from bot_bottle.policy import learn
from bot_bottle.policy.decide import compile
from bot_bottle.policy.difference import difference
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.learn import Past
from bot_bottle.policy.replay import Change, Line, Replay, request_of
from bot_bottle.supervise import leaf
from bot_bottle.supervise.leaf_text import route_lines
from bot_bottle.web.desk import Desk

_MOST = 3000
_SECONDS = 1.5
_DECIDED = Term("kind", ("intent", "denied"))
_LINE = msgspec.json.Decoder(Line)


class Proposed(msgspec.Struct):
    """diff: lines with ``+``, ``-`` or a blank in front. gained, lost, changed: in words, from policy.difference.
    effect: what the recorded requests would have got. apply: the command that writes it, "" where a person edits.
    based_on: requests that it comes from; 0: nothing to propose."""

    title: str
    file: str
    diff: list[str]
    based_on: int
    gained: list[str] = []
    lost: list[str] = []
    changed: list[str] = []
    effect: list[str] = []
    apply: str = ""


def narrowed(desk: Desk, policy: Policy, bottle: str, rule: str) -> Proposed:
    """The same rule for what it was used for in 30 days, and no more. Raises UsageFault for an unknown one."""
    found = next((route for route in policy.routes if route.rule == rule), None)
    if found is None:
        raise UsageFault("rule.unknown", "There is no such rule in this policy.")
    lines = list(_lines(desk, bottle, Term("rule", (exactly(rule),))))
    requests = [Past(request, line.run) for line in lines if not isinstance(request := request_of(line), str)]
    title, place = f"Narrow {rule}", found.origin
    if not requests:
        return Proposed(title, place, [], 0)
    routes = learn.as_policy(learn.learn(requests).routes).routes
    news = [msgspec.structs.replace(found, host=one.host, matches=one.matches) for one in routes]
    after = _with(policy, found, news)
    change = difference(policy, after)
    if not (change.gained or change.lost or change.changed):
        return Proposed(title, place, [], 0)
    written = learn.learn(requests).routes
    diff = [f"- {line}" for line in _written(found)]
    diff += [f"+ {line}" for route in written for line in route_lines(route)]
    return Proposed(
        title, place, diff, len(requests), list(change.gained), list(change.lost), list(change.changed),
        effect(after, lines), "",
    )  # fmt: skip


def learned(desk: Desk, policy: Policy, bottle: str) -> Proposed:
    """Routes for requests of the last 30 days that no rule names, as the bottle's file would get them."""
    lines = list(_lines(desk, bottle, Term("verdict", ("deny", "ask", "allow"))))
    requests, _ = learn.beside(policy, past.to_learn(lines, denied=True))
    title, path = "Allow what no rule named", f"{desk.home.bottles}/{bottle}.md"
    if not requests:
        return Proposed(title, path, [], 0)
    suggestion = learn.learn(requests)
    try:
        diff = leaf.propose_routes(path, suggestion.routes, "learned").diff.splitlines()
    except BottleError:
        diff = [f"+ {line}" for route in suggestion.routes for line in route_lines(route)]
    covered, held = learn.held_out(requests) if len({one.run for one in requests}) > 1 else (0, 0)
    said = [f"allowed: {line}" for route in suggestion.routes for line in _sentence(route_lines(route))]
    worth = (
        [f"Of runs left out while learning, {covered} of {many(held, 'request')} would be covered."] if held else []
    )
    return Proposed(
        title, path, [line for line in diff if not line.startswith(("---", "+++", "@@"))], len(requests), said,
        effect=worth, apply=f"bot-bottle policy learn --bottle {bottle} --denied --write {bottle}",
    )  # fmt: skip


def effect(after: Policy, lines: list[Line]) -> list[str]:
    """What recorded requests would get from a policy, in sentences."""
    replay = Replay(compile(after))
    replay.take_all(lines)
    counts = replay.tally().counts
    words = {
        Change.SAME: "decided as before", Change.OTHER_RULE: "decided as before, by another rule",
        Change.GAINED: "allowed, which were not", Change.LOST: "denied, which were allowed",
        Change.ASKED: "asked about, which were decided", Change.CLOSED: "denied without being asked about",
        Change.UNDECIDABLE: "cannot be told from the record",
    }  # fmt: skip
    return [f"{many(counts[one], 'past request')}: {words[one]}." for one in words if counts.get(one)]


def _lines(desk: Desk, bottle: str, term: Term) -> Iterator[Line]:
    """Recorded decisions of the last 30 days, newest first, as many as fit into the time."""
    wanted = Filter((Term("bottle", (bottle,)), term, _DECIDED, Term("since", ("30d",))))
    before, end, made = None, time.monotonic() + _SECONDS, 0
    while made < _MOST and time.monotonic() < end:
        found = desk.index().page(wanted, desk.clock(), 500, before, end - time.monotonic())
        for hit in found.hits:
            try:
                yield _LINE.decode(hit.text)
            except msgspec.MsgspecError:
                continue
            made += 1
        before = found.before
        if before is None:
            return


def _with(policy: Policy, old: Route, news: list[Route]) -> Policy:
    routes: list[Route] = []
    for route in policy.routes:
        routes += news if route is old else [route]
    return msgspec.structs.replace(policy, routes=tuple(routes))


def _written(route: Route) -> list[str]:
    """A route as a person would write it, as far as it is compared."""
    lines = [f"- host: {route.host}"]
    for match in route.matches:
        lines += [f"  path: {path.type} {path.value}" for path in match.paths]
        lines += [f"  methods: [{', '.join(match.methods)}]"] if match.methods else []
    return lines if route.matches else [*lines, "  # any method, any path"]


def _sentence(lines: list[str]) -> list[str]:
    return [" ".join(line.strip(" -") for line in lines)]
