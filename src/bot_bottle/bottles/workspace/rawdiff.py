"""Parser of ``git diff-tree -r -z --raw --no-abbrev --no-renames`` output. Pure; fuzzed (fuzz/fuzz_rawdiff.py).

Format (git-diff(1), RAW OUTPUT FORMAT): ``:100644 100755 OLD NEW M\\0path\\0``; modes of six octal digits, object
names of 40 hexadecimal digits, zeros where a side has none.
"""

import re
from typing import NamedTuple

_HEAD = re.compile(rb":([0-7]{6}) ([0-7]{6}) ([0-9a-f]{40}) ([0-9a-f]{40}) ([AMDT])\Z")
NONE = "0" * 40
MODES = {"000000", "100644", "100755", "120000", "160000"}


class RawChange(NamedTuple):
    """status: A added, M modified, D deleted, T another type. path: bytes as git stores them."""

    old_mode: str
    new_mode: str
    old: str
    new: str
    status: str
    path: bytes


class RawDiffError(ValueError):
    """The bytes are not what git writes."""


def parse_raw(data: bytes) -> list[RawChange]:
    """All changes, in order. Raises RawDiffError."""
    if not data:
        return []
    if not data.endswith(b"\0"):
        raise RawDiffError("truncated")
    fields = data[:-1].split(b"\0")
    if len(fields) % 2:
        raise RawDiffError("a path is missing")
    return [_change(head, path) for head, path in zip(fields[::2], fields[1::2], strict=True)]


def _change(head: bytes, path: bytes) -> RawChange:
    found = _HEAD.match(head)
    if not found:
        raise RawDiffError("not a raw diff line")
    old_mode, new_mode, old, new, status = (part.decode("ascii") for part in found.groups())
    if old_mode not in MODES or new_mode not in MODES:
        raise RawDiffError("a mode that git trees do not have")
    if (old_mode == "000000") != (status == "A") or (new_mode == "000000") != (status == "D"):
        raise RawDiffError("status and modes disagree")
    if (old == NONE) != (status == "A") or (new == NONE) != (status == "D"):
        raise RawDiffError("status and object names disagree")
    if not path or path.startswith(b"/") or any(part in (b"", b".", b"..") for part in path.split(b"/")):
        raise RawDiffError("a path that is not below the root")
    return RawChange(old_mode, new_mode, old, new, status, path)
