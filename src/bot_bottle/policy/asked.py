"""A request as a person types it - ``GET https://host/path`` - made canonical, with every step that changed it."""

from urllib.parse import urlsplit

import msgspec

from bot_bottle.policy.hosts import canonical_host
from bot_bottle.policy.paths import canonical_path
from bot_bottle.policy.verdict import Request, Target


class Asked(msgspec.Struct, frozen=True):
    """The canonical request; notes: what was written otherwise."""

    request: Request
    notes: tuple[str, ...] = ()


def from_url(url: str, method: str = "GET", headers: tuple[str, ...] = (), protocol: str = "http1") -> Asked:
    """Raises ValueError, one sentence. headers: ``name: value``. ws and wss mean the protocol websocket."""
    if not url.isprintable():
        raise ValueError("a URL holds a control or invisible character")
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        port = parts.port
    except ValueError:
        raise ValueError("a URL is malformed, or its port is not a number from 1 to 65535") from None
    schemes = {"https": "https", "http": "http", "wss": "https", "ws": "http"}
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError("a request is METHOD and an http or https URL")
    if parts.username is not None:
        raise ValueError("a URL of a request holds no user and no password")
    scheme = schemes[parts.scheme]
    host, path = canonical_host(parts.hostname), canonical_path(parts.path or "/")
    changed = [(parts.hostname, host), (parts.path or "/", path)]
    request = Request(
        target=Target(scheme, host, port or (443 if scheme == "https" else 80)),
        method=method.upper(),
        path=path,
        query=parts.query,
        headers=tuple(_header(text) for text in headers),
        protocol="websocket" if parts.scheme in ("ws", "wss") else protocol,
    )
    return Asked(
        request, tuple(f"{written} is {canonical}" for written, canonical in changed if written != canonical)
    )


def from_text(text: str) -> Asked:
    """``[METHOD] URL``. Raises ValueError."""
    words = text.split()
    if len(words) == 2:
        return from_url(words[1], words[0])
    if len(words) == 1:
        return from_url(words[0])
    raise ValueError("a request is written like: POST https://api.example.com/v1/items")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError("a header is written like: name: value")
    return name.strip().lower(), value.strip()
