"""Which revision of MCP a request speaks, and whether its headers say the same as its body. Pure.

Two eras are served side by side, statelessly: the one of the `initialize` handshake (2024-11-05 to 2025-11-25) and
the one in which each request carries its revision (2026-07-28), whose headers must agree with the body. Plain
JSON-RPC without any header is served like the oldest of the former. Source: MCP 2026-07-28, basic/versioning and
basic/transports/streamable-http.
"""

import base64
import binascii
from typing import NamedTuple, cast

from bot_bottle.egress.mcp.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, Call, Id, Message, Params
from bot_bottle.egress.wire.http1 import Head

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
SUPPORTED = (MODERN, *LEGACY)
ASSUMED = "2025-03-26"
BATCHES = ("2025-03-26", "2024-11-05")
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022

_META = "io.modelcontextprotocol/"
_NAMED = {"tools/call": "name", "resources/read": "uri", "prompts/get": "name"}
_MAX_SHOWN = 64


class Speech(NamedTuple):
    """The revision of one body. modern: without a handshake."""

    version: str

    @property
    def modern(self) -> bool:
        return self.version == MODERN


class Refusal(Exception):
    """The body is answered with HTTP 400 and this error."""

    def __init__(self, id: Id | None, code: int, what: str, data: object = None) -> None:
        super().__init__(what)
        self.id = id
        self.code = code
        self.what = what
        self.data = data


def speech(head: Head, message: Message) -> Speech:
    """Raises Refusal where the revision is not served, or headers and body differ."""
    calls = [item for item in message.items if isinstance(item, Call)]
    first = next((call.id for call in calls if call.id is not None), None)
    said = head.get("mcp-protocol-version")
    inside = next((version for call in calls if (version := _meta(call.params, "protocolVersion"))), None)
    modern = said == MODERN or (said is None and inside is not None)
    if any(
        call.method == "initialize" for call in calls
    ):  # the handshake chooses the older era, whatever else is said
        modern, said = False, said if said in LEGACY else ASSUMED
    if said is not None and said not in SUPPORTED:
        raise _unsupported(first, said)
    if not modern:
        version = said or ASSUMED
        if message.batch and version not in BATCHES:
            raise Refusal(None, INVALID_REQUEST, f"Revision {version} has no batches.")
        return Speech(version)
    if message.batch:
        raise Refusal(None, INVALID_REQUEST, f"Revision {MODERN} has no batches.")
    for call in calls:
        _agree(head, call, said)
    return Speech(MODERN)


def negotiated(wanted: object) -> str:
    """The revision that the answer to `initialize` names."""
    return wanted if isinstance(wanted, str) and wanted in LEGACY else LEGACY[0]


def _agree(head: Head, call: Call, said: str | None) -> None:
    """What a reader of the headers alone would take the request for is what it is."""
    version = _meta(call.params, "protocolVersion")
    if call.id is not None:
        if version is None or not isinstance(_meta(call.params, "clientCapabilities"), dict):
            what = f"_meta must hold {_META}protocolVersion and {_META}clientCapabilities."
            raise Refusal(call.id, INVALID_PARAMS, what)
        if version not in SUPPORTED:
            raise _unsupported(call.id, str(version))
    if said is None or (version is not None and version != said):
        raise Refusal(call.id, HEADER_MISMATCH, "MCP-Protocol-Version is missing or differs from _meta.")
    if call.id is None:
        return
    if head.get("mcp-method") != call.method:
        raise Refusal(call.id, HEADER_MISMATCH, "Mcp-Method is missing or differs from the method.")
    name = _NAMED.get(call.method)
    if name is not None and _decoded(head.get("mcp-name")) != call.params.get(name):
        raise Refusal(call.id, HEADER_MISMATCH, f"Mcp-Name is missing or differs from {name}.")


def _decoded(value: str | None) -> str | None:
    """A header value, out of its Base64 form where it has one."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _meta(params: Params, name: str) -> object:
    meta = params.get("_meta")
    return cast("Params", meta).get(_META + name) if isinstance(meta, dict) else None


def _unsupported(id: Id | None, version: str) -> Refusal:
    data = {"supported": list(SUPPORTED), "requested": version[:_MAX_SHOWN]}
    return Refusal(id, UNSUPPORTED_VERSION, "Unsupported protocol version", data)
