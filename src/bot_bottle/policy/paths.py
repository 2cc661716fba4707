"""The one spelling of a request path: what matches is what is sent (B32, D24).

Percent-encoding of unreserved characters is undone, dot segments and empty segments are resolved, and whatever a
second reader could read as another path (backslash, a second decoding, encoded dots behind an encoded slash, path
parameters on dots, overlong UTF-8) is refused.
"""

import re
from urllib.parse import unquote_to_bytes

_PLAIN = re.compile(r"/[A-Za-z0-9\-_~.!$&'()*+,=:@/]*\Z")
_ACCEPTED = re.compile(r"/(?:[!$&-;=@-\[\]-z~|{}<>\"^`]|%[0-9A-Fa-f]{2})*\Z")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_TO_ESCAPE = re.compile(r"[\"<>\[\]^`{|}]")
_TWICE = re.compile(r"%25[0-9A-Fa-f]{2}")
_FORBIDDEN = re.compile(r"%(?:[01][0-9A-F]|7F|5C)")
_CUT = re.compile(r"[#?]")
_AT_END = (".", "%20")
_SLASHES = re.compile(r"//+")
_SLASH = re.compile(r"/|%2F")


def canonical_path(raw: str) -> str:
    """The path of an origin-form target (no query) as it is matched, recorded and sent; idempotent.

    Raises ValueError, one sentence with the reason. Source: RFC 3986 6.2.2.
    """
    if _PLAIN.match(raw) and "//" not in raw and "/." not in raw:
        return raw
    if not _ACCEPTED.match(raw):
        raise ValueError("a path is a slash and printable ASCII without backslash or broken escapes")
    path = _TO_ESCAPE.sub(lambda found: f"%{ord(found[0]):02X}", _ESCAPE.sub(_unescape, raw))
    if _TWICE.search(path):
        raise ValueError("a path still decodes after one pass")
    if _FORBIDDEN.search(path):
        raise ValueError("a path holds an encoded control character or backslash")
    if "%" in path:
        _check_utf8(path)
    path = _resolve(path)
    _check_segments(path)
    return path


def loose_views(path: str) -> tuple[str, ...]:
    """How a lenient server might read a canonical path, in lower case: for deny rules only.

    Decoded; without ``;`` parameters; without the last slash; each segment without dots and spaces at its end, as
    Windows opens files, and without what follows a decoded ``#`` or ``?``. Many servers ignore case (github.com:
    owner and repository), so a deny rule that another case slips past is none.
    """
    low = path.lower()
    views = [low]
    if "%" in low or ";" in low:
        decoded = unquote_to_bytes(low).decode("utf-8", "replace").lower()
        views += [decoded, re.sub(r";[^/]*", "", decoded), _CUT.split(decoded, maxsplit=1)[0]]
    if any(mark in low for mark in _AT_END):
        views += [_trimmed(view) for view in views]
    return tuple(dict.fromkeys([*views, *(view[:-1] for view in views if len(view) > 1 and view[-1] == "/")]))


def _trimmed(path: str) -> str:
    return _SLASHES.sub("/", "/".join(segment.rstrip(". ") for segment in path.split("/")))


def _unescape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else f"%{found[1].upper()}"


def _check_utf8(path: str) -> None:
    """Overlong and broken sequences hide ``.`` and ``/`` from a strict reader."""
    try:
        unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("a path holds encoded bytes that are not UTF-8") from None


def _resolve(path: str) -> str:
    """RFC 3986 5.2.4, with empty segments merged."""
    out: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            out[-1:] = []
        elif segment not in ("", "."):
            out.append(segment)
    closed = "/" if out and segments[-1] in ("", ".", "..") else ""
    return "/" + "/".join(out) + closed


def _check_segments(path: str) -> None:
    """Segments as seen by a reader that also splits at %2F, or drops ``;`` parameters."""
    split = _SLASH.split(path)[1:]
    for position, segment in enumerate(split):
        name = segment.replace("%3B", ";").partition(";")[0]
        if name in (".", "..") or (segment and not name) or (not segment and position < len(split) - 1):
            raise ValueError("a path holds a dot or empty segment behind an encoded slash or a parameter")
        if not segment and position and path.endswith("%2F"):
            raise ValueError("a path ends with an encoded slash")
