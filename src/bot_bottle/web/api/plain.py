"""Why a value does not fit, in plain words: what msgspec says, as a person would say it. Pure."""

import re
import typing
from collections.abc import Callable
from typing import Any, Literal

from bot_bottle.base.text import many

_TYPES = {
    "int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "array": "a list",
    "object": "an object", "null": "nothing",
}  # fmt: skip
_BOUND = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_SAYINGS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"Expected `(.+)`, got `(.+)`"), lambda m: f"It must be {_type(m[1])}, not {_type(m[2])}."),
    (
        re.compile(r"Expected `(array|str)` of length (>=|<=|>|<) (\d+)"),
        lambda m: f"It must have {_BOUND[m[2]]} {many(int(m[3]), 'item' if m[1] == 'array' else 'character')}.",
    ),
    (re.compile(r"Expected `str` matching regex (.+)", re.DOTALL), lambda m: f"It must match the pattern {m[1]}."),
    (re.compile(r"Expected `\w+` (>=|<=|>|<) (.+)"), lambda m: f"It must be {_BOUND[m[1]]} {m[2]}."),
    (re.compile(r"Object contains unknown field `(.+)`"), lambda m: f"There is no field {m[1]} in it."),
    (re.compile(r"Object missing required field `(.+)`"), lambda m: f"Its field {m[1]} is missing."),
)


def plain(said: str, kind: Any) -> str:
    """One sentence. said: of msgspec, without the place. kind: of the field."""
    if said.startswith("Invalid enum value") and (choices := _choices(kind)):
        return f"It must be one of {', '.join(choices)}."
    for pattern, words in _SAYINGS:
        if match := pattern.fullmatch(said):
            return words(match)
    return f"{said.replace('`', '')}."


def _type(names: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | ") if name != "null") or "nothing"


def _choices(kind: Any) -> list[str]:
    """Words that a field may be: of a Literal, also within Annotated or beside None."""
    if typing.get_origin(kind) is Literal:
        return [f"“{word}”" if not word else str(word) for word in typing.get_args(kind)]
    return [one for part in typing.get_args(kind) if typing.get_origin(part) for one in _choices(part)]
