"""The messages of one body and their answers, in order; a tool may answer later (S12)."""

from collections.abc import Callable
from typing import cast

from bot_bottle import __version__
from bot_bottle.egress.mcp import jsonrpc, protocol, words
from bot_bottle.egress.mcp.answers import Result
from bot_bottle.egress.mcp.catalogue import ARGUMENTS, TOOLS
from bot_bottle.egress.mcp.jsonrpc import Call, Id, Invalid, Item, Message, Response
from bot_bottle.egress.mcp.protocol import Speech
from bot_bottle.egress.mcp.tools import Then

_CACHE = 300_000
_SERVER = {"name": "bot-bottle", "version": __version__}
Object = dict[str, object]
CallTool = Callable[[str, Object, bool, Then], None]
Respond = Callable[[int, object, Result | None], None]


class Dialogue:
    """call(tool, arguments, may wait, then) calls one tool; respond(status, value, result) is called once: value is
    the body of the answer, or None where there is nothing to say."""

    def __init__(self, speech: Speech, message: Message, call: CallTool, respond: Respond) -> None:
        self._speech = speech
        self._items = message.items
        self._batch = message.batch
        self._call = call
        self._respond = respond
        self._replies: dict[int, Object] = {}
        self._shown: Result | None = None
        self._owed = len(message.items)

    def run(self) -> None:
        for position, item in enumerate(self._items):
            self._one(position, item)

    def _one(self, position: int, item: Item) -> None:
        match item:
            case Call(id=None) | Response():
                self._reply(position, None)
            case Invalid(id=id, code=code, what=what):
                self._reply(position, jsonrpc.error(id, code, what))
            case Call(id=id, method="tools/call", params=params):
                assert id is not None
                self._tool(position, id, params)
            case Call(id=id, method=method, params=params):
                assert id is not None
                value = simple(self._speech, method, params)
                missing = jsonrpc.error(id, jsonrpc.NO_METHOD, "Method not found")
                self._reply(position, missing if value is None else jsonrpc.result(id, value))

    def _tool(self, position: int, id: Id, params: Object) -> None:
        name, arguments = params.get("name"), params.get("arguments")
        if not isinstance(name, str) or name not in ARGUMENTS:
            self._reply(position, jsonrpc.error(id, jsonrpc.INVALID_PARAMS, "Unknown tool"))
            return
        if arguments is not None and not isinstance(arguments, dict):
            self._reply(position, jsonrpc.error(id, jsonrpc.INVALID_PARAMS, "Arguments are an object"))
            return

        def then(result: Result) -> None:
            self._shown = result
            self._reply(position, jsonrpc.result(id, _complete(self._speech, result.content())))

        self._call(name, cast("Object", arguments or {}), not self._batch, then)

    def _reply(self, position: int, value: Object | None) -> None:
        if value is not None:
            self._replies[position] = value
        self._owed -= 1
        if self._owed:
            return
        replies = [self._replies[at] for at in sorted(self._replies)]
        if not replies:
            self._respond(202, None, None)
        elif self._batch:
            self._respond(200, replies, None)
        else:
            self._respond(_status(self._speech, replies[0]), replies[0], self._shown)


def simple(speech: Speech, method: str, params: Object) -> Object | None:
    """The result of every method that needs no gateway; None for one that this revision does not have."""
    tools: Object = {"tools": {"listChanged": False}}
    match method:
        case "initialize":
            version = protocol.negotiated(params.get("protocolVersion"))
            return {
                "protocolVersion": version,
                "capabilities": tools,
                "serverInfo": _SERVER,
                "instructions": words.INSTRUCTIONS,
            }
        case "ping" if not speech.modern:
            return {}
        case "tools/list":
            cache: Object = {"ttlMs": _CACHE, "cacheScope": "private"} if speech.modern else {}
            return _complete(speech, {"tools": TOOLS, **cache})
        case "server/discover":
            found: Object = {
                "supportedVersions": protocol.SUPPORTED,
                "capabilities": tools,
                "instructions": words.INSTRUCTIONS,
                "ttlMs": _CACHE,
                "cacheScope": "private",
            }
            return _complete(Speech(protocol.MODERN), found)
        case _:
            return None


def _complete(speech: Speech, value: Object) -> Object:
    if not speech.modern:
        return value
    return {**value, "resultType": "complete", "_meta": {"io.modelcontextprotocol/serverInfo": _SERVER}}


def _status(speech: Speech, reply: Object) -> int:
    """HTTP status of one answer: what the revision wants of an error."""
    code = cast("Object", reply.get("error") or {}).get("code")
    if code == jsonrpc.NO_METHOD and speech.modern:
        return 404
    return 400 if code == jsonrpc.INVALID_REQUEST else 200
