"""Values of a request -> the typed input of an operation. Everything that does not fit is told at once (RFC 9457)."""

import typing
import urllib.parse
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec

from bot_bottle.base.text import visible
from bot_bottle.web.api.plain import plain
from bot_bottle.web.problem import Misfit, WebFault

T = TypeVar("T", bound=msgspec.Struct)
MOST = 40
"""Errors in one problem; the rest is found at the next try."""
_SAID = 5
_NAME = 100
_LISTS = (list, tuple, set, frozenset)


def fit(
    takes: type[T], values: Mapping[str, Any], strict: bool = False, place: str = "body",
    path: Mapping[str, str] | None = None, wrong: tuple[Misfit, ...] = (),
) -> T:  # fmt: skip
    """The input. strict: a text is no number. place: of `values`: body or query. path: further values, texts of the
    path. wrong: what was found before. Raises WebFault 422 with every misfit."""
    path = path or {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(takes)}
    found = [*wrong, *(misfit(place, (name,), "There is no such field.") for name in values if name not in fields)]
    made: dict[str, Any] = {}
    for name, field in fields.items():
        if name in path:
            found += _misfits(path[name], field.type, False, "path", (name,))
            made[name] = path[name], False
        elif name in values:
            found += _misfits(values[name], field.type, strict, place, (name,))
            made[name] = values[name], strict
        elif field.required:
            found.append(misfit(place, (name,), "It is missing."))
    if found:
        raise refused(found)
    typed = {
        fields[name].name: msgspec.convert(value, fields[name].type, strict=firm)
        for name, (value, firm) in made.items()
    }
    return takes(**typed)


def misfit(place: str, where: tuple[str | int, ...], detail: str) -> Misfit:
    """where: names and numbers from the outside in, cut where they are very long; () is the whole."""
    steps = (str(step)[:_NAME].replace("~", "~0").replace("/", "~1") for step in where)
    pointer = "".join(f"/{urllib.parse.quote(step, safe='~', errors='replace')}" for step in steps)
    return Misfit(place, f"#{pointer}", detail)


def refused(found: list[Misfit]) -> WebFault:
    """The fault of these: its sentence names the first few."""
    said = "; ".join(f"{_label(one)}{one.detail.removesuffix('.')}" for one in found[:_SAID])
    more = f"; and {len(found) - _SAID} more" if len(found) > _SAID else ""
    return WebFault(422, "web.field", f"{said}{more}.", errors=tuple(found[:MOST]))


def _label(one: Misfit) -> str:
    """For people: ``names[1]: ``."""
    steps = (urllib.parse.unquote(step).replace("~1", "/").replace("~0", "~") for step in one.pointer[2:].split("/"))
    first, *rest = (visible(step, _NAME) for step in steps)
    return f"{first}{''.join(f'[{step}]' for step in rest)}: " if first else ""


def _misfits(value: Any, kind: Any, strict: bool, place: str, where: tuple[str | int, ...]) -> list[Misfit]:
    """Of one value; of a list each item's, and where they all fit its own."""
    item = _item(kind)
    if item is not None and isinstance(value, list | tuple):
        items = cast(list[Any], value)
        found = [
            one for number, each in enumerate(items) for one in _misfits(each, item, strict, place, (*where, number))
        ]
        if found:
            return found
    try:
        msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        return [misfit(place, where, plain(str(error).partition(" - at `")[0], kind))]
    return []


def _item(kind: Any) -> Any:
    """The type of the items, None where this is no list."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return typing.get_args(kind)[0] if typing.get_origin(kind) in _LISTS else None
