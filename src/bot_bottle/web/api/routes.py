"""The table of operations -> HTTP routes below /api/v1: decode, check the scope, call in a thread, encode."""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bot_bottle.base.errors import BottleError
from bot_bottle.web import principal, problem
from bot_bottle.web.api import firsts
from bot_bottle.web.api.fit import fit, misfit, refused
from bot_bottle.web.api.operation import Download, Nothing, Operation
from bot_bottle.web.page import desk_of, in_lane
from bot_bottle.web.problem import Misfit, WebFault

PREFIX = "/api/v1"
ROOMS = ("devices", "tokens", "asks", "bottles", "settings", "records", "exports", "reach", "policies")
Any_ = Operation[Any, Any]


def operations() -> tuple[Any_, ...]:
    """All of them, in the order of the rooms."""
    found: list[Any_] = []
    for room in ROOMS:
        try:
            module = importlib.import_module(f"bot_bottle.web.api.{room}")
        except ModuleNotFoundError as error:
            if error.name != f"bot_bottle.web.api.{room}":
                raise
            continue
        found.extend(module.OPERATIONS)
    return tuple(found)


def routes(table: tuple[Any_, ...]) -> list[Route]:
    """One route per path, which knows its methods: another method is 405 with Allow."""
    paths: dict[str, dict[str, Any_]] = {}
    for operation in table:
        paths.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(PREFIX + path, _endpoint(methods), methods=list(methods), name=next(iter(methods.values())).name)
        for path, methods in paths.items()
    ]


def _endpoint(methods: dict[str, Any_]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        operation = methods["GET" if request.method == "HEAD" else request.method]
        try:
            principal.need(request, *operation.scopes)
            body = await request.body() if operation.has_body else b""
            return await in_lane(request, operation.lane, answer, request, operation, body)
        except BottleError as error:
            return problem.response(error)

    return endpoint


def answer(request: Request, operation: Any_, body: bytes) -> Response:
    """In a thread of the pool: stores may be read, keepers asked."""
    person = principal.need(request, *operation.scopes)
    values = inputs(request, operation, body)
    key = request.headers.get("idempotency-key")
    desk = desk_of(request, person, key or "")
    if key is None or operation.method == "GET":
        return _encoded(operation, operation.call(desk, values))
    return firsts.once(desk, operation, key, body, request.url.path, lambda: operation.call(desk, values), _encoded)


def inputs(request: Request, operation: Any_, body: bytes) -> Any:
    """Path, query or body as the operation's typed input. Raises WebFault 400, 415, 422."""
    path = msgspec.convert(request.path_params, dict[str, str])
    if not operation.has_body:
        values, wrong = _query(request, operation)
        return fit(operation.takes, values, place="query", path=path, wrong=wrong)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise WebFault(415, "web.json", "The body must be JSON.", "Send Content-Type: application/json.")
    try:
        given: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WebFault(400, "web.json", "The body is no JSON.") from None
    if not isinstance(given, dict):
        raise refused([misfit("body", (), "Expected an object.")])
    named = cast(dict[str, Any], given)
    wrong = tuple(misfit("body", (name,), "It is a name of the path.") for name in named if name in path)
    return fit(operation.takes, named, True, "body", path, wrong)


def _query(request: Request, operation: Any_) -> tuple[dict[str, Any], tuple[Misfit, ...]]:
    """Lists where the field is one; a parameter that is not a list must come once."""
    lists = {f.encode_name for f in operation.in_body if _is_list(f.type)}
    values: dict[str, Any] = {}
    wrong: list[Misfit] = []
    for name in request.query_params:
        given = request.query_params.getlist(name)
        if name in operation.in_path:
            wrong.append(misfit("query", (name,), "It is a name of the path."))
        elif name not in lists and len(given) > 1:
            wrong.append(misfit("query", (name,), "It is given twice."))
        values[name] = given if name in lists else given[0]
    return values, tuple(wrong)


def _is_list(kind: Any) -> bool:
    info = msgspec.inspect.type_info(kind)
    return isinstance(info, msgspec.inspect.ListType | msgspec.inspect.VarTupleType | msgspec.inspect.SetType)


def _encoded(operation: Any_, result: Any) -> Response:
    if isinstance(result, Nothing):
        return Response(status_code=204)
    if isinstance(result, Download):
        return download(result)
    return Response(msgspec.json.encode(result), operation.status, media_type="application/json")


def download(file: Download) -> Response:
    headers = {"content-disposition": f'attachment; filename="{file.filename}"'}
    return StreamingResponse(iterate_in_threadpool(file.pieces), headers=headers, media_type=file.media_type)
