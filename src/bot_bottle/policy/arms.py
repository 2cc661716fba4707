"""One arm = one way to match a route: a path condition with methods and headers. Routes are flattened into arms."""

from collections.abc import Callable
from urllib.parse import unquote

import msgspec

from bot_bottle.policy.effective import HeaderMatch, Match, PathMatch, Route
from bot_bottle.policy.regex import compile_regex
from bot_bottle.policy.verdict import Auth, Request

Score = tuple[int, int, int, int]
Check = Callable[[str], bool]

_PATH_RANK = {"exact": 3, "prefix": 2, "regex": 1, "": 0}


class HeaderCheck(msgspec.Struct, frozen=True):
    """A header by its lower-case name; `test` sees each of its values."""

    name: str
    test: Check


class Arm(msgspec.Struct):
    """score: (exact host, path rank, prefix length, conditions); larger is more specific.

    scheme "" and ports () mean any (deny routes that name none). power: what a request gets through this arm; two
    equal scores with different power are a tie. path: the test on the canonical path. loose: on `paths.loose_views`.
    """

    route: int
    rule: str
    host: str
    action: str
    scheme: str
    ports: tuple[int, ...]
    protocols: tuple[str, ...]
    score: Score
    power: tuple[Auth | None, str, str, bool]
    path: Check | None
    loose: Check | None
    methods: frozenset[str]
    headers: tuple[HeaderCheck, ...]

    def serves(self, scheme: str, port: int) -> bool:
        """Whether this arm speaks about a scheme and port; port 0 asks about all that no route names."""
        return (not self.scheme or self.scheme == scheme) and (not self.ports or port in self.ports)

    def matches(self, request: Request) -> bool:
        """For allow: every condition holds, for every value of a header, and for both readings of a ``%2F``."""
        path = request.path
        if self.path is not None and not self.path(path):
            return False
        if "%2F" in path and self.loose is not None and not self.loose(unquote(path).lower()):
            return False
        if self.methods and request.method not in self.methods:
            return False
        if request.protocol not in self.protocols:
            return False
        return not self.headers or all(_every(check, request.headers) for check in self.headers)

    def _reads(self, path: str, views: tuple[str, ...]) -> bool:
        if self.path is None or self.path(path):
            return True
        return self.loose is not None and any(self.loose(view) for view in views)

    def matches_loosely(self, request: Request, views: tuple[str, ...]) -> bool:
        """For deny and ask: any reading of the path, any value of a header."""
        if self.methods and request.method not in self.methods:
            return False
        if request.protocol not in self.protocols:
            return False
        if not self._reads(request.path, views):
            return False
        return not self.headers or all(_any(check, request.headers) for check in self.headers)


class Table(msgspec.Struct):
    """All arms for one host, scheme and port; `allow` from the most specific down."""

    deny: tuple[Arm, ...]
    ask: tuple[Arm, ...]
    allow: tuple[Arm, ...]


def arms_of(route: Route, index: int) -> list[Arm]:
    """The arms of one route; a route without matches has one arm that matches every request to its host."""
    return [
        _arm(route, index, match, path)
        for match in route.matches or (Match(),)
        for path in match.paths or (PathMatch("", ""),)
    ]


def score(route: Route, match: Match, path: PathMatch) -> Score:
    """How specific: exact host, exact path, longest prefix, regex, more conditions - in this order."""
    exact_host = 0 if route.host.startswith("*.") else 1
    length = len(path.value) if path.type == "prefix" else 0
    return exact_host, _PATH_RANK[path.type], length, bool(match.methods) + len(match.headers)


def prefix_check(value: str) -> Check:
    """Whole segments only: ``/v1`` covers ``/v1`` and ``/v1/x``, never ``/v1x``; ``/v1/`` does not cover ``/v1``."""
    if value.endswith("/"):
        return lambda path: path.startswith(value)
    inner = value + "/"
    return lambda path: path == value or path.startswith(inner)


def _arm(route: Route, index: int, match: Match, path: PathMatch) -> Arm:
    return Arm(
        route=index,
        rule=route.rule,
        host=route.host,
        action=route.action,
        scheme=route.scheme,
        ports=route.ports,
        protocols=route.protocols,
        score=score(route, match, path),
        power=(route.auth, route.address, route.ca, route.agent_credentials),
        path=_check(path.type, path.value),
        loose=_loose(path),
        methods=frozenset(match.methods),
        headers=tuple(_header(header) for header in match.headers),
    )


def _check(kind: str, value: str) -> Check | None:
    if kind == "exact":
        return value.__eq__
    if kind == "prefix":
        return prefix_check(value)
    if kind == "regex":
        full = compile_regex(value).fullmatch
        return lambda text: full(text.encode()) is not None
    return None


def _loose(path: PathMatch) -> Check | None:
    """The test for lenient readings: decoded, lower case. An expression that spells ``%2F`` means that alone."""
    if path.type == "regex":
        return None if "%2F" in path.value else _check("regex", f"(?i:{path.value})")
    value = unquote(path.value).lower()
    return _check(path.type, value.rstrip("/") or "/" if path.type == "prefix" else value)


def _header(header: HeaderMatch) -> HeaderCheck:
    value = header.value
    if header.type == "prefix":
        return HeaderCheck(header.name, lambda text: text.startswith(value))
    check = _check(header.type, value)
    if check is None:
        raise ValueError(f"a header match has the unknown type {header.type}")
    return HeaderCheck(header.name, check)


def _every(check: HeaderCheck, headers: tuple[tuple[str, str], ...]) -> bool:
    values = [value for name, value in headers if name == check.name]
    return bool(values) and all(map(check.test, values))


def _any(check: HeaderCheck, headers: tuple[tuple[str, str], ...]) -> bool:
    return any(check.test(value) for name, value in headers if name == check.name)
