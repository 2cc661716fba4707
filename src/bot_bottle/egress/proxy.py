"""The host's own upstream proxy (`HTTPS_PROXY`), chained by CONNECT for everything that no route pins.

Names are still resolved and classified first where this host can resolve them: a name that leads to a private address
is refused. Where it cannot (only the proxy resolves), the proxy's own rules are the only address check; the threat
model says so. The name is sent to the proxy only after the intent is written.
"""

import base64
from urllib.parse import unquote, urlsplit

from bot_bottle.egress.resolve import lookup
from bot_bottle.policy.hosts import bracketed, is_address
from bot_bottle.policy.verdict import Target


class UpstreamProxy:
    """address: ``ip:port``, resolved once at the start."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("the host's own proxy must be an http:// URL")
        host = parts.hostname
        if not is_address(host):
            found, error = lookup(host)
            if not found:
                raise ValueError(error)
            host = found[0]
        self.address = f"{bracketed(host)}:{parts.port or 80}"
        self._credentials = b""
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._credentials = b"Proxy-Authorization: Basic " + base64.b64encode(pair) + b"\r\n"

    def connect_head(self, target: Target) -> bytes:
        """The CONNECT head for a target."""
        authority = f"{bracketed(target.host)}:{target.port}".encode()
        return b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (authority, authority, self._credentials)
