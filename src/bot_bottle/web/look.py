"""How values look on a page: sizes, ages, times, targets, all as short text. Pure; the templates' filters.

Whatever a stranger wrote goes through `visible` first (B73): no control, bidi or zero-width character reaches a page,
and nothing is longer than a row can bear. HTML is jinja2's to escape; nothing here returns markup.
"""

import datetime
import re
from collections.abc import Callable, Iterable

from bot_bottle.base.text import visible
from bot_bottle.supervise.sentence import methods

_THIN = "\u202f"
_WORDS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "gov", "net", "org", "or", "ne", "go", "gob", "nom"))
_NS = 1_000_000_000
_MEDIA = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,60}/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}\Z")
_SUSPECT = re.compile(
    r"(?:\\u\{[0-9a-f]{1,6}\})+"
    r"|-----BEGIN [A-Z ]{3,40}-----"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|sk-|xox[abprs]-|npm_|pypi-|AKIA|ASIA|AIza)[A-Za-z0-9_\-]{8,200}"
    r"|\beyJ[A-Za-z0-9_\-]{10,400}\.[A-Za-z0-9_\-]{4,400}"
)


def count(number: int) -> str:
    """``48 333``: thousands set apart by a thin space."""
    return f"{number:,}".replace(",", _THIN)


def word(number: int) -> str:
    """``Five`` up to twelve, then digits: for the statement that opens a page."""
    return _WORDS[number] if 0 <= number < len(_WORDS) else count(number)


def size(number: int) -> str:
    """Bytes with their unit, in thousands: ``0``, ``812 B``, ``2.1 KB``, ``115 MB``."""
    if number <= 0:
        return "0"
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    text = f"{value:.1f}" if unit and value < 9.95 else f"{value:.0f}"
    return f"{text.removesuffix('.0')} {_UNITS[unit]}"


def span(ns: int) -> str:
    """A duration as a person says it: ``8 s``, ``18 min``, ``1 h 12``, ``3 d``."""
    seconds = max(0, ns) // _NS
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        minutes = seconds % 3600 // 60
        return f"{seconds // 3600} h {minutes:02}" if minutes else f"{seconds // 3600} h"
    return f"{seconds // 86400} d"


def left(ns: int) -> str:
    """What is left of a deadline, ``4:12``; over an hour ``1:04:12``."""
    seconds = max(0, ns) // _NS
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


def clock(ns: int) -> str:
    """Time of day here, ``14:31:48``. The page's script sets it to the viewer's zone."""
    return _local(ns).strftime("%H:%M:%S") if ns else ""


def day(ns: int) -> str:
    """``2026-11-25 14:31``, here."""
    return _local(ns).strftime("%Y-%m-%d %H:%M") if ns else ""


def iso(ns: int) -> str:
    """RFC 3339 in UTC, for ``datetime`` attributes."""
    return datetime.datetime.fromtimestamp(ns / _NS, datetime.UTC).isoformat(timespec="milliseconds") if ns else ""


def ms(ns: int) -> int:
    """Epoch milliseconds, as scripts count."""
    return ns // 1_000_000


def short(digest: str, ends: int = 4) -> str:
    """``7c1e…a90b``: a digest that is only to be recognised."""
    text = visible(digest, 200)
    return text if len(text) <= 2 * ends + 1 else f"{text[:ends]}…{text[-ends:]}"


def safe(text: object, limit: int = 300) -> str:
    """A stranger's text in one piece, made visible and cut."""
    return visible(str(text), limit)


def host_parts(host: str) -> tuple[str, str]:
    """(subdomain with its dot, registrable domain): the eye is to land on who receives. A guess without the public
    suffix list: two labels, three below a two-letter country's ``co``, ``com`` and the like. Addresses stay whole."""
    name = visible(host, 120)
    labels = name.split(".")
    if ":" in name or "[" in name or labels[-1].isdigit() or len(labels) < 3:
        return "", name
    keep = 3 if len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL else 2
    if len(labels) <= keep:
        return "", name
    return ".".join(labels[:-keep]) + ".", ".".join(labels[-keep:])


def target_host(target: str) -> str:
    """The host of a record's target ``https://host:port``; the default port is left out."""
    scheme, found, rest = target.partition("://")
    authority = rest.partition("/")[0] if found else target
    for default, port in (("https", ":443"), ("http", ":80")):
        if scheme == default:
            authority = authority.removesuffix(port)
    return authority


def path_parts(path: str, limit: int = 400) -> tuple[str, str]:
    """(head, tail) of a path: the tail stays when a row cuts it in the middle."""
    text = visible(path, limit)
    at = text.rfind("/", 1)
    if at < 0 or len(text) < 24:
        return text, ""
    at = max(at, len(text) - 32)
    return text[:at], text[at:]


def pieces(text: str, names: Iterable[str], facts: Iterable[str] = ()) -> list[tuple[str, str]]:
    """A sentence in parts: ``name`` is set in mono (bottle, host), ``fact`` strong (size, cause), "" is plain. Each
    is looked for once, in this order: a host that is called like a word of ours changes nothing."""
    parts = [(text, "")]
    for needle, kind in [*((one, "name") for one in names), *((one, "fact") for one in facts)]:
        for index, (part, known) in enumerate(parts):
            before, found, after = part.partition(needle) if needle and not known else ("", "", "")
            if found:
                parts[index : index + 1] = [(before, ""), (found, kind), (after, "")]
                break
    return [part for part in parts if part[0]]


def media(text: str) -> str:
    """The media type of a content type, ``text/plain``; "" where it is none: then it is a stranger's sentence."""
    kind = text.partition(";")[0].strip()
    return kind if _MEDIA.match(kind) else ""


def suspects(text: str) -> list[tuple[str, bool]]:
    """Held bytes in parts, with what deserves eyes marked: characters that nobody sees (they stand as ``\\u{…}``) and
    what looks like a key. Only a help for reading: what leaves a bottle is checked in its gateway."""
    parts: list[tuple[str, bool]] = []
    at = 0
    for found in _SUSPECT.finditer(text):
        parts += [(text[at : found.start()], False), (found.group(), True)]
        at = found.end()
    return [part for part in (*parts, (text[at:], False)) if part[0]]


def _local(ns: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ns / _NS).astimezone()


FILTERS: dict[str, Callable[..., object]] = {
    "count": count, "word": word, "size": size, "span": span, "left": left, "clock": clock, "day": day, "iso": iso,
    "ms": ms, "short": short, "safe": safe, "host_parts": host_parts, "target_host": target_host,
    "path_parts": path_parts, "pieces": pieces, "suspects": suspects,
    "media": media, "methods": methods,
}  # fmt: skip
