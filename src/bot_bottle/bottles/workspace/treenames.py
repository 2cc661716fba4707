"""File names that never leave a bottle's tree (F24): pure.

What a case-folding, HFS+ or NTFS filesystem would take for ``.git`` must not be written for anybody, and a name that
is no UTF-8 cannot be shown or recorded.
"""

import os
import unicodedata

_HFS_IGNORED = {0x200C, 0x200D, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF}


def refused_name(path: str) -> str:
    """Why this relative path is never taken from a bottle's tree, or "". `path`: file system string."""
    try:
        os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        return "its name is not UTF-8"
    if any(_is_git(part) for part in path.split("/")):
        return "its name stands for a git directory"
    if any(ord(c) < 32 or ord(c) == 127 for c in path):
        return "its name holds a control character"
    if any("\\" in part or len(os.fsencode(part)) > 255 for part in path.split("/")) or len(path) > 4000:
        return "its name does not fit other systems"
    return ""


def _is_git(name: str) -> bool:
    plain = "".join(c for c in unicodedata.normalize("NFC", name) if ord(c) not in _HFS_IGNORED).lower()
    plain = plain.split(":", 1)[0].rstrip(". ")  # NTFS: streams, trailing dots and blanks
    return plain in (".git", "git~1", "git~2", "git~3", "git~4")
