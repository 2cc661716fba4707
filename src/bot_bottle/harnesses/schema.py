"""Finds every fault of a raw value against a msgspec type at once: unknown keys, missing keys, wrong types.

msgspec stops at the first; a person wants all of them, each with the nearest key and its line. Pure.
"""

import difflib
import functools
import re
from collections.abc import Iterator
from typing import Any, Literal, Union, cast

import msgspec
from msgspec import inspect

from bot_bottle.base.errors import Problem

Raw = dict[str, Any]


def problems(value: object, model: type, file: str, text: str) -> list[Problem]:
    """All faults, in file order. text: the source, used to find the line of a key."""
    found = _walk(value, _tree(model), "")
    out = [Problem(slug, what, file, line_of(text, key), hint) for slug, what, key, hint in found]
    return sorted(out, key=lambda problem: problem.line)


@functools.cache
def _tree(model: type) -> inspect.Type:
    """Costly to make, and the same for every file."""
    return inspect.type_info(model)


def nearest(word: str, known: list[str]) -> str:
    """``did you mean X?`` or the list of what is known."""
    close = difflib.get_close_matches(word, known, 1, 0.6)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(known))}"


def line_of(text: str, key: str) -> int:
    """The line where this dotted key is written, 0 when it cannot be told. The last part decides."""
    last = re.escape(key.rsplit(".", 1)[-1].split("[")[0])
    if not last:
        return 0
    pattern = re.compile(rf"""(?:^|[\s{{,.\[])["']?{last}["']?\s*[=\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)), 0)


Found = tuple[str, str, str, str]


def _walk(value: object, kind: inspect.Type, at: str) -> Iterator[Found]:
    """(slug, what, dotted key, hint) of every fault under `at`."""
    if isinstance(kind, inspect.StructType):
        yield from _struct(value, kind, at)
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType) and isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            yield from _walk(item, kind.item_type, f"{at}[{index}]")
    elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
        for key, item in cast("Raw", value).items():
            yield from _walk(item, kind.value_type, f"{at}.{key}")
    elif isinstance(kind, inspect.UnionType) and isinstance(value, dict):
        struct = next((part for part in kind.types if isinstance(part, inspect.StructType)), None)
        table = cast("Raw", value)
        yield from _walk(table, struct, at) if struct else _leaf(table, kind, at)
    else:
        yield from _leaf(value, kind, at)


def _struct(value: object, kind: inspect.StructType, at: str) -> Iterator[Found]:
    if not isinstance(value, dict):
        yield "wrong-type", f"{at or 'the file'} must be a table", at, ""
        return
    raw = cast("Raw", value)
    fields = {field.encode_name: field for field in kind.fields}
    for key in raw:
        if key not in fields:
            yield "unknown-key", f"unknown key {_join(at, key)}", _join(at, key), nearest(key, list(fields))
    for name, field in fields.items():
        if name in raw:
            yield from _walk(raw[name], field.type, _join(at, name))
        elif field.required:
            yield "missing-key", f"{_join(at, name)} is missing", at, ""


def _leaf(value: object, kind: inspect.Type, at: str) -> Iterator[Found]:
    try:
        msgspec.convert(value, _python_type(kind), strict=True)
    except msgspec.ValidationError as error:
        yield "wrong-type", f"{at}: {str(error)[:1].lower()}{str(error)[1:]}", at, _allowed(kind)


def _allowed(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.UnionType):
        return next((told for part in kind.types if (told := _allowed(part))), "")
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(str(value) for value in kind.values)
    return ""


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _python_type(kind: inspect.Type) -> Any:
    """The Python type behind a leaf of the type tree (only what our models use)."""
    if isinstance(kind, inspect.LiteralType):
        return Literal[kind.values]
    if isinstance(kind, inspect.UnionType):
        return Union[tuple(_python_type(part) for part in kind.types)]  # noqa: UP007 - built at run time
    simple: dict[type, Any] = {
        inspect.StrType: str,
        inspect.IntType: int,
        inspect.BoolType: bool,
        inspect.FloatType: float,
        inspect.NoneType: None,
        inspect.VarTupleType: list[Any],
        inspect.ListType: list[Any],
        inspect.DictType: dict[str, Any],
    }
    return simple.get(type(kind), Any)
