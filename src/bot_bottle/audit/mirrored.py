"""Signed checkpoints found again in what a sink received, whatever its format: for `log verify --against`.

A note is searched by its shape, with the spellings that our formats give to its line ends and its dash. What is found
proves nothing until its signature is checked with the pinned key; what was altered is no note any more.
"""

import re

_END = rb"(?:\n|\\+n|\\+u\{a\})"
_DASH = rb"(?:\xe2\x80\x94|\\+u2014)"
_NOTE = re.compile(
    rb"(bot-bottle/(?:host|run/[A-Za-z0-9._-]{1,128}))" + _END + rb"(\d{1,19})" + _END + rb"([A-Za-z0-9+/]{43})\\*="
    + _END + _END + _DASH + rb" (bot-bottle/[A-Za-z0-9/._-]{1,160}) ([A-Za-z0-9+/]{20,400}(?:\\*=){0,2})" + _END
)  # fmt: skip


def notes_in(data: bytes) -> list[bytes]:
    """Every signed note, as the log signed it, without repeats, in the order of the file."""
    found: dict[bytes, None] = {}
    for match in _NOTE.finditer(data):
        origin, size, root, name, signature = match.groups()
        plain = signature.replace(b"\\", b"")
        found[b"%b\n%b\n%b=\n\n\xe2\x80\x94 %b %b\n" % (origin, size, root, name, plain)] = None
    return list(found)
