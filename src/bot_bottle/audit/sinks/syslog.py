"""syslog: RFC 5424 over TCP with octet counting (RFC 6587) or TLS (RFC 5425).

The protocol has no acknowledgement. What was sent counts as delivered when the connection has lived for `settle`
seconds after the peer's kernel took the last byte of it; when it breaks, everything younger is sent again. So a
receiver that stores what it read within that time has every record at least once, also when it is killed.

Octet counting makes a line end in a message harmless (B73); control characters do not occur in any format.
"""

import contextlib
import datetime
import fcntl
import os
import re
import select
import socket
import ssl
import struct
import termios
from collections.abc import Sequence

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats.parts import severity
from bot_bottle.audit.formats.registry import format_of
from bot_bottle.audit.sinks.model import Secrets, SinkConfig, SinkFault, SinkKind
from bot_bottle.audit.sinks.post import is_loopback, tls
from bot_bottle.base.sizes import duration

_AUDIT = 13
"""Facility "log audit" (RFC 5424, 6.2.1)."""
_SEVERITY = {1: 6, 2: 5, 3: 4, 4: 3}
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_TIMEOUT = 15.0


class SyslogConfig(SinkConfig, kw_only=True, frozen=True, tag="syslog", tag_field="kind"):
    """address: ``host:port``. tls: RFC 5425. ca: PEM file besides the system's authorities. certificate, key: PEM
    files for mutual TLS. settle: see above. plain: TCP without TLS to another machine is allowed."""

    address: str
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""
    settle: str = "5s"
    plain: bool = False


def message(entry: Entry, text: bytes, hostname: str) -> bytes:
    """One frame: length, space, RFC 5424 header, the formatted record without its line end."""
    record = entry.record
    moment = (
        datetime.datetime.fromtimestamp(record.time // 1_000_000_000, datetime.UTC) if _is_time(record.time) else None
    )
    when = f"{moment:%Y-%m-%dT%H:%M:%S}.{record.time % 1_000_000_000 // 1000:06d}Z" if moment else "-"
    priority = _AUDIT * 8 + _SEVERITY[severity(record)]
    head = (
        f"<{priority}>1 {when} {name(hostname, 255)} bot-bottle {name(record.label, 128)} {name(record.kind, 32)} - "
    )
    body = head.encode("ascii") + text.rstrip(b"\r\n").replace(b"\n", b" ")
    return b"%d %b" % (len(body), body)


def name(text: str, limit: int) -> str:
    """A header field: printable ASCII without spaces, cut; ``-`` for none."""
    return _UNPRINTABLE.sub("?", text)[:limit] or "-"


def _is_time(wall: int) -> bool:
    return 0 < wall < 32_503_680_000_000_000_000


class SyslogSink:
    """One connection."""

    def __init__(self, config: SyslogConfig) -> None:
        line = format_of(config.format).line
        assert line is not None
        self._line = line
        self._config = config
        self.settle = duration(config.settle)
        self._host, _, port = config.address.rpartition(":")
        self._host, self._port = self._host.strip("[]"), int(port)
        self._hostname = socket.gethostname()
        self._link: socket.socket | None = None

    def send(self, batch: Sequence[Entry]) -> None:
        """Handed to our kernel; see `check` for the rest."""
        data = b"".join(message(entry, self._line(entry), self._hostname) for entry in batch)
        self.check()
        try:
            self._connected().sendall(data)
        except (OSError, ssl.SSLError) as error:
            raise self._broken(error) from None

    def check(self) -> None:
        """The link still lives, and the peer's kernel has what we sent; a peer that closed says so here."""
        link = self._link
        if link is None:
            return
        try:
            if select.select([link], [], [], 0)[0] and not _talks(link):
                raise SinkFault(f"{self._config.address} closed the connection.")
            _drained(link)
        except SinkFault:
            self.close()
            raise
        except (OSError, ValueError, ssl.SSLError) as error:
            raise self._broken(error) from None

    def _connected(self) -> socket.socket:
        if self._link is None:
            plain = socket.create_connection((self._host, self._port), _TIMEOUT)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_TIMEOUT * 1000))
            self._link = self._wrapped(plain) if self._config.tls else plain
        return self._link

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        context = tls(self._config.ca)
        try:
            if self._config.certificate:
                context.load_cert_chain(self._config.certificate, self._config.key or None)
            return context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise

    def _broken(self, error: Exception) -> SinkFault:
        self.close()
        if isinstance(error, ssl.SSLCertVerificationError):
            what = f"{self._config.address}: the certificate is not trusted: {error.verify_message}."
            return SinkFault(what, "Name its authority with ca.")
        why = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
        return SinkFault(f"{self._config.address} does not take it: {why}.")

    def close(self) -> None:
        """Idempotent."""
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.close()
        self._link = None


def _talks(link: socket.socket) -> bool:
    """A receiver has nothing to say: what is readable is its end, or (TLS) a session ticket."""
    link.setblocking(False)
    try:
        return bool(link.recv(4096))
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    finally:
        link.settimeout(_TIMEOUT)


def _drained(link: socket.socket) -> None:
    """Waits until the peer's kernel has acknowledged every byte (SIOCOUTQ)."""
    waited = 0.0
    while struct.unpack("i", fcntl.ioctl(link.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]:
        if waited >= _TIMEOUT:
            raise SinkFault("The receiver takes nothing any more.")
        select.select([link], [], [], 0.01)
        waited += 0.01


def open_syslog(config: SyslogConfig, _secrets: Secrets) -> SyslogSink:
    """The sink of a config that has no problems."""
    return SyslogSink(config)


def problems(config: SyslogConfig) -> list[tuple[str, str]]:
    """Addresses, files, and TCP in clear to another machine."""
    found: list[tuple[str, str]] = []
    host, _, port = config.address.rpartition(":")
    if not re.fullmatch(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+", host) or not re.fullmatch(r"\d{1,5}", port):
        found.append(("address", "is no host:port"))
    elif not config.tls and not config.plain and not is_loopback(host.strip("[]")):
        found.append(("address", "is not encrypted: use tls = true, or say plain = true"))
    if config.key and not config.certificate:
        found.append(("key", "has no certificate"))
    for field in ("ca", "certificate", "key"):
        path = getattr(config, field)
        if path and not os.path.isfile(path):
            found.append((field, "is no file"))
    try:
        duration(config.settle)
    except ValueError as error:
        found.append(("settle", f"does not fit: {error}"))
    return found


KIND = SinkKind("syslog", "RFC 5424 over TCP or TLS.", SyslogConfig, open_syslog, problems)
