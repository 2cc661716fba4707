"""Our own answers to an agent: what was denied or failed, why, and what would allow it.

RFC 9457 ``application/problem+json``; on a model host the vendor's own error shape, so that a harness stops within
seconds and shows our sentence (facts/agents.md 4: 403 and JSON inside TLS, never a reset or 401). All text that an
agent or upstream chose is made visible first (B73).
"""

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from bot_bottle.base.text import visible
from bot_bottle.policy.verdict import Verdict

_PHRASES = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    421: "Misdirected Request",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
_ANTHROPIC = {
    400: "invalid_request_error",
    403: "permission_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
_OPENAI = {
    400: "invalid_request_error",
    403: "permission_denied",
    413: "invalid_request_error",
    429: "rate_limit_exceeded",
}
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_LIMIT = 300


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457 problem details and our members. instance: the request id, as in the log. ask, retry, deadline: as in
    `AskNote`. how: in which way the agent can ask a person."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    rule: str = ""
    reason: str = ""
    hint: str = ""
    ask: str = ""
    retry: str = ""
    deadline: str = ""
    how: str = ""


class AskNote(NamedTuple):
    """ask: id. retry: the token of a retry (the same id), where a late yes may still come. deadline: RFC 3339."""

    ask: str
    retry: str
    deadline: str


_NO_ASK = AskNote("", "", "")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response of ours. `encode` gives its bytes."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def encode(self, *, close: bool = False, head_only: bool = False) -> bytes:
        """HTTP/1.1 bytes. close: say and mean ``Connection: close``; head_only: the answer to HEAD."""
        lines = [f"HTTP/1.1 {self.status} {_PHRASES.get(self.status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"content-length: {len(self.body)}", "cache-control: no-store", "x-content-type-options: nosniff"]
        lines += ["connection: close"] if close else []
        return "\r\n".join([*lines, "", ""]).encode("ascii", "replace") + (b"" if head_only else self.body)


def denial(verdict: Verdict, *, request: str = "", shape: str = "", how: str = "") -> Answer:
    """403 for a denial. request: id as in the log; shape: of `Policy.model_hosts`, or ""; how: to ask a person."""
    return fault(
        403, verdict.reason, "Denied by policy", hint=verdict.hint, rule=verdict.rule, request=request, shape=shape,
        how=how,
    )  # fmt: skip


def fault(
    status: int, reason: str, title: str, *, hint: str = "", rule: str = "", request: str = "", shape: str = "",
    ask: AskNote = _NO_ASK, how: str = "",
) -> Answer:  # fmt: skip
    """Any answer of ours: 400, 403, 413, 429, 502, 504. reason: stable slug; title, hint: sentences for people."""
    reason, title, hint = visible(reason, _LIMIT), visible(title, _LIMIT), visible(hint, _LIMIT)
    rule, request = visible(rule, _LIMIT), visible(request, 128)
    detail = " ".join(part for part in (f"bot-bottle: {title} ({reason}).", hint, how) if part)
    kind = f"urn:bot-bottle:problem:{reason}"
    problem = Problem(kind, title, status, detail, request, rule, reason, hint, *ask, how)
    body = _vendor(shape, problem)
    kind = "application/problem+json" if body is None else "application/json"
    extra = (("retry-after", "1"),) if status in (429, 503) else ()
    text = msgspec.json.encode(problem if body is None else body) + b"\n"  # so that a shell's next line is its own
    return Answer(status, (("content-type", kind), *extra), text)


def upgrade_required(*, request: str = "") -> Answer:
    """426 for a WebSocket on a route without it: harnesses then fall back to POST at once (facts/agents.md 3)."""
    answer = fault(
        426,
        "policy.protocol",
        "This route does not allow WebSocket",
        hint="Use plain HTTP/1.1, or add websocket to the route's protocols.",
        request=request,
    )
    return Answer(426, (*answer.headers, ("upgrade", "HTTP/1.1")), answer.body)


def _vendor(shape: str, problem: Problem) -> dict[str, object] | None:
    """The vendor's error body with our problem beside it, or None for an unknown shape."""
    text, status = problem.detail, problem.status
    match shape:
        case "anthropic":
            kind = _ANTHROPIC.get(status, "api_error")
            error: dict[str, object] = {"type": kind, "message": text}
            return {"type": "error", "error": error, "request_id": problem.instance, "bot_bottle": problem}
        case "openai":
            kind = _OPENAI.get(status, "server_error")
            error = {"message": text, "type": kind, "param": None, "code": problem.reason}
            return {"error": error, "bot_bottle": problem}
        case "google":
            error = {"code": status, "message": text, "status": _GOOGLE.get(status, "INTERNAL")}
            return {"error": error, "bot_bottle": problem}
        case _:
            return None
