"""What of headers and bodies may enter a record at each level of `egress.log`, and that no secret ever does. Pure.

A decision is recorded at every level. off: no header names, no values, no bodies. blocks: header names and the
values that routes match on. full: bodies as well, in pieces. At each level the whole record is searched for every
known secret before anything is cut, because half a secret is no longer found (B48); where one stands, each text is
cleaned on its own, and if the line still holds one, all texts of the stranger are dropped.
"""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from bot_bottle.audit.encode import BODY_PIECE, encode, uncut
from bot_bottle.audit.record import Kind, Record

OFF, BLOCKS, FULL = "off", "blocks", "full"
GONE = "[removed]"


class Needles(Protocol):
    """What `inspect.scrub.Scrubber` offers: known secrets in every encoding."""

    def contains_secret(self, data: bytes) -> str | None: ...

    def clean(self, data: bytes) -> bytes: ...


def enter(record: Record, level: str, needles: Needles) -> bytes | None:
    """The line of the record at this level, without a secret; None for a record that the level does not take."""
    if record.kind == Kind.BODY and level != FULL:
        return None
    reduced = reduce(record, level)
    if needles.contains_secret(uncut(reduced)) is None:
        line = encode(reduced)
        return line if needles.contains_secret(line) is None else encode(bare(reduced))
    line = encode(cleaned(reduced, needles))
    return line if needles.contains_secret(line) is None else encode(bare(reduced))


def reduce(record: Record, level: str) -> Record:
    """The record without what the level leaves out."""
    if level == OFF and (record.headers or record.matched):
        return msgspec.structs.replace(record, headers=(), matched={})
    return record


def cleaned(record: Record, needles: Needles) -> Record:
    """Each text of a stranger without secrets; `findings` says that something was removed."""

    def clean(text: str) -> str:
        return needles.clean(text.encode("utf-8", "backslashreplace")).decode("utf-8", "replace")

    return msgspec.structs.replace(
        record,
        target=clean(record.target),
        method=clean(record.method),
        path=clean(record.path),
        query_names=_each(record.query_names, clean),
        headers=_each(record.headers, clean),
        matched=_pairs(record.matched, clean),
        reason=clean(record.reason),
        findings=(*_each(record.findings, clean), "secret-removed"),
        address=clean(record.address),
        detail=_pairs(record.detail, clean),
    )


def bare(record: Record) -> Record:
    """The decision with all texts of the stranger dropped: the last resort."""
    return msgspec.structs.replace(
        record,
        target=GONE,
        method=GONE,
        path=GONE,
        query_names=(),
        headers=(),
        matched={},
        findings=("secret-removed",),
        address="",
        detail={},
    )


def body(template: Record, data: bytes, needles: Needles) -> list[Record]:
    """The records of a body (level full): cleaned as a whole, then cut into pieces that fit a line."""
    text = needles.clean(data).decode("utf-8", "backslashreplace")
    size = BODY_PIECE if text.isascii() and text.isprintable() else BODY_PIECE // 4
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [
        msgspec.structs.replace(template, kind=Kind.BODY, count=number, detail={"body": piece})
        for number, piece in enumerate(pieces)
    ]


class _Clean(Protocol):
    def __call__(self, text: str) -> str: ...


def _each(texts: Iterable[str], clean: _Clean) -> tuple[str, ...]:
    return tuple(clean(text) for text in texts)


def _pairs(pairs: dict[str, str], clean: _Clean) -> dict[str, str]:
    return {clean(key): clean(value) for key, value in pairs.items()}
