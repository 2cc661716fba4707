"""Assertions beside a bottle: requests with the answer that the policy must give, checked by `policy test`. Pure.

A YAML file ``NAME.test.yaml`` beside ``NAME.md``::

    allow:
      - GET https://api.example.com/v1/items
      - {request: POST https://api.example.com/v1/items, rule: web/items, secret: api-key}
    ask:
      - POST https://hooks.example.com/in
    deny:
      - {request: GET https://api.example.com/v1/items, headers: ['x-kind: admin']}

Every problem of the file is said at once; every assertion is asked, and each that fails says what it got instead.
"""

import msgspec

from bot_bottle.base.errors import ManifestFault, Problem
from bot_bottle.base.text import visible
from bot_bottle.policy.asked import Asked, from_url
from bot_bottle.policy.decide import Compiled, decide
from bot_bottle.policy.verdict import Kind, Verdict
from bot_bottle.policy.walk import nearest
from bot_bottle.policy.yaml12 import Items, Node, Scalar, Table, YamlFault, parse

MAX_BYTES = 256 * 1024
_KEYS = ("request", "headers", "rule", "secret", "protocol")


class Assertion(msgspec.Struct, frozen=True):
    """One line of the file. wants: allow, ask or deny. rule, secret: what else must hold, "" for anything; "none" is
    no secret. text: as written."""

    line: int
    wants: Kind
    text: str
    asked: Asked
    rule: str = ""
    secret: str = ""


class Failure(msgspec.Struct, frozen=True):
    """An assertion that does not hold. got: one sentence."""

    line: int
    text: str
    got: str


def read(raw: bytes, file: str) -> tuple[Assertion, ...]:
    """All assertions of a file. Raises ManifestFault with all problems."""
    if len(raw) > MAX_BYTES:
        raise ManifestFault([Problem("assertions.too-large", "the file is larger than 256 KB", file)])
    try:
        tree = parse(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise ManifestFault([Problem("assertions.not-text", "the file is not UTF-8 text", file)]) from None
    except YamlFault as fault:
        raise ManifestFault([Problem("assertions.bad-yaml", fault.reason, file, fault.line)]) from None
    reader = _Reader(file)
    found = reader.file_of(tree)
    if reader.problems:
        raise ManifestFault(reader.problems)
    return tuple(found)


def failures(compiled: Compiled, assertions: tuple[Assertion, ...]) -> tuple[Failure, ...]:
    """Those that do not hold, in the order of the file."""
    found = [(one, _got(compiled, one)) for one in assertions]
    return tuple(Failure(one.line, one.text, got) for one, got in found if got)


def _got(compiled: Compiled, one: Assertion) -> str:
    """What came instead; "" where the assertion holds."""
    verdict = decide(compiled, one.asked.request)
    by = f" by {verdict.rule}" if verdict.rule else ""
    if verdict.kind is not one.wants:
        why = f": {verdict.hint}" if verdict.hint else ""
        return f"wanted {one.wants.value}, got {verdict.kind.value}{by}{why}"
    if one.rule and verdict.rule != one.rule:
        return f"wanted rule {one.rule}, got {verdict.rule or 'none'}"
    secret = _secret(compiled, verdict)
    if one.secret and one.secret != (secret or "none"):
        return f"wanted secret {one.secret}, got {secret or 'none'}"
    return ""


def _secret(compiled: Compiled, verdict: Verdict) -> str:
    auth = compiled.policy.route(verdict.route).auth if verdict.kind is not Kind.DENY else None
    return auth.secret if auth else ""


class _Reader:
    """Reads one file and collects what is wrong with it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def file_of(self, tree: Node) -> list[Assertion]:
        if not isinstance(tree, Table):
            self._wrong(tree.line, "the file has the keys allow, ask and deny, each with a list")
            return []
        found: list[Assertion] = []
        for key, node in tree.entries.items():
            if key not in list(Kind):
                self._wrong(tree.lines[key], f"unknown key {visible(key, 64)}", nearest(key, list(Kind)))
            elif not isinstance(node, Items):
                self._wrong(tree.lines[key], f"{key} holds a list of requests")
            else:
                found += [one for item in node.items if (one := self._assertion(Kind(key), item))]
        return found

    def _assertion(self, wants: Kind, node: Node) -> Assertion | None:
        if isinstance(node, Scalar):
            return self._made(wants, node.line, node.text, {}, ())
        if not isinstance(node, Table) or not isinstance(node.entries.get("request"), Scalar):
            self._wrong(node.line, "an assertion is a request, or keys and values with request")
            return None
        values: dict[str, str] = {}
        headers: tuple[str, ...] = ()
        for key, child in node.entries.items():
            if key not in _KEYS:
                self._wrong(node.lines[key], f"unknown key {visible(key, 64)}", nearest(key, _KEYS))
            elif key == "headers":
                headers = self._headers(child)
            elif isinstance(child, Scalar):
                values[key] = child.text
            else:
                self._wrong(child.line, f"{key} is a single value")
        return self._made(wants, node.line, values["request"], values, headers)

    def _headers(self, node: Node) -> tuple[str, ...]:
        if not isinstance(node, Items) or not all(isinstance(one, Scalar) for one in node.items):
            self._wrong(node.line, "headers is a list, like ['x-kind: a']")
            return ()
        return tuple(one.text for one in node.items if isinstance(one, Scalar))

    def _made(
        self, wants: Kind, line: int, text: str, values: dict[str, str], headers: tuple[str, ...]
    ) -> Assertion | None:
        words = text.split()
        method, url = (words[0], words[1]) if len(words) == 2 else ("GET", text)
        try:
            asked = from_url(url, method, headers, values.get("protocol", "http1"))
        except ValueError as error:
            self._wrong(line, f"{visible(text, 200)}: {error}")
            return None
        return Assertion(line, wants, visible(text, 500), asked, values.get("rule", ""), values.get("secret", ""))

    def _wrong(self, line: int, what: str, hint: str = "") -> None:
        self.problems.append(Problem("assertions.bad-value", what, self.file, line, hint))
