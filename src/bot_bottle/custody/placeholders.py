"""The lookalike that an agent holds: same prefix, alphabet and length as the vendor's real format, worth nothing.

A shape comes from the harness file: text with fields, ``sk-ant-api03-{93}``; a field may name its alphabet:
``{40:hex}``, ``{36:base62}``, ``{43:url}``, ``{12:digits}``. The default is base64url without padding.
"""

import re
from collections.abc import Callable

_FIELD = re.compile(r"\{(\d{1,4})(?::([a-z0-9]+))?\}")
_BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
ALPHABETS = {
    None: _BASE62 + "-_",
    "url": _BASE62 + "-_",
    "base62": _BASE62,
    "base64": _BASE62 + "+/",
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "digits": "0123456789",
    "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "lower": "abcdefghijklmnopqrstuvwxyz0123456789",
}
MAXIMUM = 4096


def check_shape(shape: str) -> None:
    """Raises ValueError where a shape is not one: no field, unknown alphabet, too long, or unsafe characters."""
    fields = list(_FIELD.finditer(shape))
    rest = _FIELD.sub("", shape)
    if not fields or re.search(r"[{}\s\x00-\x1f\x7f]", rest):
        raise ValueError(f"{shape!r} is not a placeholder shape; write one like sk-ant-api03-{{93}}")
    for field in fields:
        if field[2] not in ALPHABETS:
            raise ValueError(f"{field[2]!r} is not an alphabet; use one of {', '.join(filter(None, ALPHABETS))}")
    if sum(int(field[1]) for field in fields) + len(rest) > MAXIMUM:
        raise ValueError(f"a placeholder has at most {MAXIMUM} characters")


def placeholder(shape: str, random: Callable[[int], bytes]) -> str:
    """A new placeholder of this shape. random(n): n random bytes. Raises ValueError as `check_shape`."""
    check_shape(shape)
    return _FIELD.sub(lambda field: _characters(int(field[1]), ALPHABETS[field[2]], random), shape)


def generic(name: str, random: Callable[[int], bytes]) -> str:
    """A placeholder for a secret without a shape: it says what it is."""
    return placeholder(f"bot-bottle-{name}-{{24:base62}}", random)


def _characters(count: int, alphabet: str, random: Callable[[int], bytes]) -> str:
    numbers = random(4 * count)
    picked = (int.from_bytes(numbers[at : at + 4], "big") % len(alphabet) for at in range(0, 4 * count, 4))
    return "".join(alphabet[index] for index in picked)
