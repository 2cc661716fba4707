"""Text of strangers, made safe to show (B73): no control, bidi, tag or zero-width characters, bounded length."""

import hashlib
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str, limit: int = 512) -> str:
    """Text with every invisible or directional character as ``\\u{hex}``, cut at `limit` with its digest."""
    if len(text) <= limit and text.isprintable():  # nothing of _HIDDEN is printable
        return text
    out = "".join(c if unicodedata.category(c) not in _HIDDEN else f"\\u{{{ord(c):x}}}" for c in text[: limit + 1])
    return out if len(text) <= limit else f"{out[:limit]}…#{_digest(text)}"


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, then the digest of the whole (D18), so that equal texts stay equal."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}…#{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def many(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
