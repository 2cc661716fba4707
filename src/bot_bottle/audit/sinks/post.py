"""HTTP(S) POST to one fixed place: kept open, verified TLS, no redirect, no proxy, bounded reply, bounded time.

Used by sinks and notifiers. A reply is never followed: what answers cannot send a signed body somewhere else.
"""

import contextlib
import http.client
import ipaddress
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from bot_bottle.audit.sinks.model import SinkFault

MOST = 65536
TIMEOUT = 15.0
_CLEAN = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class Reply:
    """status, headers in lower case, and the first 64 KB of the body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def url_problem(url: str, plain: bool = False) -> str:
    """Why an address cannot be used; "" where it can. plain: http to another machine is allowed."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL"
    if not _CLEAN.match(url) or parts.scheme not in ("http", "https") or not host:
        return "is no http or https URL"
    if parts.username or parts.password:
        return "holds a user or a password: name a secret instead"
    if parts.fragment:
        return "has a fragment"
    if parts.scheme == "http" and not plain and not is_loopback(host):
        return "is not encrypted: use https, or say plain = true"
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its literal name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Poster:
    """One connection, opened when it is needed. url: checked by `url_problem`. ca: PEM file besides the system's."""

    def __init__(self, url: str, ca: str = "", timeout: float = TIMEOUT) -> None:
        self._parts = urlsplit(url)
        self._ca = ca
        self._timeout = timeout
        self._link: http.client.HTTPConnection | None = None

    @property
    def host(self) -> str:
        """For messages: without path, which may be a secret."""
        return self._parts.netloc

    def post(self, body: bytes, headers: Mapping[str, str], method: str = "POST") -> Reply:
        """The reply, whatever its status. Raises SinkFault when there is none."""
        used = self._link is not None
        try:
            try:
                return self._asked(body, headers, method)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if not used:
                    raise
                return self._asked(body, headers, method)  # the other side had ended an idle connection
        except ssl.SSLCertVerificationError as error:
            what = f"{self.host}: the certificate is not trusted: {error.verify_message}."
            raise self._failed(what, "Name its authority with ca.") from None
        except ValueError:  # its words hold the header's value, which may be a secret
            what = f"{self.host}: a header has characters that none may have."
            raise self._failed(what, "Set the secret again.") from None
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise self._failed(f"{self.host} does not answer: {why}.") from None

    def _asked(self, body: bytes, headers: Mapping[str, str], method: str) -> Reply:
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        link = self._open()
        link.request(method, path, body, {"User-Agent": "bot-bottle", **headers})
        found = link.getresponse()
        data = self._body(found)
        if not found.isclosed() or found.will_close:
            self.close()
        return Reply(found.status, {name.lower(): value for name, value in found.getheaders()}, data)

    def _body(self, found: http.client.HTTPResponse) -> bytes:
        """The first 64 KB, within the time; a reply that drips is cut, not waited for."""
        until, data = time.monotonic() + self._timeout, b""
        while len(data) < MOST and time.monotonic() < until and (piece := found.read1(MOST - len(data))):
            data += piece
        if found.length == 0:
            found.close()  # read to its end: the connection stays
        return data

    def _failed(self, what: str, hint: str = "") -> SinkFault:
        self.close()
        return SinkFault(what, hint)

    def _open(self) -> http.client.HTTPConnection:
        if self._link is None:
            host, port = self._parts.hostname or "", self._parts.port
            if self._parts.scheme == "https":
                self._link = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=tls(self._ca))
            else:
                self._link = http.client.HTTPConnection(host, port, timeout=self._timeout)
        return self._link

    def close(self) -> None:
        """Idempotent."""
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.close()
        self._link = None


def tls(ca: str) -> ssl.SSLContext:
    """TLS 1.2 or newer, verified. Raises SinkFault where the file of authorities cannot be read."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError):
            raise SinkFault(f"{ca} holds no certificate that can be read.", "Mend the setting ca.") from None
    return context


def must(reply: Reply, host: str, now: float) -> None:
    """Raises SinkFault for anything but 2xx. now: Unix time, for a Retry-After that is a date."""
    if reply.ok:
        return
    after = retry_after(reply.headers.get("retry-after", ""), now)
    what = f"{host} answered {reply.status}."
    hint = "Check the secret of this sink." if reply.status in (401, 403) else ""
    raise SinkFault(what, hint, after, too_large=reply.status == 413)


def retry_after(text: str, now: float) -> float:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3), at most an hour; 0 for none or nonsense."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(3600.0, float(text))
    try:
        return min(3600.0, max(0.0, parsedate_to_datetime(text).timestamp() - now)) if text else 0.0
    except (TypeError, ValueError, OverflowError):
        return 0.0
