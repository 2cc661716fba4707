"""The five tools as the agent sees them. Their texts stand in every model request, so they are short. Pure."""

from typing import Annotated, Literal

import msgspec

TEXT, SUMMARY, WAIT, METHODS = 1000, 4000, 60, 10

Short = Annotated[str, msgspec.Meta(max_length=253)]
Long = Annotated[str, msgspec.Meta(max_length=2048)]


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base: an unknown argument is an error that the agent sees."""


class ListRoutes(Arguments, frozen=True):
    """list_routes."""


class ExplainDenial(Arguments, frozen=True):
    """explain_denial. request: the number of a denied request, as its answer names it; else method and url."""

    request: str | int = ""
    method: Annotated[str, msgspec.Meta(max_length=32)] = "GET"
    url: Long = ""


class RequestAccess(Arguments, frozen=True):
    """request_access. url: instead of scheme, host, port and path. path: itself and all below it."""

    justification: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT)]
    url: Long = ""
    host: Short = ""
    methods: Annotated[list[Annotated[str, msgspec.Meta(max_length=32)]], msgspec.Meta(max_length=METHODS)] = []
    path: Long = "/"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    scheme: Literal["https", "http"] = "https"


class CheckRequest(Arguments, frozen=True):
    """check_request. ask: an id, "" for the newest. wait: seconds."""

    ask: Short = ""
    wait: Annotated[float, msgspec.Meta(ge=0, le=WAIT)] = 0


class ReportDone(Arguments, frozen=True):
    """report_done."""

    status: Literal["done", "failed", "blocked"]
    summary: Annotated[str, msgspec.Meta(max_length=SUMMARY)] = ""


ARGUMENTS: dict[str, type[Arguments]] = {
    "list_routes": ListRoutes,
    "explain_denial": ExplainDenial,
    "request_access": RequestAccess,
    "check_request": CheckRequest,
    "report_done": ReportDone,
}

_STRING: dict[str, object] = {"type": "string"}
_METHOD_LIST: dict[str, object] = {"type": "array", "items": _STRING, "maxItems": METHODS}


def _tool(name: str, description: str, required: list[str], **properties: dict[str, object]) -> dict[str, object]:
    schema: dict[str, object] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    reads = name in ("list_routes", "explain_denial", "check_request")
    return {
        "name": name,
        "description": description,
        "inputSchema": schema,
        "annotations": {"readOnlyHint": reads, "destructiveHint": False, "openWorldHint": False},
    }


def _says(text: str, **more: object) -> dict[str, object]:
    return {"type": "string", "description": text, **more}


TOOLS: tuple[dict[str, object], ...] = (
    _tool("list_routes", "What this sandbox's network policy allows, asks about or denies.", []),
    _tool(
        "explain_denial",
        "Why a request was denied, and what would allow it: by its request number, or by method and url.",
        [],
        request=_says("Number from the denial"),
        method=_STRING,
        url=_STRING,
    ),
    _tool(
        "request_access",
        "Ask a person to allow requests to a URL and everything below it. Returns at once with an ask id.",
        ["justification"],
        url=_says("URL, or give host"),
        host=_STRING,
        methods=_METHOD_LIST,
        path=_says("Path prefix"),
        port={"type": "integer"},
        scheme={"type": "string", "enum": ["https", "http"]},
        justification=_says("Why it is needed", maxLength=TEXT),
    ),
    _tool(
        "check_request",
        "What became of an ask (default: the newest). wait: seconds to wait for the answer, at most 60.",
        [],
        ask=_STRING,
        wait={"type": "number", "minimum": 0, "maximum": WAIT},
    ),
    _tool(
        "report_done",
        "Tell the person that the task is done, failed, or blocked.",
        ["status"],
        status={"type": "string", "enum": ["done", "failed", "blocked"]},
        summary=_says("Short", maxLength=SUMMARY),
    ),
)
