"""The two digests of an ask (D25). *request* binds a yes to exactly the bytes that are held; *scope* is the same
without body and header names, for one retry after the deadline. Both name their bottle; no digest of the one kind
is one of the other."""

import hashlib

from bot_bottle.supervise.model import AskKind, Wanted

_REQUEST = b"bot-bottle request v1"
_SCOPE = b"bot-bottle scope v1"


def request_digest(bottle: str, kind: AskKind, wanted: Wanted) -> str:
    """sha256 hex over all that would be sent: target, method, path, query, header names, body, secrets, findings."""
    return _digest(_REQUEST, [*_scope(bottle, kind, wanted), *_list(wanted.headers), wanted.body_digest])


def scope_digest(bottle: str, kind: AskKind, wanted: Wanted) -> str:
    """sha256 hex over the same without header names and body."""
    return _digest(_SCOPE, _scope(bottle, kind, wanted))


def _scope(bottle: str, kind: AskKind, wanted: Wanted) -> list[str]:
    target = wanted.target
    plain = [bottle, kind.value, target.scheme, target.host, str(target.port), wanted.protocol, wanted.method]
    plain += [wanted.path, wanted.query_digest]
    return [*plain, *_list(wanted.methods), *_list(wanted.secrets), *_list(wanted.findings)]


def _list(items: tuple[str, ...]) -> list[str]:
    return [str(len(items)), *items]


def _digest(domain: bytes, parts: list[str]) -> str:
    """Each part with its length in front, so that no two lists of parts are the same bytes."""
    hasher = hashlib.sha256(domain)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hasher.update(len(raw).to_bytes(8, "big"))
        hasher.update(raw)
    return hasher.hexdigest()
