"""The first bytes of a connection whose target is not known yet: a ClientHello chooses the certificate, then TLS
begins.

Used behind CONNECT and at the transparent doors. Nothing is answered before the name in the hello was compared with
what the door knows; bytes that came early are fed to TLS, none is lost (P06).
"""

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from bot_bottle.egress.leg import Leg
from bot_bottle.egress.session import Session
from bot_bottle.egress.target import Site
from bot_bottle.egress.tls import TlsLeg
from bot_bottle.egress.wire.http1 import Malformed
from bot_bottle.egress.wire.sni import client_hello, server_name
from bot_bottle.policy.hosts import canonical_host

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway

UNRECOGNIZED_NAME = b"\x15\x03\x01\x00\x02\x02\x70"
_HANDSHAKE = 0x16
_MAX = 40000

Choice = tuple[Site, str]
"""The site, and the host whose certificate is shown."""


class Greeting:
    """Owner of a leg until its target is known. site: what the door says; its name stands in the record of a refusal.

    choose(name or None): a choice, or None to refuse without TLS. plain: whether the first byte may be of another
    protocol than TLS; it is then HTTP for the same target.
    """

    def __init__(
        self, gateway: "Gateway", leg: Leg, choose: Callable[[str | None], Choice | None], site: Site, plain: bool
    ) -> None:
        self._gateway = gateway
        self._leg = leg
        self._choose = choose
        self._site = site
        self._plain = plain
        self._data = b""
        self._since = gateway.loop.now
        leg.owner = self
        gateway.clients.add(self)

    def received(self, data: bytes) -> None:
        self._data += data
        if self._data[0] != _HANDSHAKE:
            self._begin_plain()
            return
        try:
            hello = client_hello(self._data)
            if hello is None and len(self._data) <= _MAX:
                return
            name = server_name(hello or b"")
            choice = self._choose(canonical_host(name) if name is not None else None)
        except (Malformed, ValueError):
            choice = None
        if choice is None:
            self._refuse()
            return
        site, certified = choice
        context = self._gateway.leaves.ready(certified)
        if context is not None:
            self._begin_tls(site, context)
        else:
            self._leg.pause()
            self._gateway.leaves.get(certified, lambda context: self._begin_tls(site, context))

    def _begin_plain(self) -> None:
        if not self._plain:
            self._refuse(b"")
            return
        self._gateway.clients.discard(self)
        session = Session(self._gateway, self._site._replace(scheme="http"))
        session.attach(self._leg)
        session.received(self._data)

    def _begin_tls(self, site: Site, context: ssl.SSLContext | None) -> None:
        self._gateway.clients.discard(self)
        if self._leg.closed:
            return
        if context is None:
            self._gateway.gauges.refuse("certificates")
            self._leg.close()
            return
        session = Session(self._gateway, site)
        sock = self._leg.detach()
        leg = TlsLeg(self._gateway.loop, sock, session, context, None)
        session.attach(leg)
        leg.feed(self._data)

    def _refuse(self, alert: bytes = UNRECOGNIZED_NAME) -> None:
        self._gateway.clients.discard(self)
        what = "The connection begins with no TLS hello that names a server."
        self._gateway.flow.note(self._site, "target.no-server-name", what)
        self._leg.write(alert)
        self._leg.finish()

    def ended(self, _clean: bool, /) -> None:
        self._gateway.clients.discard(self)

    def drained(self) -> None:
        """Nothing was queued that anybody waits for."""

    def sweep(self, now: float) -> None:
        """A hello that does not end."""
        if now - self._since > self._gateway.limits.head_seconds:
            self.cut()

    def cut(self) -> None:
        self._gateway.clients.discard(self)
        self._leg.close()
