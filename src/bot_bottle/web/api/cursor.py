"""Opaque cursors: a list goes on where the last page ended, also when new entries came meanwhile."""

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from bot_bottle.web.problem import WebFault

T = TypeVar("T")


def encode(position: Any) -> str:
    """A cursor that stands for this position (a tuple of plain values)."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).decode().rstrip("=")


def decode(cursor: str, kind: type[T]) -> T:
    """The position of a cursor. Raises WebFault 422 for one that we did not make."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise WebFault(422, "web.cursor", "This cursor is not one of ours.", "Start without a cursor.") from None
