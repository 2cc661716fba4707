"""The effective policy of one bottle: all routes after merging, as plain data that travels to the gateway."""

import msgspec

from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Auth, RouteLimits, Timeouts

ASK_BODY = 8_000_000
ASK_WAIT = 300.0


class PathMatch(msgspec.Struct, frozen=True):
    """type: exact | prefix | regex (google-re2, anchored at both ends), on the canonical path."""

    type: str
    value: str


class HeaderMatch(msgspec.Struct, frozen=True):
    """type: exact | prefix | regex, on the value of the header with this lower-case name."""

    name: str
    type: str
    value: str


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """AND of its three parts. One of the paths, one of the methods, all of the headers; an empty part matches all."""

    paths: tuple[PathMatch, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[HeaderMatch, ...] = ()


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """One destination rule. rule: its id, ``bottle/name``. host: exact name, IP literal or ``*.suffix`` (one label).

    A deny route may have scheme "" (both) and ports () (all): so it is when its manifest names none.
    origin: ``file:line`` where it was written, or the harness. address: ``ip:port`` that is dialled instead of
    what the name resolves to. ca: PEM text that is trusted for this route only.
    """

    rule: str
    host: str
    scheme: str = "https"
    ports: tuple[int, ...] = (443,)
    protocols: tuple[str, ...] = ("http1",)
    matches: tuple[Match, ...] = ()
    action: str = "allow"
    auth: Auth | None = None
    agent_credentials: bool = False
    ca: str = ""
    address: str = ""
    limits: RouteLimits = RouteLimits()
    timeouts: Timeouts = Timeouts()
    origin: str = ""
    replaced: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that decides for one bottle. digest: sha256 of the canonical JSON of all that decides, so without digest,
    revision, notes and where a route was written: equal power has an equal digest on every machine.

    model_hosts: host -> error shape (``anthropic``, ``openai``, ...) used for denials there. log: off | blocks |
    full. sync: each (a record is on the disk before its request leaves) | batch. secrets: every secret name that a
    route may inject. notes: what merging replaced, for `policy show`. default: deny | ask, for what no route names;
    learn only while a timed learn mode runs, until learn_until (wall ns): no manifest says so. ask_body: bytes of a
    request that may be held. ask_wait: seconds until silence is a no. learn: allow | forbid. default_origin:
    ``file:line`` where the default is written, "" where none is.
    """

    bottle: str
    routes: tuple[Route, ...]
    model_hosts: dict[str, str] = {}
    log: str = "blocks"
    sync: str = "batch"
    digest: str = ""
    revision: int = 1
    notes: tuple[str, ...] = ()
    default: str = "deny"
    ask_body: int = ASK_BODY
    ask_wait: float = ASK_WAIT
    learn: str = "allow"
    learn_until: int = 0
    default_origin: str = ""

    def route(self, index: int) -> Route:
        """The route that a verdict names. One past the last is what stands for `DEFAULT`: any target, no secret, no
        pinned address, the limits of the bottle. Raises IndexError for a denial's -1."""
        if 0 <= index < len(self.routes):
            return self.routes[index]
        if index == len(self.routes):
            return _UNNAMED
        raise IndexError("a denial names no route")

    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that routes inject, sorted."""
        return tuple(sorted({route.auth.secret for route in self.routes if route.auth}))

    def ports(self) -> tuple[int, ...]:
        """Ports that routes name, sorted: the doors of the seal besides 3128, 80, 443 and 53."""
        return tuple(sorted({port for route in self.routes for port in route.ports}))


_UNNAMED = Route(
    rule=DEFAULT,
    host="*",
    scheme="",
    ports=(),
    protocols=("http1", "websocket"),
    action="ask",
    origin="egress.default",
)
