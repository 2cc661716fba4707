"""Policies: the effective rules with where they were written and what they were used for, the tester, proposals.

The same `decide` and `explain` as in the gateway. Nothing is written here: a proposal is a diff and what it would
change, and a person applies it with the command that it names.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bot_bottle.audit.filters import Filter, Term, exactly
from bot_bottle.base.errors import BottleError, ManifestFault, UsageFault
from bot_bottle.base.ids import is_name
from bot_bottle.bottles.manifests import Library
from bot_bottle.bottles.policies import bottle_names, combined
from bot_bottle.harnesses import load
from bot_bottle.policy.asked import from_url
from bot_bottle.policy.decide import compile
from bot_bottle.policy.effective import PathMatch, Policy, Route
from bot_bottle.policy.explain import Explanation, explain
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.parts import Part, covered, parts
from bot_bottle.web.api.operation import Empty, Operation
from bot_bottle.web.desk import Desk
from bot_bottle.web.problem import WebFault
from bot_bottle.web.proposals import Proposed, learned, narrowed

DAY = 86400 * 1_000_000_000
DAYS = 30
Names = Annotated[str, Meta(max_length=200, pattern=r"^[a-z0-9][a-z0-9+-]*$")]
AgentName = Annotated[str, Meta(max_length=64, pattern=r"^([a-z0-9][a-z0-9-]*)?$")]


class WhichPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """bottle: names of bottle files, joined by ``+``. agent: whose own routes count, "" for none."""

    bottle: Names = "default"
    agent: AgentName = ""


class Rule(msgspec.Struct):
    """One route. origin: ``file:line``. hits: requests of the last 30 days that it decided; ever: of all time; last:
    wall ns, 0 for never. shadowed: the rule that leaves nothing for it, "" for none. broad: why it is too broad."""

    rule: str
    action: str
    host: str
    ports: tuple[int, ...]
    scheme: str
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    origin: str
    secret: str
    hits: int
    ever: int
    last: int
    shadowed: str = ""
    broad: str = ""


class EffectivePolicy(msgspec.Struct):
    """default: what happens to what no rule names. default_hits, default_last: of that; default_origin: ``file:line``
    or "". files: where rules come from. notes: what merging replaced, and what is left out here."""

    bottle: str
    agent: str
    digest: str
    default: str
    rules: list[Rule]
    files: list[str]
    notes: list[str]
    default_hits: int
    default_last: int
    default_origin: str = ""


class Wrong(msgspec.Struct):
    """A finding in a bottle file."""

    file: str
    line: int
    what: str
    hint: str


class BottleFiles(msgspec.Struct):
    """names: bottle files that there are. wrong: of those that cannot be read; what runs keeps its policy."""

    names: list[str]
    agents: list[str]
    wrong: list[Wrong]


class TestWish(msgspec.Struct, forbid_unknown_fields=True):
    """A request to explain; nothing is sent."""

    url: Annotated[str, Meta(min_length=1, max_length=4000)]
    method: Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[A-Za-z-]+$")] = "GET"
    bottle: Names = "default"
    agent: AgentName = ""


class TestAnswer(msgspec.Struct):
    """notes: how the URL was read."""

    method: str
    url: str
    explanation: Explanation
    notes: tuple[str, ...]


class ProposalWish(msgspec.Struct, forbid_unknown_fields=True):
    """rule: narrow this one to what it was used for; "" for routes that denied requests would need."""

    bottle: Names = "default"
    agent: AgentName = ""
    rule: Annotated[str, Meta(max_length=200)] = ""


def effective(desk: Desk, which: WhichPolicy) -> EffectivePolicy:
    """The policy that a bottle started now would have, with what its rules were used for."""
    policy = policy_of(desk, which.bottle, which.agent)
    desk.office.watch.fresh()
    used = desk.index().reach.rules(_of_bottle(which.bottle), desk.clock(), desk.clock() - DAYS * DAY)
    whose = shadows(policy)
    rules = [_rule(route, used.get(route.rule), whose.get(route.rule, "")) for route in policy.routes]
    for one in rules:
        one.origin = one.origin.removeprefix(f"{desk.home.root}/")
    files = sorted({one.origin.rpartition(":")[0] or one.origin for one in rules})
    fallen = [used[name] for name in ("", DEFAULT) if name in used]
    notes = list(policy.notes)
    if not which.agent:
        notes.append("Routes of a harness are part of a policy when an agent is named.")
    return EffectivePolicy(
        which.bottle, which.agent, policy.digest, policy.default, rules, files, notes,
        sum(one.hits for one in fallen), max((one.last for one in fallen), default=0),
        policy.default_origin.removeprefix(f"{desk.home.root}/"),
    )  # fmt: skip


def policy_of(desk: Desk, bottle: str, agent: str) -> Policy:
    """Raises UsageFault, ManifestFault."""
    names = tuple(bottle.split("+"))
    if not all(is_name(name) for name in names):
        raise UsageFault("bottle.unknown", "There is no such bottle file.")
    shelf, catalogue = _shelf(desk)
    found = shelf.agent(agent) if agent else None
    harness = catalogue.get(found.harness).harness if found else None
    return combined(shelf, harness, bottle_names(names, found), {}, (), ask_registries=False)


def _shelf(desk: Desk) -> tuple[Library, load.Catalogue]:
    catalogue = load.load_all(desk.home.root)
    return Library(desk.home, "/", "", catalogue.harnesses.keys()), catalogue


def _of_bottle(bottle: str) -> Filter:
    return Filter((Term("bottle", (exactly(bottle),)),))


def _rule(route: Route, used: Any, shadowed: str) -> Rule:
    methods = tuple(dict.fromkeys(name for match in route.matches for name in match.methods))
    paths = tuple(dict.fromkeys(_path(path) for match in route.matches for path in match.paths))
    return Rule(
        route.rule, route.action, route.host, route.ports, route.scheme,
        methods if all(match.methods for match in route.matches) else (),
        paths if all(match.paths for match in route.matches) else (),
        route.origin, route.auth.secret if route.auth else "",
        used.hits if used else 0, used.all if used else 0, used.last if used else 0, shadowed, too_broad(route),
    )  # fmt: skip


def _path(path: PathMatch) -> str:
    return f"{path.value}/**" if path.type == "prefix" else (path.value if path.type == "exact" else f"~{path.value}")


def too_broad(route: Route) -> str:
    """Why a route lets through more than a person is likely to have meant, or ""."""
    if route.action != "allow":
        return ""
    anything = not route.matches or any(not match.paths and not match.methods for match in route.matches)
    if route.host.startswith("*.") and anything:
        return "any method and any path on any host below it"
    if route.auth and anything:
        return "any method and any path with a secret"
    return ""


def shadows(policy: Policy) -> dict[str, str]:
    """rule -> the rule that leaves nothing for it: a deny over all of it, or a wider rule of the same power."""
    every = [(route.rule, parts(_alone(policy, route))) for route in policy.routes]
    found: dict[str, str] = {}
    for rule, mine in every:
        whose = (
            other for other, theirs in every if other != rule and found.get(other) != rule and _over(mine, theirs)
        )
        other = next(whose, "")
        if other:
            found[rule] = other
    return found


def _over(mine: list[Part], theirs: list[Part]) -> bool:
    """Whether all parts of a rule lie in another one: of the same power, or denied there."""
    return bool(mine) and all(any(covered(_as(one, wide), wide) for wide in theirs) for one in mine)


def _as(one: Part, wide: Part) -> Part:
    return msgspec.structs.replace(one, action="deny") if wide.action == "deny" else one


def _alone(policy: Policy, route: Route) -> Policy:
    return msgspec.structs.replace(policy, routes=(route,))


def list_files(desk: Desk, _: Empty) -> BottleFiles:
    """Bottle files and agents, and what is wrong with those that cannot be read."""
    shelf, catalogue = _shelf(desk)
    wrong: list[Wrong] = []
    for name in shelf.bottle_names():
        try:
            shelf.bottle(name)
        except ManifestFault as fault:
            wrong += [Wrong(one.file, one.line, one.what, one.hint) for one in fault.problems[:5]]
        except BottleError as fault:
            wrong.append(Wrong(f"{name}.md", 0, fault.what, fault.hint))
    agents = sorted({*shelf.agent_names(), *catalogue.harnesses})
    return BottleFiles(shelf.bottle_names(), agents, wrong)


def test_request(desk: Desk, wish: TestWish) -> TestAnswer:
    """Explains the verdict on a request; no traffic, no names resolved."""
    try:
        asked = from_url(wish.url, wish.method.upper())
    except ValueError as error:
        what = f"The request is refused before any rule: {error}."
        raise WebFault(422, "policy.bad-request", what, "Give a whole URL.") from None
    found = explain(compile(policy_of(desk, wish.bottle, wish.agent)), asked.request)
    found = msgspec.structs.replace(found, place=found.place.removeprefix(f"{desk.home.root}/"))
    target = asked.request.target
    url = f"{target.scheme}://{target.host}:{target.port}{asked.request.path}"
    return TestAnswer(asked.request.method, url, found, asked.notes)


def propose(desk: Desk, wish: ProposalWish) -> Proposed:
    """A change worth looking at, as a diff, with what it would have meant for the last 30 days."""
    policy = policy_of(desk, wish.bottle, wish.agent)
    desk.office.watch.fresh()
    if wish.rule:
        return narrowed(desk, policy, wish.bottle, wish.rule)
    return learned(desk, policy, wish.bottle.split("+")[-1])


OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        "readPolicy", "GET", "/policies/{bottle}", "The effective policy with what its rules were used for", "read",
        WhichPolicy, EffectivePolicy, effective,
    ),
    Operation(
        "listPolicies", "GET", "/policies", "Bottle files, and what is wrong with them", "read", Empty, BottleFiles,
        list_files,
    ),
    Operation(
        "testRequest", "POST", "/policies/{bottle}/test", "Explain the verdict on a request", "read", TestWish,
        TestAnswer, test_request,
    ),
    Operation(
        "proposeChange", "GET", "/policies/{bottle}/proposal", "A change worth looking at, as a diff", "read",
        ProposalWish, Proposed, propose,
    ),
)  # fmt: skip
