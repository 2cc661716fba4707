"""The one spelling of a host name or address (B02, B10, B13, B14, B15), and what a wildcard covers (B20).

Everything that is compared, resolved, dialled, certified or recorded goes through `canonical_host` first. A text
that two programs could read differently (octal numbers, zone ids, IPv4 inside IPv6, control bytes) is refused:
there is no second reading to slip through.
"""

import ipaddress
import re
import unicodedata

_PLAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)\Z")
_DOTTED = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}\Z")
_MAX_NAME = 253

INSIDE = "bot-bottle.internal"
"""The one name that the gateway answers itself; no route may name it or anything below it."""


def canonical_host(text: str) -> str:
    """Lower-case A-label name or IP address without brackets and without the trailing dot; idempotent.

    Raises ValueError, one sentence with the reason. Sources: RFC 1123, RFC 3986 3.2.2, RFC 5890, WHATWG URL.
    """
    if len(text) <= _MAX_NAME and _PLAIN.match(text) and "xn--" not in text:
        return text
    if not text or len(text) > 4 * _MAX_NAME:
        raise ValueError("a host name is empty or too long")
    if any(unicodedata.category(c)[0] in "CZ" for c in text):
        raise ValueError("a host name holds a space, control or invisible character")
    if text.startswith("[") or ":" in text:
        return _ipv6(text)
    name = _ascii(text.lower()).removesuffix(".")
    if _NUMBER.match(name.rpartition(".")[2]):
        return _ipv4(name)
    labels = name.split(".")
    if len(name) > _MAX_NAME or not all(_is_label(label) for label in labels):
        raise ValueError("a host name is dotted labels of letters, digits and hyphens, at most 63 characters each")
    return name


def is_address(host: str) -> bool:
    """Whether a canonical host is an IP literal."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def bracketed(host: str) -> str:
    """A canonical host as it stands in an authority: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback_name(host: str) -> bool:
    """Whether a canonical name means the machine itself wherever it is asked for (RFC 6761 6.3)."""
    return host == "localhost" or host.endswith(".localhost")


def is_inside(pattern: str) -> bool:
    """Whether a canonical host or pattern is `INSIDE` or lies below it."""
    return pattern.removeprefix("*.") == INSIDE or pattern.endswith("." + INSIDE)


def split_authority(text: str, default_port: int) -> tuple[str, int]:
    """``host[:port]`` of a Host header, CONNECT line or URL as canonical host and port.

    Raises ValueError; userinfo is refused by the host's own rules.
    """
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        host += bracket
        if rest and not rest.startswith(":"):
            raise ValueError("an authority has text after the bracket")
        port = rest[1:] if rest else str(default_port)
    else:
        host, colon, port = text.partition(":")
        port = port if colon else str(default_port)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError("a port is a number from 1 to 65535")
    return canonical_host(host), int(port)


def canonical_pattern(text: str) -> str:
    """The host of a route: a canonical host, or ``*.`` and a canonical name of two labels or more.

    ``*.`` stands for exactly one label, as in certificates (RFC 9525). Raises ValueError.
    """
    if "/" in text or re.fullmatch(r"[^\[:]+:[0-9]+", text):
        raise ValueError("a host is a name alone; scheme:, ports: and matches: say the rest of a URL")
    if not text.startswith("*."):
        if "*" in text:
            raise ValueError("a wildcard is only the first label, like *.example.com")
        return canonical_host(text)
    suffix = canonical_host(text[2:])
    if is_address(suffix) or "." not in suffix:
        raise ValueError("a wildcard needs a domain of two labels or more, like *.example.com")
    return f"*.{suffix}"


def covers(pattern: str, host: str) -> bool:
    """Whether a canonical pattern stands for a canonical host."""
    if not pattern.startswith("*."):
        return pattern == host
    label, _, suffix = host.partition(".")
    return bool(label) and suffix == pattern[2:] and not is_address(host)


def _ascii(text: str) -> str:
    """A-labels of a name that was perhaps written in Unicode; refuses what two versions of IDNA read differently."""
    if text.isascii():
        return text
    try:
        name = text.encode("idna").decode("ascii")
        back = name.encode("ascii").decode("idna")
    except UnicodeError:
        raise ValueError("a host name is not valid in IDNA") from None
    if back != text:
        raise ValueError("a host name changes its meaning in IDNA; write its xn-- form")
    return name


def _is_label(label: str) -> bool:
    """Letters, digits, hyphen, underscore; an xn-- label must be the one encoding of what it decodes to."""
    if not _LABEL.match(label):
        return False
    if not label.startswith("xn--"):
        return True
    try:
        decoded = label[4:].encode("ascii").decode("punycode")
        again = decoded.encode("punycode").decode("ascii")
    except (UnicodeError, ValueError, OverflowError):
        return False
    return again == label[4:] and not decoded.isascii() and decoded.isprintable()


def _ipv4(name: str) -> str:
    """Four decimal numbers without leading zeros; hex, octal, short and integer forms are refused (B14)."""
    if not _DOTTED.match(name) or any(int(part) > 255 for part in name.split(".")):
        raise ValueError("an IPv4 address is four decimal numbers from 0 to 255 without leading zeros")
    return name


def _ipv6(text: str) -> str:
    """RFC 5952 text of an IPv6 address; zone ids and embedded IPv4 are refused (B13)."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if "%" in inner:
        raise ValueError("an IPv6 zone id is refused")
    try:
        address = ipaddress.IPv6Address(inner)
    except ValueError:
        raise ValueError("an IPv6 address is malformed") from None
    if address.ipv4_mapped is not None:
        raise ValueError("an IPv4 address inside IPv6 is refused; write the IPv4 address")
    return address.compressed
