"""On which line a key of a TOML file stands: `tomllib` tells values only, a person needs the place. Pure.

Reads files that `tomllib` has accepted, so it follows their shape and judges nothing.
"""

import re
from collections.abc import Iterator

Path = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_HEADER = re.compile(rf"\s*\[\[?\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]\]?\s*(?:#.*)?\Z")
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=\s*(.*)\Z", re.DOTALL)
_PARTS = re.compile(_PART)
_OPENERS = ('"""', "'''")


def lines(text: str) -> dict[Path, int]:
    """Path of every table and key -> number of its line, from 1. One inside an inline table has the table's line."""
    found: dict[Path, int] = {}
    table: Path = ()
    for number, line in _outside(text):
        if header := _HEADER.match(line):
            table = _path(header[1])
            for end in range(1, len(table) + 1):
                found.setdefault(table[:end], number)
        elif key := _KEY.match(line):
            path = table + _path(key[1])
            for end in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:end], number)
    return found


def line_of(found: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it; 0 where there is none."""
    for end in range(len(path), 0, -1):
        if path[:end] in found:
            return found[path[:end]]
    return 0


def _outside(text: str) -> Iterator[tuple[int, str]]:
    """The numbered lines that begin outside multi-line strings and arrays."""
    closer, depth = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if closer:
            end = line.find(closer)
            closer = "" if end >= 0 else closer
            continue
        if not depth:
            yield number, line
        found = _KEY.match(line)
        value = found[2] if found and not depth else line if depth else ""
        for opener in _OPENERS:
            if value.count(opener) % 2:
                closer = opener
        depth = max(0, depth + _balance(value)) if not closer else depth


def _balance(value: str) -> int:
    """Open brackets minus closed ones, without those in strings and comments."""
    bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", "", value).partition("#")[0]
    return bare.count("[") - bare.count("]")


def _path(text: str) -> Path:
    return tuple(part.strip("\"'") for part in _PARTS.findall(text))
