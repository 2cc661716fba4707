"""Compares a YAML tree with a model and reports everything that does not fit at once, with its line.

What fits comes out as plain values for `msgspec.convert`, so that the model stays the only description of a manifest.
"""

import difflib
from typing import Any, cast

import msgspec
from msgspec import inspect

from bot_bottle.base.errors import Problem
from bot_bottle.base.text import visible
from bot_bottle.policy.syntax import CHECKS
from bot_bottle.policy.yaml12 import Items, Node, Scalar, Table

_KINDS = {Scalar: "a single value", Items: "a list", Table: "keys and values"}


class Walk:
    """One pass over one file. offset: lines before the YAML block. ignored: unknown keys that are passed over."""

    def __init__(self, file: str, offset: int, ignored: frozenset[str] = frozenset()) -> None:
        self.file = file
        self.offset = offset
        self.ignored = ignored
        self.problems: list[Problem] = []

    def add(self, slug: str, what: str, line: int, hint: str = "") -> None:
        """Notes one problem at a line of the YAML block."""
        self.problems.append(Problem(f"manifest.{slug}", visible(what), self.file, line + self.offset, hint))

    def value(self, node: Node, kind: inspect.Type, where: str) -> Any:
        """The plain value of a node by a type; None where it does not fit."""
        kind, syntax = _bare(kind)
        if isinstance(kind, inspect.UnionType):
            kind, syntax = _choose(node, kind)
        if isinstance(kind, inspect.StructType):
            return self._struct(node, kind, where)
        if isinstance(kind, inspect.DictType):
            return self._dict(node, kind, where)
        if isinstance(kind, inspect.ListType):
            return self._list(node, kind, where)
        return self._scalar(node, kind, where, syntax)

    def _struct(self, node: Node, kind: inspect.StructType, where: str) -> Any:
        if isinstance(node, Scalar) and node.plain and not node.text and not _required(kind):
            return {}
        if not isinstance(node, Table):
            return self._wrong(node, "keys and values", where)
        fields = {field.encode_name: field for field in kind.fields}
        out: dict[str, Any] = {}
        for key, child in node.entries.items():
            if key in fields:
                out[key] = self.value(child, fields[key].type, _join(where, key))
            elif where or key not in self.ignored:
                self.add("unknown-key", f"unknown key {_join(where, key)}", node.lines[key], nearest(key, fields))
        for field in _required(kind):
            if field.encode_name not in node.entries:
                self.add("missing-key", f"{_join(where, field.encode_name)} is missing", node.line)
        return out

    def _dict(self, node: Node, kind: inspect.DictType, where: str) -> Any:
        if not isinstance(node, Table):
            return self._wrong(node, "keys and values", where)
        out: dict[str, Any] = {}
        for key, child in node.entries.items():
            key_kind, syntax = _bare(kind.key_type)
            self._scalar(Scalar(node.lines[key], key, False), key_kind, _join(where, key), syntax)
            out[key] = self.value(child, kind.value_type, _join(where, key))
        return out

    def _list(self, node: Node, kind: inspect.ListType, where: str) -> Any:
        if not isinstance(node, Items):
            return self._wrong(node, "a list, like [a, b]", where)
        if kind.min_length and len(node.items) < kind.min_length:
            self.add("too-short", f"{where} is empty", node.line)
        return [self.value(item, kind.item_type, f"{where}[{index}]") for index, item in enumerate(node.items)]

    def _scalar(self, node: Node, kind: inspect.Type, where: str, syntax: str) -> Any:
        if not isinstance(node, Scalar):
            return self._wrong(node, _wanted(kind), where)
        value = node.value()
        if isinstance(kind, inspect.StrType) and value is not None:
            return self._text(node, kind, where, syntax)
        if isinstance(kind, inspect.LiteralType):
            return self._literal(node, kind, where)
        fits = type(value) is bool if isinstance(kind, inspect.BoolType) else _is_number(value, kind)
        if not fits:
            return self._wrong(node, _wanted(kind), where)
        if isinstance(kind, inspect.IntType | inspect.FloatType):
            self._range(node, kind, where, cast("float", value))
        return value

    def _text(self, node: Scalar, kind: inspect.StrType, where: str, syntax: str) -> str:
        if kind.max_length and len(node.text) > kind.max_length:
            self.add("too-long", f"{where} is longer than {kind.max_length} characters", node.line)
        if syntax:
            try:
                CHECKS[syntax](node.text)
            except ValueError as error:
                self.add("bad-value", f"{where}: {node.text!r} does not fit: {error}", node.line)
        return node.text

    def _literal(self, node: Scalar, kind: inspect.LiteralType, where: str) -> Any:
        value = node.value() if any(isinstance(one, int) for one in kind.values) else node.text
        if value not in kind.values or type(value) not in (str, int):
            known = [str(one) for one in kind.values]
            hint = nearest(node.text, known) or f"one of {', '.join(known)}"
            self.add("bad-value", f"{where}: {node.text!r} is not known here", node.line, hint)
        return value

    def _range(self, node: Scalar, kind: inspect.IntType | inspect.FloatType, where: str, value: float) -> None:
        low = (kind.ge is not None and value < kind.ge) or (kind.gt is not None and value <= kind.gt)
        if low or (kind.le is not None and value > kind.le):
            least = f"at least {kind.ge}" if kind.ge is not None else f"more than {kind.gt}"
            most = f", at most {kind.le}" if kind.le is not None else ""
            self.add("bad-value", f"{where}: {node.text} is out of range", node.line, least + most)

    def _wrong(self, node: Node, wanted: str, where: str) -> None:
        found = repr(node.text) if isinstance(node, Scalar) else _KINDS[type(node)]
        self.add("wrong-type", f"{where or 'the front matter'} must be {wanted}, not {found}", node.line)


def nearest(word: str, known: Any) -> str:
    """``did you mean X?``, or "" where nothing is near."""
    close = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"did you mean {close[0]}?" if close else ""


_SCALARS = (inspect.StrType, inspect.IntType, inspect.FloatType, inspect.BoolType, inspect.LiteralType)


def _required(kind: inspect.StructType) -> list[inspect.Field]:
    return [field for field in kind.fields if field.required and field.default is msgspec.NODEFAULT]


def _bare(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """The type without its annotations, and the name of its syntax."""
    syntax = ""
    while isinstance(kind, inspect.Metadata):
        extra = cast("dict[str, str]", kind.extra or {})
        syntax = extra.get("syntax", syntax)
        kind = kind.type
    return kind, syntax


def _choose(node: Node, kind: inspect.UnionType) -> tuple[inspect.Type, str]:
    """The branch of ``text | keys`` that a node means."""
    wanted = {Scalar: _SCALARS, Items: (inspect.ListType,), Table: (inspect.StructType,)}[type(node)]
    branches = [_bare(branch) for branch in kind.types]
    return next((branch for branch in branches if isinstance(branch[0], wanted)), branches[0])


def _is_number(value: object, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.FloatType):
        return type(value) in (int, float)
    return isinstance(kind, inspect.IntType) and type(value) is int


def _wanted(kind: inspect.Type) -> str:
    names: dict[type[inspect.Type], str] = {
        inspect.StrType: "text",
        inspect.IntType: "a whole number",
        inspect.FloatType: "a number",
        inspect.BoolType: "true or false",
    }
    return names.get(type(kind), "one word")


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
