"""Step 2: the one canonical target of a request, or a refusal (B05-B08, B30, P02, P09). Pure.

A site is what is known before the first request: the door, and the host and port that CONNECT, SNI or a synthetic
address fixed. Host and absolute form must then say the same; nothing of them ever widens it.
"""

import re
from typing import NamedTuple

from bot_bottle.egress.wire.http1 import Head, Malformed
from bot_bottle.policy.hosts import split_authority
from bot_bottle.policy.paths import canonical_path
from bot_bottle.policy.verdict import Target, Verdict

DEFAULT_PORTS = {"http": 80, "https": 443}
_ABSOLUTE = re.compile(r"(https?)://([^/?]+)(/[^?]*)?(?:\?(.*))?\Z", re.IGNORECASE)


class Site(NamedTuple):
    """entry: connect | forward | http | https | port. host "" where each request names its own (absolute form).

    refusal: a verdict that every request gets because the doors disagree already.
    """

    entry: str
    scheme: str
    host: str
    port: int
    refusal: Verdict | None = None


class Disagreement(Exception):
    """Two places name different targets. slug, what: as for Malformed; answered as a denial."""

    def __init__(self, slug: str, what: str) -> None:
        super().__init__(what)
        self.slug = slug
        self.what = what


class Place(NamedTuple):
    """The canonical target, path and query of one request."""

    target: Target
    path: str
    query: str


def place(site: Site, head: Head) -> Place:
    """Raises Malformed or Disagreement."""
    if head.method == "CONNECT":
        raise Malformed(
            "target.nested-connect", "CONNECT inside a connection that has its target already is refused."
        )
    if head.target.startswith("/"):
        if not site.host:
            raise Malformed("target.not-absolute", "A request to a proxy names its target in absolute form.")
        path, _, query = head.target.partition("?")
        host, port = site.host, site.port
    else:
        host, port, path, query = _absolute(site, head.target)
    _agree(head, host, port)
    try:
        return Place(Target(site.scheme, host, port), canonical_path(path), query)
    except ValueError as error:
        raise Malformed("target.path", f"{str(error).capitalize()}.") from None


def _absolute(site: Site, text: str) -> tuple[str, int, str, str]:
    found = _ABSOLUTE.match(text)
    if found is None or found[1].lower() != site.scheme:
        raise Malformed("target.form", "The request target is neither a path nor an absolute URL of this scheme.")
    host, port = authority(found[2], DEFAULT_PORTS[site.scheme])
    if site.host and (host, port) != (site.host, site.port):
        raise Disagreement("target.url-disagrees", "The URL of the request names another target than its connection.")
    return host, port, found[3] or "/", found[4] or ""


def _agree(head: Head, host: str, port: int) -> None:
    """Host must be this host; without a port it stands for the default port, or for the one of the connection."""
    text = head.get("host")
    if text is None:
        return
    named, number = authority(text, 0)
    if named != host or number not in (0, port):
        raise Disagreement("target.host-disagrees", "The Host field names another target than the connection.")


def authority(text: str, default_port: int) -> tuple[str, int]:
    """Canonical host and port of an authority; default_port 0: 0 where none is written. Raises Malformed."""
    try:
        host, port = split_authority(text, default_port or 1)
    except ValueError as error:
        raise Malformed("target.authority", f"{str(error).capitalize()}.") from None
    written = text.rpartition("]")[2].find(":") >= 0
    return host, port if written or default_port else 0
