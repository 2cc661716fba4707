"""Under which name a request reached us, and from whom: the Host allowlist; X-Forwarded-* from a stated proxy only.

A page on evil.example whose name was rebound to 127.0.0.1 sends `Host: evil.example`: that is not ours.
"""

import ipaddress
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers

from bot_bottle.web.addresses import LOOPBACK_NAMES


@dataclass(frozen=True, slots=True)
class Seen:
    """origin: scheme://host[:port] as a browser writes it, "" where Host is not ours. local: came over loopback,
    not through the proxy. cookie: name of the session cookie at this origin."""

    scheme: str
    origin: str
    ours: bool
    local: bool
    client: str

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def cookie(self) -> str:
        """A `__Host-` cookie over TLS; on plain loopback one that names the port, since cookies ignore ports."""
        if self.secure:
            return "__Host-bot-bottle"
        return f"bot-bottle-{split(self.origin.removeprefix('http://'))[1] or 80}"


@dataclass(frozen=True, slots=True)
class Origins:
    """names: host names and addresses (IPv6 in brackets) of TLS listeners. proxies: addresses of the stated proxy.
    public: its origin, e.g. ``https://bottle.example.org``, "" without one."""

    names: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset()
    public: str = ""

    def seen(self, scope: dict[str, Any] | Any, headers: Headers) -> Seen:
        """How this request came in."""
        client = str((scope.get("client") or ("", 0))[0])
        server = scope.get("server") or ("", 0)
        scheme = str(scope.get("scheme", "http"))
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if client in self.proxies and self.public and (through := self._through(headers, host, client)):
            return through
        name, port = split(host)
        usual = 443 if scheme == "https" else 80
        allowed = name in LOOPBACK_NAMES and is_loopback(str(server[0]))
        allowed = allowed or (scheme == "https" and name in self.names)
        ours = allowed and (port or usual) == server[1]
        shown = f"{scheme}://{name}" + (f":{port}" if port and port != usual else "")
        local = ours and is_loopback(client) and is_loopback(str(server[0]))
        return Seen(scheme, shown if ours else "", ours, local, client)

    def _through(self, headers: Headers, host: str, client: str) -> Seen | None:
        """A request that the stated proxy passed on: Host (or X-Forwarded-Host) must be the public name."""
        scheme, _, public = self.public.partition("://")
        forwarded = headers.get("x-forwarded-host", host).lower()
        if "x-forwarded-for" not in headers and forwarded != public:
            return None
        last = headers.get("x-forwarded-for", client).rpartition(",")[2].strip()
        ours = forwarded == public and headers.get("x-forwarded-proto", "") == scheme
        return Seen(scheme, self.public if ours else "", ours, False, last)


def split(host: str) -> tuple[str, int]:
    """Name (IPv6 in brackets) and port, 0 where none is given; ("", 0) for what is no host."""
    if host.startswith("["):
        name, _, rest = host.partition("]")
        name, port = f"{name}]", rest.removeprefix(":") if rest.startswith(":") or not rest else "x"
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdecimal() and len(port) <= 5):
        return "", 0
    return name, int(port or 0)


def is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
