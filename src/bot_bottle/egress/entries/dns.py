"""The DNS door (53, UDP and TCP): answers synthetic addresses and never resolves (B21-B23, D09).

A name that some route could allow, or that a person may be asked about, gets the synthetic pair of addresses, all
others REFUSED; nothing of any question leaves the host. Answers come from the asked address, so that a hard-coded
resolver seems to answer (facts/backends.md 2).
"""

import contextlib
import socket
from typing import TYPE_CHECKING

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.egress.inside import HOST
from bot_bottle.egress.leg import Leg
from bot_bottle.egress.loop import IN
from bot_bottle.egress.wire.dns import (
    AAAA,
    A,
    Malformed,
    Query,
    address_answer,
    empty,
    framed,
    parse_query,
    refused,
    unframed,
)
from bot_bottle.policy.decide import could_allow_name, find_index
from bot_bottle.policy.hosts import canonical_host
from bot_bottle.policy.verdict import Kind

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway

_BATCH = 64
_REMEMBERED = 5000
_HIGH = 65536
_UNNAMED = 10_000
"""Names that no route names but may be asked about (`egress.default: ask`)."""
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO, _IPV6_FREEBIND = 8, 49, 50, 78
_TYPES = {A: "A", AAAA: "AAAA"}


class DnsDoor:
    """One listening DNS socket."""

    def __init__(self, gateway: "Gateway", door: socket.socket, stream: bool) -> None:
        self._gateway = gateway
        self._door = door
        if stream:
            gateway.loop.watch(door.fileno(), IN, self._accept)
            return
        if door.family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
            with contextlib.suppress(OSError):
                door.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            door.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        gateway.loop.watch(door.fileno(), IN, self._datagrams)

    def _datagrams(self, _mask: int) -> None:
        for _ in range(_BATCH):
            try:
                data, ancillary, _, peer = self._door.recvmsg(1024, 128)
            except OSError:
                return
            reply = answer(self._gateway, data)
            if reply:
                with contextlib.suppress(OSError):
                    self._door.sendmsg([reply], _from_asked(ancillary), 0, peer)

    def _accept(self, _mask: int) -> None:
        gateway = self._gateway
        for _ in range(_BATCH):
            try:
                sock, _ = self._door.accept()
            except OSError:
                return
            if len(gateway.clients) >= gateway.limits.connections:
                gateway.gauges.refuse("connections")
                sock.close()
                continue
            sock.setblocking(False)
            _Stream(gateway, sock)


class _Stream:
    """One TCP connection with questions, each answered in turn."""

    def __init__(self, gateway: "Gateway", sock: socket.socket) -> None:
        self._gateway = gateway
        self._buffer = bytearray()
        self._since = gateway.loop.now
        self.leg = Leg(gateway.loop, sock, self)
        gateway.clients.add(self)

    def received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while not self.leg.paused and (message := unframed(self._buffer)) is not None:
                self._since = self._gateway.loop.now
                reply = answer(self._gateway, message)
                if reply:
                    self.leg.write(framed(reply))
                if self.leg.queued > _HIGH:  # who asks and never reads
                    self.leg.pause()
        except Malformed:
            self.cut()

    def ended(self, _clean: bool, /) -> None:
        self._gateway.clients.discard(self)

    def drained(self) -> None:
        if self.leg.paused:
            self.leg.resume()
            self.received(b"")

    def sweep(self, now: float) -> None:
        """Idle connections."""
        if now - self._since > self._gateway.limits.head_seconds:
            self.cut()

    def cut(self) -> None:
        self._gateway.clients.discard(self)
        self.leg.close()


def answer(gateway: "Gateway", message: bytes) -> bytes:
    """The reply to one message, or nothing where the limit is passed or nothing can be said."""
    if not gateway.gauges.names.take(gateway.loop.now):
        gateway.gauges.refuse("names")
        gateway.counters.limited += 1
        return b""
    try:
        query = parse_query(message)
    except Malformed as fault:
        return fault.reply
    gateway.counters.names += 1
    name = _canonical(query.name)
    if name is None or not (name == HOST or could_allow_name(gateway.rules.compiled, name)):
        _record(gateway, query, Kind.DENY, "name.refused")
        return refused(query)
    known = find_index(gateway.rules.compiled, name) is not None
    addresses = gateway.names.addresses(name) if known else gateway.names.addresses(name, _UNNAMED)
    if addresses is None:
        _record(gateway, query, Kind.DENY, "name.too-many")
        return refused(query)
    _record(gateway, query, Kind.ALLOW, "name.synthetic")
    if query.kind == A:
        return address_answer(query, addresses[0])
    return address_answer(query, addresses[1]) if query.kind == AAAA else empty(query)


def _canonical(name: str) -> str | None:
    try:
        return canonical_host(name)
    except ValueError:
        return None


def _record(gateway: "Gateway", query: Query, verdict: Kind, reason: str) -> None:
    """The first question about each name is a record, further ones are counted; all are within `names` a second."""
    key = (query.name, reason)
    if key in gateway.recorded_names:
        return
    if len(gateway.recorded_names) >= _REMEMBERED:
        gateway.recorded_names.clear()
    gateway.recorded_names.add(key)
    kind = _TYPES.get(query.kind, str(query.kind))
    gateway.journal.write(
        gateway.journal.record(
            RecordKind.NAME,
            entry="dns",
            target=f"dns://{query.name}",
            method=kind,
            verdict=verdict.value,
            reason=reason,
        )
    )


def _from_asked(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Control messages that make the reply leave from the address that was asked."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return [(level, kind, b"\0" * 4 + data[8:12] + b"\0" * 4)]
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            return [(level, kind, data[:16] + b"\0" * 4)]
    return []
