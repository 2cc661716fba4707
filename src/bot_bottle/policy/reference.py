"""The manifest model as JSON Schema and as reference text: both are made from the types, never written by hand."""

from typing import Any, cast

import msgspec
from msgspec import inspect

from bot_bottle.policy import merge, model

_WINS = """\
Of the routes that match a request, deny beats ask beats allow. Of the allow routes the most specific one gives
auth, limits, address and authority. More specific is, in this order: an exact host before a wildcard; an exact path
before a prefix, a longer prefix before a shorter one, a prefix before an expression, an expression before no path;
more conditions (methods count as one, each header as one). Equal match sets with different auth, address or
authority in one file are an error; where two such routes meet at run time, the request is refused with the reason
`policy.ambiguous-routes`.

A path condition is about the canonical path, which is also what is sent: unreserved characters decoded, dot and
empty segments resolved, the query not included. A prefix covers whole segments: `/v1` covers `/v1` and `/v1/x`, not
`/v1x`; `/v1/` does not cover `/v1`. A path with an encoded slash is allowed only where both of its readings are. A
deny or ask route also holds for the lenient readings of a path (decoded, in another case, without `;` parameters or
the last slash) and for any value of a repeated header; an allow route must hold for every value."""

KINDS: dict[str, type[msgspec.Struct]] = {"bottle": model.Bottle, "agent": model.Agent}


def json_schema(kind: str) -> dict[str, Any]:
    """JSON Schema 2020-12 of the front matter of ``bottle`` or ``agent`` files."""
    schema = msgspec.json.schema(KINDS[kind])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"bot-bottle {kind}", **schema}


def reference() -> str:
    """Text of docs/reference/manifest.md: every key with its type, default and meaning."""
    parts = [
        "# Manifest reference",
        "Markdown files with YAML 1.2 front matter; their fields are the types of `bot_bottle.policy.model`.",
    ]
    for title, kind in (("Bottle files", model.Bottle), ("Agent files", model.Agent)):
        parts += [f"## {title}", kind.__doc__ or "", _table(kind)]
    parts += ["## Which route wins", _WINS, "## How files are merged", _prose(merge.__doc__)]
    return "\n\n".join(parts) + "\n"


def keys(kind: str) -> list[str]:
    """Every dotted key of a manifest, for completion and documentation tests."""
    return [row[0] for row in _rows(KINDS[kind], "")]


def _prose(docstring: str | None) -> str:
    """A module docstring as Markdown."""
    return (docstring or "").strip().replace("``", "`")


def _table(kind: type[msgspec.Struct]) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, shape, default, meaning in _rows(kind, ""):
        lines.append(f"| `{key}` | {shape} | {default} | {meaning} |")
    return "\n".join(lines)


def _rows(kind: type[msgspec.Struct], prefix: str) -> list[tuple[str, str, str, str]]:
    info = cast("inspect.StructType", inspect.type_info(kind))
    rows: list[tuple[str, str, str, str]] = []
    for field in info.fields:
        key = prefix + field.encode_name
        shape, meaning, inner = _shape(field.type)
        rows.append((key + ("[]" if shape.startswith("list") else ""), shape, _default(field), meaning))
        if inner:
            marks = "[]." if shape.startswith("list") else ".NAME." if shape.startswith("map") else "."
            rows += _rows(inner, key + marks)
    return rows


def _shape(kind: inspect.Type) -> tuple[str, str, type[msgspec.Struct] | None]:
    """(type in words, description, struct inside)."""
    meaning = ""
    while isinstance(kind, inspect.Metadata):
        extra = cast("dict[str, str]", kind.extra_json_schema or {})
        meaning = meaning or extra.get("description", "")
        kind = kind.type
    if isinstance(kind, inspect.ListType):
        shape, inner_meaning, inner = _shape(kind.item_type)
        return f"list of {shape}", meaning or inner_meaning, inner
    if isinstance(kind, inspect.DictType):
        shape, _, inner = _shape(kind.value_type)
        return f"map to {shape}", meaning, inner
    if isinstance(kind, inspect.UnionType):
        found = [_shape(branch) for branch in kind.types]
        return " or ".join(one[0] for one in found), meaning, next((one[2] for one in found if one[2]), None)
    if isinstance(kind, inspect.StructType):
        return "keys", meaning or (kind.cls.__doc__ or ""), kind.cls
    return _leaf(kind), meaning, None


def _leaf(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    names: dict[type[inspect.Type], str] = {
        inspect.StrType: "text",
        inspect.IntType: "whole number",
        inspect.FloatType: "number",
        inspect.BoolType: "true or false",
    }
    return names.get(type(kind), "value")


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    if field.default in (msgspec.NODEFAULT, msgspec.UNSET) or isinstance(field.default, msgspec.Struct):
        return ""
    return f"`{field.default}`"
