"""Our answers: problem details for everybody, the vendor's own error for a harness, always visible text."""

import json

import h11
import pytest

from bot_bottle.egress.answer import Answer, AskNote, denial, fault, upgrade_required
from bot_bottle.policy.verdict import deny

VERDICT = deny("policy.no-route", "Add a route for api.example.com to the bottle.", "dev/example")


def received(answer: Answer, method: str = "GET") -> tuple[h11.Response, bytes]:
    """What a strict client reads."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer.encode(head_only=method == "HEAD"))
    head, body = client.next_event(), b""
    assert isinstance(head, h11.Response)
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return head, body


def test_a_denial_is_problem_details() -> None:
    head, body = received(denial(VERDICT, request="run/7"))
    assert head.status_code == 403
    assert dict(head.headers)[b"content-type"] == b"application/problem+json"
    told = json.loads(body)
    assert told["status"] == 403
    assert (told["instance"], told["rule"], told["reason"]) == ("run/7", "dev/example", "policy.no-route")
    assert told["hint"] in told["detail"]


def test_the_end_of_an_ask_says_how_to_come_back() -> None:
    note = AskNote("ask-1", "ask-1", "2026-01-01T00:00:00Z")
    for shape in ("", "anthropic"):
        body = json.loads(fault(403, "ask.expired", "Nobody answered", ask=note, shape=shape).body)
        problem = body.get("bot_bottle", body)
        assert [problem[name] for name in ("ask", "retry", "deadline")] == list(note)
    assert "ask" not in json.loads(denial(VERDICT).body)


@pytest.mark.parametrize(
    ("shape", "path", "kind"),
    [
        ("anthropic", ("error", "type"), "permission_error"),
        ("openai", ("error", "type"), "permission_denied"),
        ("google", ("error", "status"), "PERMISSION_DENIED"),
    ],
)
def test_a_model_host_answers_in_the_vendors_shape(shape: str, path: tuple[str, str], kind: str) -> None:
    head, body = received(denial(VERDICT, request="run/7", shape=shape))
    told = json.loads(body)
    assert dict(head.headers)[b"content-type"] == b"application/json"
    assert told[path[0]][path[1]] == kind
    assert "Add a route for api.example.com" in told["error"]["message"]
    assert told["bot_bottle"]["rule"] == "dev/example"


@pytest.mark.parametrize("status", [400, 403, 413, 426, 429, 502, 504])
@pytest.mark.parametrize("shape", ["", "anthropic", "openai", "google", "unheard-of"])
def test_every_answer_is_a_whole_response(status: int, shape: str) -> None:
    head, body = received(fault(status, "x.y", "Something failed", shape=shape))
    assert head.status_code == status
    assert "Something failed" in json.dumps(json.loads(body))


def test_head_has_no_body_and_close_is_said() -> None:
    head, body = received(denial(VERDICT), "HEAD")
    assert body == b"" and int(dict(head.headers)[b"content-length"]) > 0
    assert b"connection: close" in denial(VERDICT).encode(close=True)


def test_a_websocket_on_a_plain_route_is_426() -> None:
    head, _ = received(upgrade_required(request="run/8"))
    assert head.status_code == 426
    assert dict(head.headers)[b"upgrade"] == b"HTTP/1.1"
