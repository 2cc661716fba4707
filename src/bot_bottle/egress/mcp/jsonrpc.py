"""JSON-RPC 2.0 messages, sans-io: bytes in, calls or one error out (B44, S12). Pure.

Stricter than the specification where two readers could differ: UTF-8 only, a bounded depth, ids that are strings or
whole numbers, parameters by name. Source: jsonrpc.org/specification; MCP 2025-11-25 and 2026-07-28, basic.
"""

import re
from typing import NamedTuple, TypeGuard, cast

import msgspec

MAX_BODY = 65536
MAX_DEPTH = 16
MAX_BATCH = 16
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603

_MAX_ID = 256
_MAX_METHOD = 128
_SAFE = 2**53
_PARTS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)

Id = str | int
Params = dict[str, object]


class Call(NamedTuple):
    """A request, or a notification where id is None."""

    id: Id | None
    method: str
    params: Params


class Response(NamedTuple):
    """The client's answer to a request that nobody made: taken and dropped."""


class Invalid(NamedTuple):
    """One message that is none. id: where it could be read."""

    id: Id | None
    code: int
    what: str


Item = Call | Response | Invalid


class Message(NamedTuple):
    """What one body holds. batch: the items came in an array."""

    items: tuple[Item, ...]
    batch: bool = False


class Fault(Exception):
    """The body is no message at all. code, what: of the error object; what holds nothing of the body."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what


def parse(body: bytes) -> Message:
    """Raises Fault where nothing can be read; a message that breaks the rules is an `Invalid` item."""
    if len(body) > MAX_BODY:
        raise Fault(PARSE_ERROR, f"The body is longer than {MAX_BODY} bytes.")
    if _depth(body) > MAX_DEPTH:
        raise Fault(PARSE_ERROR, f"The body nests deeper than {MAX_DEPTH} levels.")
    try:
        value: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Fault(PARSE_ERROR, "The body is not JSON in UTF-8.") from None
    if not isinstance(value, list):
        return Message((_item(value),))
    items = cast("list[object]", value)
    if not 0 < len(items) <= MAX_BATCH:
        raise Fault(INVALID_REQUEST, f"A batch holds 1 to {MAX_BATCH} messages.")
    return Message(tuple(_item(item) for item in items), batch=True)


def result(id: Id, value: object) -> dict[str, object]:
    """A response object with a result."""
    return {"jsonrpc": "2.0", "id": id, "result": value}


def error(id: Id | None, code: int, what: str, data: object = None) -> dict[str, object]:
    """A response object with an error; id None where none could be read."""
    detail: dict[str, object] = {"code": code, "message": what}
    if data is not None:
        detail["data"] = data
    return {"jsonrpc": "2.0", "id": id, "error": detail}


def _depth(body: bytes) -> int:
    """How deep arrays and objects nest, counted outside of strings before anything is built."""
    deepest = now = 0
    for found in _PARTS.finditer(body):
        first = found[0][:1]
        if first in b"[{":
            now += 1
            deepest = max(deepest, now)
        elif first in b"]}":
            now -= 1
    return deepest


def _item(value: object) -> Item:
    if not isinstance(value, dict):
        return Invalid(None, INVALID_REQUEST, "A message is an object.")
    raw = cast("Params", value)
    id = raw.get("id")
    known: Id | None = id if _is_id(id) else None
    if raw.get("jsonrpc") != "2.0":
        return Invalid(known, INVALID_REQUEST, 'A message says "jsonrpc": "2.0".')
    if "method" not in raw and ("result" in raw or "error" in raw):
        return Response()
    if "id" in raw and known is None:
        return Invalid(
            None, INVALID_REQUEST, f"An id is a whole number, or a string of at most {_MAX_ID} characters."
        )
    method, params = raw.get("method"), raw.get("params", {})
    if not isinstance(method, str) or not 0 < len(method) <= _MAX_METHOD:
        return Invalid(known, INVALID_REQUEST, f"A method is a string of at most {_MAX_METHOD} characters.")
    if not isinstance(params, dict):
        return Invalid(known, INVALID_PARAMS, "Parameters are given by name, as an object.")
    return Call(known, method, cast("Params", params))


def _is_id(id: object) -> TypeGuard[Id]:
    if isinstance(id, str):
        return len(id) <= _MAX_ID
    return isinstance(id, int) and not isinstance(id, bool) and -_SAFE < id < _SAFE
