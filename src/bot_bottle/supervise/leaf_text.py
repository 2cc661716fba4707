"""Puts one route into the front matter of a bottle file as text: every comment, blank line and quote stays as it is.

The place is found from the parser's own positions, never by searching for words. `leaf` reads the result again and
compares before anything is written.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import msgspec
from msgspec import UNSET

from bot_bottle.policy import model

_FENCE = "---"


class Span(msgspec.Struct):
    """A node of the YAML text: offsets of its first character and behind its last one, and its first column."""

    kind: str
    start: int
    end: int
    column: int
    flow: bool
    text: str = ""
    items: list["Span"] = []


class Unfit(ValueError):
    """One sentence: why the text cannot be changed here."""


def with_route(text: str, route: model.Route, comment: str = "") -> str:
    """A whole bottle file with one more route at the end of its routes. comment: one line without ``#``.

    Raises Unfit where the file has a shape that is not changed by a program.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    plain = text.removeprefix("\ufeff")
    crlf = "\r\n" in plain
    if crlf and plain.count("\n") != plain.count("\r\n"):
        raise Unfit("the file mixes two kinds of line ends")
    changed = _in_file(plain.replace("\r\n", "\n"), route, comment)
    return mark + (changed.replace("\n", "\r\n") if crlf else changed)


def route_yaml(route: model.Route) -> str:
    """A route in one line, as a manifest writes it."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in _fields(route)) + "}"


def route_lines(route: model.Route) -> list[str]:
    """A route as an item of a list in block style, without indentation."""
    return [f"{'- ' if not number else '  '}{key}: {value}" for number, (key, value) in enumerate(_fields(route))]


def _in_file(text: str, route: model.Route, comment: str) -> str:
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return f"{_FENCE}\n{_block_routes(0, route, comment, 'egress')}{_FENCE}\n" + (f"\n{text}" if text else "")
    close = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), 0)
    if not close:
        raise Unfit("the front matter has no closing --- line")
    head = "".join(f"{line}\n" for line in lines[1:close])
    return f"{lines[0]}\n{_in_head(head, route, comment)}" + "\n".join(lines[close:])


def _in_head(head: str, route: model.Route, comment: str) -> str:
    root = _tree(head)
    if root is None:
        return head + _block_routes(0, route, comment, "egress")
    egress = _entry(root, "egress")
    if egress is None:
        return _add_key(head, root, "egress", f"{{routes: [{route_yaml(route)}]}}", route, comment)
    if egress.kind == "scalar":
        return _below(head, egress, _block_routes(root.column + 2, route, comment, ""))
    routes = _entry(egress, "routes")
    if routes is None:
        return _add_key(head, egress, "routes", f"[{route_yaml(route)}]", route, comment)
    if routes.kind == "scalar":
        return _below(head, routes, _item(egress.column + 2, route, comment))
    if routes.flow:
        return _in_flow(head, routes, route_yaml(route), comment)
    return _after(head, routes.end, routes.column, _item(routes.column, route, comment))


def _add_key(head: str, table: Span, key: str, flow: str, route: model.Route, comment: str) -> str:
    if table.kind != "mapping":
        raise Unfit("the front matter is no list of keys and values")
    if table.flow:
        return _in_flow(head, table, f"{key}: {flow}", comment)
    return _after(head, table.end, table.column, _block_routes(table.column, route, comment, key))


def _in_flow(head: str, node: Span, new: str, comment: str) -> str:
    """Behind the last value of a flow collection, or into an empty one. A comment ends its line: what follows the new
    value goes on below it, indented deeper than what the collection is a part of."""
    end = node.items[-1].end if node.items else node.start + 1
    before, rest = f"{head[:end]}{', ' if node.items else ''}{new}", head[end:]
    if not comment:
        return before + rest
    if rest.startswith(","):
        before, rest = f"{before},", rest[1:]
    line, _, _ = rest.partition("\n")
    if not line.strip():
        return f"{before}  # {comment}{rest}"
    start = head[head.rfind("\n", 0, end) + 1 :]
    pad = " " * (len(start) - len(start.lstrip(" ")) + 2)
    return f"{before}  # {comment}\n{pad}{rest}"


def _below(head: str, empty: Span, new: str) -> str:
    """A block under a key without a value."""
    if empty.text:
        raise Unfit("egress or its routes hold a single value")
    end = head.find("\n", empty.end)
    at = len(head) if end < 0 else end + 1
    return head[:at] + new + head[at:]


def _after(head: str, end: int, column: int, new: str) -> str:
    """Behind the line on which a block ends, and behind the comments that are indented like a part of it."""
    if not column:
        return head + new
    at = end if end and head[end - 1] == "\n" else _next_line(head, end)
    while True:
        line = head[at : _next_line(head, at)]
        if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) < column:
            break
        at = _next_line(head, at)
    return head[:at] + new + head[at:]


def _next_line(head: str, at: int) -> int:
    end = head.find("\n", at)
    return len(head) if end < 0 else end + 1


def _block_routes(column: int, route: model.Route, comment: str, key: str) -> str:
    """``egress:`` with its routes, or ``routes:`` alone (key "" or "routes")."""
    pad = " " * column
    if key == "egress":
        return f"{pad}egress:\n{_block_routes(column + 2, route, comment, '')}"
    return f"{pad}routes:\n{_item(column + 2, route, comment)}"


def _item(column: int, route: model.Route, comment: str) -> str:
    pad = " " * column
    note = f"{pad}# {comment}\n" if comment else ""
    return note + "".join(f"{pad}{line}\n" for line in route_lines(route))


def _fields(route: model.Route) -> Iterator[tuple[str, str]]:
    """What `always` may write: never a secret, an address or an authority."""
    yield "host", _scalar(route.host)
    if route.scheme is not UNSET:
        yield "scheme", route.scheme
    if route.ports is not UNSET:
        yield "ports", f"[{', '.join(map(str, route.ports))}]"
    if route.protocols is not UNSET:
        yield "protocols", f"[{', '.join(route.protocols)}]"
    if route.matches:
        yield "matches", f"[{', '.join(_condition(one) for one in route.matches)}]"


def _condition(one: model.Condition) -> str:
    paths = ", ".join(f"{{type: {path.type}, value: {_scalar(path.value)}}}" for path in one.paths)
    parts = [f"paths: [{paths}]"] if paths else []
    parts += [f"methods: [{', '.join(one.methods)}]"] if one.methods else []
    return f"{{{', '.join(parts)}}}"


def _scalar(text: str) -> str:
    """A flow scalar that YAML reads as this text."""
    bare = text.replace("/", "").replace("-", "").replace(".", "").replace("_", "")
    plain = bare.isalnum() and bare.isascii() and not bare.isdigit() and text[0] in "/abcdefghijklmnopqrstuvwxyz"
    words = text.lower() in ("null", "true", "false", "yes", "no", "on", "off")
    return text if plain and not words else msgspec.json.encode(text).decode()


def _tree(head: str) -> Span | None:
    """The one document as spans; None for an empty one. The text has been read by `policy.check` before."""
    ruamel: Any = import_module("ruamel.yaml")  # as in policy.yaml12: lazily
    events = list(ruamel.YAML(typ="safe", pure=True).parse(head))
    starts = [event for event in events if not type(event).__name__.startswith(("Stream", "Document"))]
    if not starts or (len(starts) == 1 and not starts[0].value):
        return None
    return _span(iter(starts))


def _span(events: Iterator[Any]) -> Span:
    event = next(events)
    return _from(event, events)


def _from(event: Any, events: Iterator[Any]) -> Span:
    kind = type(event).__name__.removesuffix("Event").removesuffix("Start").lower()
    start, column = event.start_mark.index, event.start_mark.column
    if kind == "scalar":
        return Span(kind, start, event.end_mark.index, column, False, event.value)
    found = Span(kind, start, start, column, bool(event.flow_style), items=[])
    while True:
        event = next(events)
        if type(event).__name__.endswith("EndEvent"):
            break
        found.items.append(_placed(_from(event, events), found.items))
    found.end = event.end_mark.index if found.flow or not found.items else found.items[-1].end
    return found


def _placed(node: Span, before: list[Span]) -> Span:
    """An absent value stands where the next token does; it belongs behind its key."""
    if node.start == node.end and before:
        node.start = node.end = before[-1].end
    return node


def _entry(table: Span, key: str) -> Span | None:
    if table.kind != "mapping":
        raise Unfit("the front matter is no list of keys and values")
    pairs = zip(table.items[::2], table.items[1::2], strict=True)
    return next((value for name, value in pairs if name.text == key), None)
