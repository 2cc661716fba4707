"""Looks for a key everywhere that a test can see: files, output, and what the agent could read inside."""

import base64
import os
from pathlib import Path

DUMP = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline > dump.txt 2>/dev/null; env >> dump.txt; cat hello.txt"
SCRIPT = [
    {"do": "write", "path": "hello.txt", "content": "hello from fake model\n"},
    {"do": "bash", "command": DUMP},
    {"text": "Created hello.txt."},
]


def forms(key: str) -> list[bytes]:
    """The key plain, in hex, and in base64 at its three alignments."""
    raw = key.encode()
    aligned = [base64.b64encode(b"\0" * shift + raw)[4:-4] for shift in range(3)]
    return [raw, raw.hex().encode(), *aligned]


def holders(key: str, *roots: Path) -> list[str]:
    """Files under these roots that hold the key in any form. Links are not followed."""
    found: list[str] = []
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink() and any(form in path.read_bytes() for form in forms(key)):
                    found.append(str(path))
    return found
