"""The server: uvicorn with httptools on asyncio, several listeners (plain loopback, TLS) behind one application.

Limits that uvicorn has not by itself: a head must arrive within some seconds (slow requests), and the number of
connections is bounded. Ending is bounded too: streams are told, then cut.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bot_bottle.web.messages import Certificate
from bot_bottle.web.security import Gate

CONNECTIONS = 256
HEAD_SECONDS = 10.0
GRACE_SECONDS = 2
_BACKLOG = 64


class Bounded(HttpToolsProtocol):
    """A connection that has not sent a whole head in time is closed. beside: the connections of the same listener;
    each listener has its own bound, so that strangers who fill the phone's leave this machine's open."""

    def __init__(self, beside: "set[Bounded]", *given: Any) -> None:
        super().__init__(*given)
        self._beside = beside

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, self._late)
        self._beside.add(self)
        if len(self._beside) > CONNECTIONS:
            transport.abort()

    def on_headers_complete(self) -> None:
        self._timer.cancel()
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        self._timer.cancel()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._late)
        super().on_message_begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._beside.discard(self)
        super().connection_lost(exc)

    def _late(self) -> None:
        self.transport.abort()


@dataclass(slots=True)
class Listener:
    """A listening socket; context: for TLS."""

    sock: socket.socket
    context: ssl.SSLContext | None = None


class Front(uvicorn.Server):
    """One uvicorn server for all listeners. `end` may be called from any thread."""

    def __init__(self, gate: Gate, listeners: Sequence[Listener]) -> None:
        super().__init__(
            uvicorn.Config(
                gate,
                http=Bounded, ws="none", loop="asyncio", lifespan="off", log_config=None, access_log=False,
                proxy_headers=False, server_header=False, timeout_keep_alive=20,
                timeout_graceful_shutdown=GRACE_SECONDS, backlog=_BACKLOG, h11_max_incomplete_event_size=65536,
            )
        )  # fmt: skip
        self._gate = gate
        self._places = listeners
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's shape
        self._loop = asyncio.get_running_loop()
        await self.lifespan.startup()

        self.servers = [await self._listen(self._loop, place) for place in self._places]
        self.started = True

    async def _listen(self, loop: asyncio.AbstractEventLoop, place: Listener) -> asyncio.Server:
        beside = set[Bounded]()

        def protocol() -> asyncio.Protocol:
            return Bounded(beside, self.config, self.server_state, self.lifespan.state, loop)

        handshake = HEAD_SECONDS if place.context else None
        return await loop.create_server(
            protocol, sock=place.sock, ssl=place.context, ssl_handshake_timeout=handshake, backlog=_BACKLOG
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        streams(self._gate).ending.set()
        await super().shutdown(sockets)

    def end(self) -> None:
        self.should_exit = True


def streams(gate: Gate) -> Any:
    app: Any = gate.app
    return app.state.streams


def context(certificate: Certificate) -> ssl.SSLContext:
    """TLS 1.2 and later with this certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    load(made, certificate)
    return made


def load(made: ssl.SSLContext, certificate: Certificate) -> None:
    """Also for a renewal: new connections get the new leaf. The key passes through memory and is never a file."""
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, f"{certificate.leaf}\n{certificate.authority}\n{certificate.key}".encode())
        made.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def quiet() -> None:
    """uvicorn's own words go nowhere but for errors: one line each, never a value of a request."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
