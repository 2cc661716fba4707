"""Connections to the other side: dialled at the pinned address, verified, pooled per secret, poisoned by stray bytes.

A pool key holds scheme, host, port, secret name and route, so that no connection crosses secrets or routes; it is
emptied by every reload. Bytes on an idle connection discard it, because they would answer the next request (P13).
"""

import os
import socket
from typing import Protocol

from bot_bottle.egress.leg import Leg
from bot_bottle.egress.loop import OUT, Loop
from bot_bottle.egress.prepare import PoolKey
from bot_bottle.egress.tls import TlsLeg
from bot_bottle.egress.wire.http1 import Malformed, head_end, parse_response

_IDLE = 55.0
_RESTING = 32
_TUNNEL_HEAD = 16384


class User(Protocol):
    """Whoever holds a connection: an exchange."""

    def connected(self, link: "Link", /) -> None: ...

    def unreachable(self, link: "Link", /, slug: str, what: str) -> None: ...

    def reply(self, data: bytes) -> None: ...

    def upstream_ended(self, clean: bool) -> None: ...

    def upstream_drained(self) -> None: ...


class Link:
    """One connection to an upstream. `user` is None while it is pooled."""

    __slots__ = (
        "_head",
        "_loop",
        "_proxied",
        "_tls",
        "address",
        "idle_since",
        "key",
        "leg",
        "pool",
        "reused",
        "sock",
        "spoiled",
        "started",
        "state",
        "user",
    )

    def __init__(self, pool: "Pool", key: PoolKey, address: str, user: User) -> None:
        self.pool = pool
        self.key = key
        self.address = address
        self.user: User | None = user
        self.reused = False
        self.spoiled = False
        self.leg: Leg | None = None
        self.state = "new"
        self.idle_since = 0.0
        self.started = pool.loop.now
        self.sock: socket.socket | None = None
        self._loop = pool.loop
        self._head = b""
        self._tls: tuple[object, str] | None = None
        self._proxied = b""

    def dial(self, ip: str, port: int, tls: tuple[object, str] | None, tunnel: bytes = b"") -> None:
        """Connects. tls: (context, server name) or None. tunnel: a CONNECT head for an upstream proxy, or empty."""
        self._tls, self._proxied = tls, tunnel
        sock = socket.socket(
            socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC
        )
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.state = "connecting"
        try:
            sock.connect((ip, port))
        except BlockingIOError:
            pass
        except OSError as error:
            sock.close()
            self._unreachable("upstream.refused", _cause(error))
            return
        self.pool.links.add(self)
        self._loop.watch(sock.fileno(), OUT, self._connected)

    def _connected(self, _mask: int) -> None:
        sock = self.sock
        assert sock is not None
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._loop.forget(sock.fileno())
            sock.close()
            self._unreachable("upstream.refused", _cause(OSError(code, "")))
        elif self._proxied:
            self.state = "tunnelling"
            self.leg = Leg(self._loop, sock, self)
            self.leg.write(self._proxied)
        else:
            self._secure(sock)

    def _secure(self, sock: socket.socket) -> None:
        if self._tls is None:
            self.leg = Leg(self._loop, sock, self)
            self.secured()
            return
        self.state = "handshaking"
        context, name = self._tls
        self.leg = TlsLeg(self._loop, sock, self, context, name)  # pyright: ignore[reportArgumentType]
        self.leg.begin()

    def secured(self) -> None:
        self.state = "open"
        if self.user is not None:
            self.user.connected(self)

    def received(self, data: bytes) -> None:
        if self.state == "tunnelling":
            self._tunnel(data)
        elif self.user is not None:
            self.user.reply(data)
        else:
            self.close()

    def _tunnel(self, data: bytes) -> None:
        """The proxy's answer to our CONNECT: 200 and nothing behind it, or an error."""
        self._head += data
        try:
            end = head_end(self._head, _TUNNEL_HEAD)
            if end < 0:
                return
            status = parse_response(self._head[:end], "CONNECT").status
        except Malformed:
            status, end = 0, len(self._head)
        if not 200 <= status < 300 or len(self._head) != end:
            self.close()
            self._unreachable("upstream.proxy", f"The host's own proxy refused the connection with status {status}.")
            return
        assert self.leg is not None
        sock = self.leg.detach()
        self._secure(sock)

    def ended(self, clean: bool) -> None:
        self.pool.drop(self)
        user, failure = self.user, self.leg.failure if self.leg else ""
        if user is None:
            return
        if self.state == "open":
            user.upstream_ended(clean)
        elif failure:
            self._unreachable("upstream.certificate", f"The TLS handshake failed: {failure}.")
        else:
            self._unreachable("upstream.closed", "The connection was closed before it was usable.")

    def drained(self) -> None:
        if self.user is not None:
            self.user.upstream_drained()

    def _unreachable(self, slug: str, what: str) -> None:
        self.pool.drop(self)
        user = self.user
        self.user = None
        if user is not None:
            user.unreachable(self, slug, what)

    def close(self) -> None:
        """Closes without telling the user."""
        self.pool.drop(self)
        if self.leg is not None:
            self.leg.close()
        elif self.sock is not None and self.state == "connecting":
            self._loop.forget(self.sock.fileno())
            self.sock.close()
        self.state = "closed"

    def expire(self) -> None:
        """The connection took too long to become usable."""
        self.close()
        self._unreachable("upstream.timeout", "The upstream did not answer in time.")


class Pool:
    """Idle links by key, and all links for sweeping."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.links: set[Link] = set()
        self._idle: dict[PoolKey, list[Link]] = {}
        self._resting: dict[Link, None] = {}  # all idle links, the longest idle first

    def take(self, key: PoolKey, user: User) -> Link | None:
        """An idle link of exactly this key."""
        idle = self._idle.get(key)
        if not idle:
            return None
        link = idle.pop()
        del self._resting[link]
        link.user = user
        link.reused = True
        return link

    def put(self, link: Link) -> None:
        """Back into the pool; only after a whole, unambiguous exchange."""
        link.user = None
        link.idle_since = self.loop.now
        idle = self._idle.get(link.key)
        if idle is None:
            idle = self._idle[link.key] = []
        idle.append(link)
        self._resting[link] = None
        if len(self._resting) > _RESTING:  # each holds tens of KB: many hosts must not add up (S12)
            next(iter(self._resting)).close()

    def drop(self, link: Link) -> None:
        """Forgets a link."""
        self.links.discard(link)
        self._resting.pop(link, None)
        idle = self._idle.get(link.key)
        if idle and link in idle:
            idle.remove(link)

    def clear(self) -> None:
        """Closes every idle link: their rules are gone."""
        for idle in list(self._idle.values()):
            for link in list(idle):
                link.close()
        self._idle.clear()

    def sweep(self, connect_seconds: float) -> None:
        """Once a second: idle links that are too old, links that never became usable."""
        now = self.loop.now
        for link in list(self.links):
            if link.user is None:
                if now - link.idle_since > _IDLE:
                    link.close()
            elif link.state not in ("open", "closed") and now - link.started > connect_seconds:
                link.expire()


def _cause(error: OSError) -> str:
    return f"The upstream cannot be reached: {os.strerror(error.errno) if error.errno else 'unknown error'}."
