"""What a path of the past looks like: which of its segments are ids, and which expression covers what came so far.

An expression is never wider than what was seen asks for: typed (number, hash, uuid, version) where every value is of
that type, else with the letters, the ends and about the length that were seen. A segment stays a segment.
"""

import re

NUMBER = "[0-9]{1,20}"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
VERSION = r"v?[0-9]{1,5}(?:\.[0-9]{1,8}){1,3}(?:[.+-]?[A-Za-z0-9]{1,16}){0,2}"
_KINDS = (
    (re.compile(r"[0-9]{1,20}\Z"), NUMBER),
    (re.compile(UUID + r"\Z"), UUID),
    (re.compile(VERSION + r"\Z"), VERSION),
)
_HEX = re.compile(r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]{7,128}\Z")
_EDGE = re.compile(r"[^A-Za-z0-9]")
_SETS = (("a-z", re.compile("[a-z]")), ("A-Z", re.compile("[A-Z]")), ("0-9", re.compile("[0-9]")))
_PLAIN = re.compile(r"[A-Za-z0-9._~@+-]+\Z")
_SCOPED = re.compile(r"@[a-z0-9._~-]+%2F[a-z0-9._~-]+\Z")
_SHARD = re.compile(r"[0-9a-f]{2}\Z")
_LONG_HASH = re.compile(r"/[0-9a-f]{30,}")
LONGEST = 64


def kind(segment: str) -> str:
    """The expression of an id that stands for itself; "" for a word."""
    if _HEX.match(segment):
        return f"[0-9a-f]{{{len(segment)}}}"
    return next((text for test, text in _KINDS if test.match(segment)), "")


def is_word(segment: str) -> bool:
    """Whether a segment may be generalised with others at all: a plain name, not an escape or something odd."""
    return len(segment) <= LONGEST and _PLAIN.match(segment) is not None


def is_scoped(segment: str) -> bool:
    """``@scope%2Fname``: one name to its registry, and one segment to everybody."""
    return _SCOPED.match(segment) is not None


def covering(values: list[str]) -> str:
    """One expression for words that were seen in one place: their common ends, their kinds of letters, their length.

    values: two or more words (`is_word`), or all scoped.
    """
    if all(is_scoped(value) for value in values):
        scopes, names = zip(*(value[1:].split("%2F") for value in values), strict=True)
        return f"@{_name(sorted(set(scopes)))}%2F{_name(sorted(set(names)))}"
    kinds = {kind(value) for value in values}
    if len(kinds) == 1 and kinds != {""}:
        return kinds.pop()
    return _name(values)


def shard(segment: str, path: str) -> str:
    """``[0-9a-f]{2}`` for a part of a directory tree by hash, which only the hash behind it tells from a number."""
    return "[0-9a-f]{2}" if _SHARD.match(segment) and _LONG_HASH.search(path) else ""


def _name(values: list[str]) -> str:
    if len(values) == 1:
        return escaped(values[0])
    tail = _ending(values)
    stems = [value[: len(value) - len(tail)] for value in values]
    letters = "".join(name for name, test in _SETS if any(test.search(stem) for stem in stems))
    if "a-z" in letters and "0-9" not in letters:
        letters += "0-9"  # a name with a digit is a name of the same kind
    marks = {mark for stem in stems for mark in stem if not mark.isalnum()}
    longest = max(map(len, stems))
    if longest <= 4 and not marks and all(len(stem) == longest for stem in stems):
        return f"[{letters}]{{{longest}}}{escaped(tail)}"
    marks |= {".", "_", "-"}  # what names are made of
    most = min(LONGEST, 2 * longest + 8)
    return f"[{letters}{''.join(sorted(marks - {'-'}))}-]{{1,{most}}}{escaped(tail)}"


def escaped(text: str) -> str:
    """A text as an expression that stands for it alone, no more marked than needed."""
    return re.sub(r"([.+*?()\[\]{}^$|\\])", r"\\\1", text)


def _ending(values: list[str]) -> str:
    """What all have at the end, from a mark on: ``.html``; "" where one of them is nothing else."""
    tail = values[0]
    for value in values[1:]:
        while not value.endswith(tail):
            tail = tail[1:]
    found = _EDGE.search(tail)
    tail = tail[found.start() :] if found else ""
    return tail if all(len(value) > len(tail) for value in values) else ""
