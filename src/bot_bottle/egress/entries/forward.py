"""The forward proxy door (3128): CONNECT and absolute form. CONNECT itself is never forwarded (B03, B10).

CONNECT is answered with 200 whatever the policy says, because harnesses take a refused CONNECT for a broken network
and
retry for minutes (facts/agents.md 4); the refusal comes as a 403 inside TLS. No name is resolved for it.
"""

from typing import TYPE_CHECKING

from bot_bottle.egress.greeting import Choice, Greeting
from bot_bottle.egress.leg import Leg
from bot_bottle.egress.session import Session
from bot_bottle.egress.target import Disagreement, Site, authority
from bot_bottle.egress.wire.http1 import Head, Malformed, head_end, parse_request
from bot_bottle.policy.verdict import deny

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_KNOWN = 256
_ANY = Site("forward", "http", "", 80)


class Forward:
    """Owner of a fresh connection until its first head says what it is."""

    def __init__(self, gateway: "Gateway", leg: Leg) -> None:
        self._gateway = gateway
        self._leg = leg
        self._data = b""
        self._since = gateway.loop.now
        leg.owner = self
        gateway.clients.add(self)

    def received(self, data: bytes) -> None:
        self._data += data
        if not b"CONNECT ".startswith(self._data[:8]):
            self._gateway.clients.discard(self)
            session = Session(self._gateway, _ANY)
            session.attach(self._leg)
            session.received(self._data)
            return
        limits = self._gateway.limits
        try:
            end = head_end(self._data, limits.head_bytes)
            if end >= 0:
                self._connect(self._site(self._data[:end]), self._data[end:])
        except (Malformed, Disagreement) as fault:
            self._refuse(fault.slug, fault.what)

    def _site(self, raw: bytes) -> Site:
        """What this CONNECT head names; equal heads are read once."""
        known = self._gateway.connects
        site = known.get(raw)
        if site is None:
            site = connect_site(parse_request(raw, self._gateway.limits.head_fields))
            if len(known) >= _KNOWN:
                known.clear()
            known[raw] = site
        return site

    def _connect(self, site: Site, rest: bytes) -> None:
        self._gateway.clients.discard(self)
        greeting = Greeting(self._gateway, self._leg, lambda name: _choose(site, name), site, plain=True)
        self._leg.write(_ESTABLISHED)
        if rest:
            greeting.received(rest)

    def _refuse(self, slug: str, what: str, status: int = 400) -> None:
        gateway = self._gateway
        gateway.clients.discard(self)
        session = Session(gateway, _ANY)
        session.attach(self._leg)
        gateway.flow.refuse(session, status, slug, what)

    def ended(self, _clean: bool, /) -> None:
        self._gateway.clients.discard(self)

    def drained(self) -> None:
        """Nothing waits for that."""

    def sweep(self, now: float) -> None:
        """A head that does not end; a connection without a byte is closed without a word."""
        if now - self._since > self._gateway.limits.head_seconds:
            if self._data:
                self._refuse("limit.head-seconds", "The request's head did not arrive in time.", 408)
            else:
                self.cut()

    def cut(self) -> None:
        self._gateway.clients.discard(self)
        self._leg.close()


def connect_site(head: Head) -> Site:
    """The site of a CONNECT head. Raises Malformed or Disagreement."""
    host, port = authority(head.target, 0)
    if not port:
        raise Malformed("target.authority", "CONNECT names a host and a port.")
    named = head.get("host")
    if named is not None and authority(named, 443) != (host, port) and authority(named, 0) != (host, 0):
        raise Disagreement("target.host-disagrees", "The Host field names another target than CONNECT.")
    if head.framing:
        raise Malformed("wire.connect-body", "CONNECT has no body.")
    return Site("connect", "https", host, port)


def _choose(site: Site, name: str | None) -> Choice:
    """SNI must say what CONNECT said (B05); without SNI, CONNECT alone names the target."""
    if name is None or name == site.host:
        return site, site.host
    what = "The TLS server name names another target than CONNECT."
    return site._replace(refusal=deny("target.sni-disagrees", what)), name
