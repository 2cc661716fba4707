"""OpenAPI 3.1 of the table of operations: schemas from the msgspec types, errors as problem+json."""

from typing import Any

import msgspec

from bot_bottle import __version__
from bot_bottle.web.api.operation import Download, Nothing, Operation
from bot_bottle.web.api.routes import PREFIX
from bot_bottle.web.problem import Problem

_REF = "#/components/schemas/{name}"
_FILES: dict[str, Any] = {"application/octet-stream": {}, "text/csv": {}}
_ERRORS = {
    "400": "The request cannot be read", "401": "Nobody is signed in", "403": "This caller may not",
    "404": "There is no such thing", "408": "The body did not come in time", "409": "It is in another state by now",
    "413": "The body is too large", "415": "The body is of another type", "421": "This is no address of ours",
    "422": "Values do not fit: `errors` names each of them", "429": "Too many at once",
    "503": "Another process of ours is not there",
}  # fmt: skip


def document(table: tuple[Operation[Any, Any], ...], server: str = "") -> dict[str, Any]:
    """The whole description as plain values."""
    bodies = {op.name: body_type(op) for op in table if op.has_body}
    kinds = [Problem, *bodies.values(), *(op.gives for op in table if op.gives not in (Nothing, Download))]
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, bodies, components)
    paths["/events"] = {"get": _events()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bot-bottle", "version": __version__,
            "description": "What bottles do, what waits for a person, and what they reached.",
        },
        "servers": [{"url": server + PREFIX}],
        "security": [{"token": []}, {"session": [], "csrf": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }  # fmt: skip


_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, bb_…, with its scopes."},
    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-bot-bottle"},
    "csrf": {"type": "apiKey", "in": "header", "name": "X-Bot-Bottle-CSRF"},
}


def body_type(operation: Operation[Any, Any]) -> Any:
    """What the JSON body holds: `takes` without the names of the path."""
    if not operation.in_path:
        return operation.takes
    fields: list[Any] = []
    for field in operation.in_body:
        if field.required:
            fields.append((field.name, field.type))
        elif field.default is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, field.default))
        else:
            fields.append((field.name, field.type, msgspec.field(default_factory=field.default_factory)))
    return msgspec.defstruct(f"{operation.takes.__name__}Body", fields, forbid_unknown_fields=True)


def _operation(operation: Operation[Any, Any], bodies: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    empty = operation.gives is Nothing
    success: dict[str, Any] = {"description": "Done"}
    if operation.gives is Download:
        success["content"] = _FILES
    elif not empty:
        success["content"] = {"application/json": {"schema": _schema(operation.gives, components)}}
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "x-scope": operation.scope,
        **({"x-scope-also": operation.also} if operation.also else {}),
        "parameters": _parameters(operation, components),
        "responses": {("204" if empty else str(operation.status)): success} | _problems(),
    }
    if operation.description:
        found["description"] = operation.description
    if operation.has_body:
        content = {"application/json": {"schema": _schema(bodies[operation.name], components)}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _parameters(operation: Operation[Any, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for field in msgspec.structs.fields(operation.takes):
        in_path = field.encode_name in operation.in_path
        if not in_path and operation.has_body:
            continue
        found.append({
            "name": field.encode_name, "in": "path" if in_path else "query", "required": in_path or field.required,
            "schema": _schema(field.type, components),
        })  # fmt: skip
    if operation.method != "GET":
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema})
    return found


def _schema(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    (schema,), more = msgspec.json.schema_components([kind], ref_template=_REF)
    components.update(more)
    return schema


def _problems() -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": text, "content": content} for status, text in _ERRORS.items()}


def _events() -> dict[str, Any]:
    return {
        "operationId": "streamEvents",
        "summary": "Server-sent events: asks, bottles, records",
        "x-scope": "read",
        "parameters": [
            {"name": "feeds", "in": "query", "required": False, "schema": {"type": "string"}},
            {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}},
        ],
        "responses": {"200": {"description": "An endless stream", "content": {"text/event-stream": {}}}}
        | _problems(),
    }
