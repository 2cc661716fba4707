"""The question and the answer: `Request` facts in, `Verdict` out. A denial is a value, not an exception."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Target(msgspec.Struct, frozen=True):
    """Where a request goes, after CONNECT, SNI, Host and :authority were found to agree.

    host: canonical lower-case A-label name or IP literal, no trailing dot. port: 1-65535. scheme: http or https.
    """

    scheme: str
    host: str
    port: int


class Request(msgspec.Struct, frozen=True):
    """One request as the policy sees it. path: canonical (the same bytes that are sent), without the query.

    headers: lower-case name and value, in order, as the agent sent them. protocol: http1 or websocket.
    """

    target: Target
    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    protocol: str = "http1"


class Auth(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one secret is injected. scheme: bearer | token | basic | header | query; name: of the header or key."""

    scheme: str
    secret: str
    name: str = ""


class RouteLimits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bytes and rates of one route; 0 means the default of the bottle."""

    request_bytes: int = 0
    bottle_bytes: int = 0
    requests_per_minute: int = 0


class Timeouts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Seconds; 0 means the default of the gateway."""

    idle: float = 0
    total: float = 0


class Verdict(msgspec.Struct, frozen=True):
    """allow / ask / deny with the rule, a stable reason slug, and what would allow it.

    rule: ``bottle/name`` or "" where no route matched. reason: e.g. ``policy.no-route``. hint: one sentence for
    the agent and the person. route: index into `Policy.routes` of the route that gives auth, limits, tls and
    address (`Policy.route`), of an ask too; -1 when denied. grant: id of the grant that made an allow of an ask.
    """

    kind: Kind
    rule: str = ""
    reason: str = ""
    hint: str = ""
    route: int = -1
    grant: str = ""


def deny(reason: str, hint: str, rule: str = "") -> Verdict:
    """A denial, spelled shortly."""
    return Verdict(Kind.DENY, rule, reason, hint)
