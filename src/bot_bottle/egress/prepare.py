"""Steps 2, 3, 4 and 8 for one request head: pure in its bytes, so that an equal head is decided once (facts/proxy.md
9).

What is sent is built from parsed parts: canonical target and path, our Host, our framing, exactly one credential.
Hop-by-hop fields, fields that `Connection` names, method overrides and forwarding fields stay here (P10, D24); while
a secret is held the answer is asked for in a form that can be read (D12).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from bot_bottle.base.errors import OperatorFault
from bot_bottle.custody.inject import prepare_headers
from bot_bottle.egress.facts import facts_of, findings_of, marked, outcome_facts, target_text, templates
from bot_bottle.egress.inside import HOST, RULE
from bot_bottle.egress.records import Journal, Template
from bot_bottle.egress.rules import Rules
from bot_bottle.egress.target import DEFAULT_PORTS, Disagreement, Place, Site, place
from bot_bottle.egress.tunnel import key_of
from bot_bottle.egress.wire.http1 import CHUNKED, Head, Malformed, parse_request
from bot_bottle.policy.addresses import classify
from bot_bottle.policy.decide import decide, decide_alone
from bot_bottle.policy.effective import Route
from bot_bottle.policy.hosts import bracketed, is_address
from bot_bottle.policy.verdict import Kind, Request, Target, Verdict, deny

PoolKey = tuple[str, str, int, str, int]

_HOP = frozenset(
    [
        "connection",
        "proxy-connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-authorization",
        "proxy-authenticate",
        "transfer-encoding",
        "content-length",
        "host",
        "http2-settings",
    ]
)
_OVERRIDES = frozenset(
    [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-method",
        "x-original-url",
        "x-original-uri",
        "x-original-host",
        "x-original-method",
        "x-rewrite-url",
        "x-override-url",
        "x-host",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "forwarded",
        "forwarded-for",
        "via",
        "x-proxyuser-ip",
        "x-wap-profile",
        "x-http-host-override",
        "x-backend-host",
        "x-envoy-original-path",
        "x-accel-redirect",
        "x-sendfile",
    ]
)
_OPTIONS = frozenset(("close", "keep-alive", "upgrade"))
_UNREADABLE = frozenset(("accept-encoding", "range", "if-range", "te", "a-im"))
_EXPECT = frozenset[str](("expect",))
_SOCKET = frozenset[str](("sec-websocket-extensions",))
_NAMES, _NAME = 500, 64
_NONE: frozenset[str] = frozenset()
_MET: dict[tuple[bool, bool], frozenset[str]] = {
    (False, False): _NONE, (False, True): _SOCKET, (True, False): _EXPECT, (True, True): _EXPECT | _SOCKET
}  # fmt: skip
"""Fields that are met here, by (it was held, it opens a WebSocket)."""


class Prepared(NamedTuple):
    """A decided head. wire: what leaves, with the secret in it. key: which pooled connections may carry it.

    error: (status, slug, sentence) of an answer of ours instead. intent, outcome: templates, None where too long.
    facts: record members, for the records that no template fits. leaked: a secret that the agent itself sent.
    route: None where nothing leaves: denied, or for the service inside. limited: whether any limit is to be looked
    at; metered: whether the route counts what it used.
    """

    head: Head
    place: Place | None
    verdict: Verdict
    protocol: str
    route: Route | None = None
    wire: bytes = b""
    key: PoolKey = ("", "", 0, "", -1)
    secret: str = ""
    error: tuple[int, str, str] | None = None
    intent: Template | None = None
    outcome: Template | None = None
    facts: Mapping[str, object] = MappingProxyType({})
    leaked: str = ""
    limited: bool = True
    metered: bool = True

    def request(self) -> Request:
        """What the policy decides about. Only where there is a place."""
        place, head = self.place, self.head
        assert place is not None
        return Request(place.target, head.method, place.path, place.query, head.fields, self.protocol)

    def outcome_facts(self) -> dict[str, object]:
        """Members of an outcome record that repeat what the intent said."""
        return outcome_facts(self.facts)

    def __repr__(self) -> str:
        return f"Prepared({self.verdict.kind}, {self.verdict.rule})"


_NO_HEAD = Head("", "", 0, 1, (), (), 0, True, frozenset(), {})


def prepare(rules: Rules, journal: Journal, site: Site, raw: bytes, max_fields: int) -> Prepared:
    """Everything about a head that its bytes decide. Raises nothing: what is malformed is an answer too."""
    head, found = _NO_HEAD, None
    try:
        head = parse_request(raw, max_fields)
        protocol = _protocol(head)
        found = place(site, head)
        if protocol == "websocket" and key_of(head) is None:
            raise Malformed("wire.websocket", "The WebSocket opening handshake is malformed.")
        if head.dropped & rules.matched - _OPTIONS:
            raise Malformed("wire.connection", "Connection takes away a header that a rule decides by.")
    except Malformed as fault:
        return _refused(rules, site, head, raw, found, fault.slug, fault.what, 400)
    except Disagreement as fault:
        verdict = site.refusal or deny(fault.slug, fault.what)
        return _refused(rules, site, head, raw, found, verdict.reason, verdict.hint, 0)
    request = Request(found.target, head.method, found.path, found.query, head.fields, protocol)
    inside = found.target.host == HOST
    verdict = site.refusal or (Verdict(Kind.ALLOW, RULE) if inside else decide(rules.compiled, request))
    if verdict.grant and findings_of(head):
        verdict = decide_alone(rules.compiled, request)
    leaked = rules.scrubber.contains_secret(raw) or ""
    if leaked:
        verdict = deny("custody.secret-sent", f"The request holds the secret {leaked}, which never leaves a bottle.")
    if verdict.kind is Kind.DENY or inside:
        facts = facts_of(rules, site, head, found, protocol, verdict)
        return Prepared(head, found, verdict, protocol, facts=marked(facts, leaked), leaked=leaked)
    return _sendable(rules, journal, site, head, found, protocol, verdict)


def _protocol(head: Head) -> str:
    upgrade = head.get("upgrade")
    wanted = upgrade is not None and "upgrade" in head.dropped and upgrade.lower() == "websocket"
    return "websocket" if wanted else "http1"


def _refused(
    rules: Rules, site: Site, head: Head, raw: bytes, found: Place | None, slug: str, what: str, status: int
) -> Prepared:
    """A head that names no target that we could decide about. status 0: a denial, not a fault."""
    verdict = deny(slug, what)
    facts: dict[str, object] = {"entry": site.entry, "verdict": Kind.DENY.value, "reason": slug}
    if site.host:
        facts["target"] = target_text(Target(site.scheme, site.host, site.port))
    facts["method"] = head.method
    leaked = rules.scrubber.contains_secret(raw) or ""
    error = (status, slug, what) if status else None
    return Prepared(head, found, verdict, "http1", error=error, facts=marked(facts, leaked), leaked=leaked)


def _sendable(
    rules: Rules, journal: Journal, site: Site, head: Head, found: Place, protocol: str, verdict: Verdict
) -> Prepared:
    """What is allowed, or may be after an answer; what a later step would refuse anyway is a denial at once."""
    route, asks = rules.policy.route(verdict.route), verdict.kind is Kind.ASK
    secret = route.auth.secret if route.auth else ""
    facts = facts_of(rules, site, head, found, protocol, verdict)
    if secret:
        facts["secrets"] = (secret,)
    denial = unreachable(route, found.target, verdict.rule) if asks else None
    wire = b""
    if denial is None:
        try:
            value = rules.secrets.get(secret)
            wire = _wire(rules, head, found, route, protocol, value.reveal() if value else None, asks)
        except OperatorFault as fault:
            denial = deny(fault.slug, f"{fault.what} {fault.hint}", verdict.rule)
    if denial is not None:
        facts = facts_of(rules, site, head, found, protocol, denial)
        return Prepared(head, found, denial, protocol, route, facts=facts)
    target = found.target
    key = (target.scheme, target.host, target.port, secret, verdict.route)
    if asks:
        return Prepared(head, found, verdict, protocol, route, wire, key, secret, facts=facts)
    intent, outcome = templates(rules, journal, facts)
    metered = route.limits.requests_per_minute > 0 or route.limits.bottle_bytes > 0
    limited = metered or head.framing != 0 or route.host[0] == "*"
    return Prepared(
        head, found, verdict, protocol, route, wire, key, secret, None, intent, outcome, facts, "", limited, metered
    )


def unreachable(route: Route, target: Target, rule: str) -> Verdict | None:
    """Why step 7 would refuse this target, as far as that is known without resolving a name (D09)."""
    host = route.address.rpartition(":")[0].strip("[]") if route.address else target.host
    if not is_address(host):
        return None
    kind = classify(host)
    if kind.pinnable if route.address else kind.dialable:
        return None
    what = f"{host} is a {kind.value} address, which is reached only by a route with address:."
    return deny(f"address.{kind.value}", what, rule)


def shown_head(rules: Rules, prepared: Prepared) -> bytes:
    """The head that would leave, with the placeholder where the secret goes; empty where nothing would leave."""
    if prepared.route is None or prepared.place is None:
        return b""
    place, route = prepared.place, prepared.route
    stands = rules.placeholders.get(prepared.secret, "") or f"<{prepared.secret}>"
    return _wire(rules, prepared.head, place, route, prepared.protocol, stands.encode(), asks=True)


def _wire(
    rules: Rules, head: Head, found: Place, route: Route, protocol: str, value: bytes | None, asks: bool
) -> bytes:
    """The head as it leaves, with this value of its secret; where it is held first, its Expect is met here.

    Raises OperatorFault when the secret cannot be injected.
    """
    met, known = _MET[asks, protocol == "websocket"], rules.stays
    kept: list[tuple[bytes, bytes]] = []
    for (name, text), written in zip(head.fields, head.names, strict=True):
        stays = known.get(name)
        if stays is None:
            stays = _stays(rules, name)
        if not (stays or name in met or name in head.dropped):
            kept.append((written.encode("latin-1"), text.encode("latin-1")))
    fields, query = prepare_headers(
        kept, found.query, route.auth, value, route.agent_credentials, scheme=found.target.scheme
    )
    return _assemble(head, found, fields, query, protocol, rules.guarded)


def _stays(rules: Rules, name: str) -> bool:
    """Whether a field never leaves under these rules, whatever else the head says; remembered by its name."""
    stays = name.replace("_", "-") in _HOP or (rules.guarded and name in _UNREADABLE)
    stays = stays or (name not in rules.named_headers and _is_override(name))
    if len(name) <= _NAME:
        if len(rules.stays) >= _NAMES:
            rules.stays.clear()
        rules.stays[name] = stays
    return stays


def _assemble(
    head: Head, found: Place, fields: list[tuple[bytes, bytes]], query: str, protocol: str, guarded: bool
) -> bytes:
    target = f"{found.path}?{query}" if query or head.target.endswith("?") else found.path
    lines = [f"{head.method} {target} HTTP/1.1".encode("latin-1"), b"Host: " + authority_bytes(found.target)]
    lines += [b"%b: %b" % field for field in fields]
    if guarded:
        lines.append(b"Accept-Encoding: identity")
    if head.framing == CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    elif head.framing or head.get("content-length") is not None:
        lines.append(b"Content-Length: %d" % head.framing)
    if protocol == "websocket":
        lines += [b"Connection: Upgrade", b"Upgrade: websocket"]
    return b"\r\n".join([*lines, b"", b""])


def authority_bytes(target: Target) -> bytes:
    """The value of Host: without the port where it is the scheme's own."""
    host = bracketed(target.host)
    return (host if target.port == DEFAULT_PORTS[target.scheme] else f"{host}:{target.port}").encode()


def stays_here(name: str) -> bool:
    """Whether a header of this lower-case name leaves on no route, or on none of a bottle that holds secrets."""
    return name.replace("_", "-") in _HOP or name in _UNREADABLE


def _is_override(name: str) -> bool:
    plain = name.replace("_", "-")
    return plain in _OVERRIDES or plain.startswith("x-forwarded")
