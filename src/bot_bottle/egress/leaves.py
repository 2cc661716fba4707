"""TLS contexts: one per intercepted host with a leaf that the keeper minted, and one per set of trusted authorities.

The authority's key never comes here: a leaf is asked for by host name (`Mint`) and all leaves share one key. A
context
compares the server name that OpenSSL read with its host, so that two readings of one ClientHello end it (P09).
"""

import os
import ssl
from collections import OrderedDict
from collections.abc import Callable

from bot_bottle.policy.hosts import canonical_host

_CACHED = 64
Ready = Callable[[ssl.SSLContext | None], None]


class Leaves:
    """Server contexts by canonical host, least recently used first out. `ask` sends Mint to the keeper."""

    def __init__(self, key: str, leaves: dict[str, str], limit: int, ask: Callable[[str], None]) -> None:
        self._key = key.encode()
        self._minted = dict(leaves)
        self._limit = max(limit, len(leaves))
        self._ask = ask
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._waiting: dict[str, list[Ready]] = {}

    def ready(self, host: str) -> ssl.SSLContext | None:
        """The context where it is there already."""
        context = self._contexts.get(host)
        if context is not None:
            self._contexts.move_to_end(host)
        elif host in self._minted:
            context = self._build(host, self._minted[host])
        return context

    def get(self, host: str, ready: Ready) -> None:
        """Asks the keeper and calls ready with the context, or with None when it is refused."""
        if host in self._waiting:
            self._waiting[host].append(ready)
        elif len(self._minted) + len(self._waiting) >= self._limit:
            ready(None)
        else:
            self._waiting[host] = [ready]
            self._ask(host)

    def minted(self, host: str, leaf: str) -> None:
        """The keeper's answer; an empty leaf is a refusal."""
        waiting = self._waiting.pop(host, [])
        context = None
        if leaf:
            self._minted[host] = leaf
            context = self._build(host, leaf)
        for ready in waiting:
            ready(context)

    def _build(self, host: str, leaf: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.num_tickets = 0
        context.sni_callback = _same_name(host)
        fd = os.memfd_create("leaf", os.MFD_CLOEXEC)
        try:
            os.write(fd, self._key + leaf.encode())
            context.load_cert_chain(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        self._contexts[host] = context
        if len(self._contexts) > _CACHED:
            self._contexts.popitem(last=False)
        return context


def _same_name(host: str) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], int | None]:
    def check(_tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        if name is None or name == host:
            return None
        try:
            return None if canonical_host(name) == host else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        except ValueError:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    return check


class Trust:
    """Client contexts: the host's authorities, or a route's own."""

    def __init__(self, authorities: str) -> None:
        self._authorities = authorities
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, route_authority: str) -> ssl.SSLContext:
        """Verifies chain and name, TLS 1.2 or newer, offers http/1.1 only (B28). "" means the host's authorities."""
        found = self._contexts.get(route_authority)
        if found is None:
            found = self._contexts[route_authority] = _client(route_authority or self._authorities)
        return found


def _client(authorities: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if authorities.strip():
        context.load_verify_locations(cadata=authorities)
    return context
