"""What the text of one field may look like, by the name that the model gives it. Each check raises ValueError."""

import ipaddress
import re
from collections.abc import Callable

from bot_bottle.base.ids import is_name
from bot_bottle.base.sizes import duration, size
from bot_bottle.policy.addresses import classify
from bot_bottle.policy.hosts import bracketed, canonical_pattern

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\Z")
_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}\Z")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,127}\Z")
_QUERY_NAME = re.compile(r"[A-Za-z0-9._~-]{1,128}\Z")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "expect", "trailer"})
AUTH_SCHEMES = ("bearer", "token", "basic", "header", "query")

_LOADERS = ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT")


def address(text: str) -> tuple[str, int]:
    """``IP:port`` or ``[IPv6]:port`` as canonical IP and port; raises ValueError for what is never dialled."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError("an address is IP:port, like 127.0.0.1:8443 or [::1]:8443")
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if (":" in inner) != host.startswith("["):
        raise ValueError("an IPv6 address stands in brackets, like [::1]:8443")
    kind = classify(inner)
    if not kind.pinnable:
        raise ValueError(f"{inner} is a {kind.value} address, which no route may dial")
    return ipaddress.ip_address(inner).compressed, int(port)


def canonical_address(text: str) -> str:
    """The one spelling of an ``address:`` value."""
    ip, port = address(text)
    return f"{bracketed(ip)}:{port}"


def auth_scheme(text: str) -> tuple[str, str]:
    """``bearer`` ... ``header:NAME`` as scheme and name ("" where there is none)."""
    scheme, colon, name = text.partition(":")
    if scheme not in AUTH_SCHEMES or bool(colon) != (scheme in ("header", "query")):
        raise ValueError("a scheme is bearer, token, basic, header:NAME or query:NAME")
    if scheme == "header" and (not _TOKEN.match(name) or name.lower() in _OURS):
        raise ValueError(f"{name!r} is not a header that can carry a secret")
    if scheme == "query" and not _QUERY_NAME.match(name):
        raise ValueError(f"{name!r} is not a plain query name")
    return scheme, name


def _size(text: str) -> None:
    if size(text) >= 2**53:
        raise ValueError("a size is less than 9000 TB")


def _name(text: str) -> None:
    if not is_name(text):
        raise ValueError("a name is lower case letters, digits and hyphens, at most 64, and starts with a letter")


def _variable(text: str) -> None:
    if not _VARIABLE.match(text):
        raise ValueError("a variable is letters, digits and underscores")
    if text in _LOADERS:
        raise ValueError(f"{text} would change every program in the bottle")


def _method(text: str) -> None:
    if not _METHOD.match(text):
        raise ValueError("a method is written in capital letters, like GET")
    if text == "CONNECT":
        raise ValueError("CONNECT is not a request that a route decides; write the requests inside")


def _header(text: str) -> None:
    if not _TOKEN.match(text):
        raise ValueError("a header name is letters, digits and hyphens")


def _mount_path(text: str) -> None:
    body = text[2:] if text.startswith("~/") else text[1:] if text.startswith("/") else None
    if text == "~" or (body is not None and not body.strip("/")):
        raise ValueError("a mount is never the whole root or the whole home")
    if body is None:
        raise ValueError("a mount path is absolute or starts with ~/")
    if ".." in body.split("/") or not text.isprintable():
        raise ValueError("a mount path has no .. and no control characters")


def _glob(text: str) -> None:
    if not text or text.startswith(("/", "~")) or ".." in text.split("/") or not text.isprintable():
        raise ValueError("a glob is relative to the workspace, without ..")


def _line(text: str) -> None:
    if not text or len(text) > 256 or not text.isprintable() or set(text) & set("<>"):
        raise ValueError("this is one line of at most 256 characters without < and >")


def _model(text: str) -> None:
    if not _MODEL.match(text):
        raise ValueError("a model name is letters, digits and ._:/@- and does not start with a hyphen")


CHECKS: dict[str, Callable[[str], object]] = {
    "address": address,
    "auth-scheme": auth_scheme,
    "duration": duration,
    "glob": _glob,
    "header": _header,
    "host": canonical_pattern,
    "line": _line,
    "method": _method,
    "model": _model,
    "mount-path": _mount_path,
    "name": _name,
    "size": _size,
    "variable": _variable,
}
