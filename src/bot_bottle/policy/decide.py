"""The verdict on one request (B01, B30, B45, B72): deny beats ask beats allow, and nothing is allowed by default.

`compile` sorts the routes of a policy once; `decide` then looks up the host, tries the deny arms, the ask arms, and
the allow arms from the most specific down. Facts come from the request alone, never from what
an agent says of itself.

``egress.default: ask`` asks about what no route names: a host without a route, and of a host with routes the scheme,
port, protocol, method, path or headers that none of them covers. Such an ask keeps the reason of the denial that it
replaces, has the rule `grants.DEFAULT`, and whatever is sent after a yes carries no secret and goes to a public
address. It is never asked about what a deny route covers, about two routes that are ambiguous, nor about an address
that only ``address:`` reaches, which is what ``localhost`` means everywhere. A grant turns an ask into an allow; no
rule's denial turns into anything (D25). Under ``egress.default: deny`` nothing is held, but an agent may ask for a
route beforehand (`request_access`); a yes to that allows what no route names in the same way, without any secret.
"""

import msgspec

from bot_bottle.policy import hints
from bot_bottle.policy.addresses import classify
from bot_bottle.policy.arms import Arm, Table, arms_of
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.grants import DEFAULT, LEARNED, Grant
from bot_bottle.policy.hosts import is_address, is_inside, is_loopback_name
from bot_bottle.policy.paths import loose_views
from bot_bottle.policy.verdict import Kind, Request, Verdict, deny

NO_HOST = "policy.host-not-allowed"
NO_PORT = "policy.port-not-allowed"
NO_MATCH = "policy.request-not-allowed"
DENIED = "policy.denied-by-rule"
ASK = "policy.needs-approval"
TIE = "policy.ambiguous-routes"

Key = tuple[str, int]


class HostIndex(msgspec.Struct):
    """Arms of one host by (scheme, port); `rest` holds, by scheme, the arms that name no port.

    reachable: some route allows or asks. shut: a deny route covers every request to it.
    """

    tables: dict[Key, Table]
    rest: dict[str, Table]
    reachable: bool
    shut: bool

    def table(self, scheme: str, port: int) -> Table:
        """The arms that speak about a scheme (http or https) and port of this host."""
        found = self.tables.get((scheme, port))
        return self.rest[scheme] if found is None else found


class Compiled(msgspec.Struct):
    """A policy ready for decisions. hosts: exact names; suffixes: what follows ``*.``. grants: by host."""

    policy: Policy
    hosts: dict[str, HostIndex]
    suffixes: dict[str, HostIndex]
    grants: dict[str, tuple[Grant, ...]] = {}


def compile(policy: Policy, grants: tuple[Grant, ...] = ()) -> Compiled:
    """A policy, and the grants that hold now: whoever compiles leaves out what has expired, and compiles again then.

    Raises ValueError when an expression of a route does not compile; policies from `merge` always do.
    """
    arms = [arm for index, route in enumerate(policy.routes) for arm in arms_of(route, index)]
    patterns = {route.host for route in policy.routes}
    hosts: dict[str, HostIndex] = {}
    suffixes: dict[str, HostIndex] = {}
    for pattern in patterns:
        if pattern.startswith("*."):
            suffixes[pattern[2:]] = _index([arm for arm in arms if arm.host == pattern])
        else:
            wild = "" if is_address(pattern) else "*." + pattern.partition(".")[2]
            hosts[pattern] = _index([arm for arm in arms if arm.host in (pattern, wild)])
    return Compiled(policy, hosts, suffixes, _by_host(grants))


def with_grants(compiled: Compiled, grants: tuple[Grant, ...]) -> Compiled:
    """The same policy with other grants; the arms are shared."""
    return Compiled(compiled.policy, compiled.hosts, compiled.suffixes, _by_host(grants))


def decide(compiled: Compiled, request: Request) -> Verdict:
    """The verdict. `request` is canonical already (policy.hosts, policy.paths)."""
    target = request.target
    index = find_index(compiled, target.host)
    if index is None:
        return _unnamed(compiled, request, deny(NO_HOST, hints.no_host(request)))
    table = index.table(target.scheme, target.port)
    loose = loose_views(request.path) if table.deny or table.ask else ()
    for arm in table.deny:
        if arm.matches_loosely(request, loose):
            return deny(DENIED, hints.denied(arm), arm.rule)
    for position, arm in enumerate(table.ask):
        if arm.matches_loosely(request, loose):
            return _ask(compiled, table, position, request, loose)
    return _allow(compiled, table, request)


def decide_alone(compiled: Compiled, request: Request) -> Verdict:
    """The verdict on a request that no yes for many covers: what a grant would allow is asked about (D25)."""
    host = request.target.host
    alone = tuple(msgspec.structs.replace(grant, once=True) for grant in compiled.grants.get(host, ()))
    return decide(with_grants(compiled, alone), request)


def could_allow_name(compiled: Compiled, host: str) -> bool:
    """Whether some request to this canonical name could be allowed or asked for: then DNS answers synthetically."""
    index = find_index(compiled, host)
    if compiled.policy.default == "deny" and host not in compiled.grants:
        return index is not None and index.reachable
    return index is None or not index.shut


def routes_for_host(compiled: Compiled, host: str) -> tuple[Route, ...]:
    """Every route whose pattern covers a canonical host, in the order of the policy."""
    suffix = "" if is_address(host) else "*." + host.partition(".")[2]
    return tuple(route for route in compiled.policy.routes if route.host in (host, suffix))


def matched_headers(compiled: Compiled) -> frozenset[str]:
    """Names of the headers that any route matches on: their values are recorded."""
    routes = compiled.policy.routes
    return frozenset(header.name for route in routes for match in route.matches for header in match.headers)


def find_index(compiled: Compiled, host: str) -> HostIndex | None:
    """The arms that may decide about a canonical host."""
    found = compiled.hosts.get(host)
    if found is None and compiled.suffixes and not is_address(host):
        found = compiled.suffixes.get(host.partition(".")[2])
    return found


def _ask(compiled: Compiled, table: Table, position: int, request: Request, loose: tuple[str, ...]) -> Verdict:
    """The most specific ask arm, unless another one of equal weight would give other power (D24)."""
    arm = table.ask[position]
    for other in table.ask[position + 1 :]:
        if other.score != arm.score:
            break
        if other.power != arm.power and other.matches_loosely(request, loose):
            return deny(TIE, hints.tie(arm, other), arm.rule)
    asked = Verdict(Kind.ASK, arm.rule, ASK, hints.held(arm), arm.route)
    return _granted(compiled, request, asked, asked)


def _allow(compiled: Compiled, table: Table, request: Request) -> Verdict:
    """The most specific allow arm, unless another route of equal weight would give other power (D24)."""
    for position, arm in enumerate(table.allow):
        if arm.matches(request):
            if position + 1 < len(table.allow) and table.allow[position + 1].score == arm.score:
                rival = _rival(table, position, request)
                if rival is not None:
                    return deny(TIE, hints.tie(arm, rival), arm.rule)
            return Verdict(Kind.ALLOW, arm.rule, route=arm.route)
    if not table.allow and not table.ask:
        return _unnamed(compiled, request, deny(NO_PORT, hints.no_port(request)))
    return _unnamed(compiled, request, deny(NO_MATCH, hints.no_match(request)))


def _unnamed(compiled: Compiled, request: Request, denial: Verdict) -> Verdict:
    """What no route names: denied, asked about, granted or, while the policy is learned, allowed and recorded."""
    policy, host = compiled.policy, request.target.host
    if policy.default == "deny" and host not in compiled.grants:
        return denial
    if is_inside(host) or is_loopback_name(host) or (is_address(host) and not classify(host).dialable):
        return denial
    if policy.default == "learn":
        return Verdict(Kind.ALLOW, LEARNED, route=len(policy.routes))
    asked = Verdict(Kind.ASK, DEFAULT, denial.reason, hints.unnamed(denial.hint), len(policy.routes))
    return _granted(compiled, request, asked, asked if policy.default == "ask" else denial)


def _granted(compiled: Compiled, request: Request, asked: Verdict, otherwise: Verdict) -> Verdict:
    """The allow that a person's yes makes of an ask; the ask where the yes is for once, so that it can be counted."""
    for grant in compiled.grants.get(request.target.host, ()):
        if grant.covers(asked.rule, request):
            if not grant.once:
                return Verdict(Kind.ALLOW, asked.rule, route=asked.route, grant=grant.id)
            otherwise = asked
    return otherwise


def _rival(table: Table, position: int, request: Request) -> Arm | None:
    arm = table.allow[position]
    for other in table.allow[position + 1 :]:
        if other.score != arm.score:
            return None
        if other.power != arm.power and other.matches(request):
            return other
    return None


def _by_host(grants: tuple[Grant, ...]) -> dict[str, tuple[Grant, ...]]:
    found: dict[str, list[Grant]] = {}
    for grant in grants:
        found.setdefault(grant.host, []).append(grant)
    return {host: tuple(some) for host, some in found.items()}


def _index(arms: list[Arm]) -> HostIndex:
    schemes = {arm.scheme for arm in arms if arm.scheme} | {"http", "https"}
    keys = {(scheme, port) for scheme in schemes for arm in arms for port in arm.ports}
    tables = {key: _table([arm for arm in arms if arm.serves(*key)]) for key in keys}
    rest = {scheme: _table([arm for arm in arms if arm.serves(scheme, 0)]) for scheme in schemes}
    return HostIndex(tables, rest, any(arm.action != "deny" for arm in arms), any(map(_denies_all, arms)))


def _denies_all(arm: Arm) -> bool:
    bare = arm.path is None and not (arm.methods or arm.headers or arm.scheme or arm.ports)
    return arm.action == "deny" and bare and {"http1", "websocket"} <= set(arm.protocols)


def _table(arms: list[Arm]) -> Table:
    by_weight = sorted(arms, key=lambda arm: arm.score, reverse=True)
    allow, asking = (tuple(arm for arm in by_weight if arm.action == kind) for kind in ("allow", "ask"))
    return Table(tuple(arm for arm in arms if arm.action == "deny"), asking, allow)
