"""Attacks on secrets (B36, B38-B43, B46, B48, D02, D11, D12, P10) and on readers of our answers (B73).

Each shows the attack without the defence first (`control`), so that it fails when the defence is taken away.
"""

import base64
import gzip
import json
import pickle
import re
import traceback
from collections.abc import Callable
from urllib.parse import quote

import pytest

from bot_bottle.base.errors import BottleError, OperatorFault
from bot_bottle.base.secret import Secret
from bot_bottle.custody.carriers import is_header
from bot_bottle.custody.inject import Headers, prepare_headers
from bot_bottle.egress.answer import denial, fault
from bot_bottle.egress.messages import Secrets
from bot_bottle.harnesses import fit
from bot_bottle.harnesses.load import shipped
from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber
from bot_bottle.policy import decide
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.verdict import Auth, Kind, Request, Target, deny

REAL = b"sk-ant-api03-" + b"R3aL" * 23
PLACEHOLDER = b"sk-ant-api03-" + b"pLcH" * 23
AGENT = b"sk-ant-api03-attackers-own-key-0123456789"
BEARER = Auth("bearer", "anthropic")
SCRUBBER = Scrubber(needles("anthropic", REAL, PLACEHOLDER))


def sent(headers: Headers, query: str = "", auth: Auth | None = BEARER, scheme: str = "https") -> tuple[Headers, str]:
    return prepare_headers(headers, query, auth, REAL, False, scheme=scheme)


def wire(prepared: tuple[Headers, str]) -> bytes:
    headers, query = prepared
    return query.encode() + b"\n" + b"\n".join(name + b": " + value for name, value in headers)


CARRIERS: list[tuple[bytes, bytes]] = [
    (b"Authorization", b"Bearer " + AGENT),
    (b"authorization", b"Basic " + base64.b64encode(AGENT)),
    (b"X-Api-Key", AGENT),
    (b"x_api_key", AGENT),
    (b"X-API_KEY", AGENT),
    (b"x%2dapi%2dkey", AGENT),
    (b"x%252dapi%252Dkey", AGENT),
    (b"api-key", AGENT),
    (b"X-Goog-Api-Key", AGENT),
    (b"X-Auth-Token", AGENT),
    (b"PRIVATE-TOKEN", AGENT),
    (b"Job-Token", AGENT),
    (b"X-Amz-Security-Token", AGENT),
    (b"Ocp-Apim-Subscription-Key", AGENT),
    (b"X-Forwarded-Authorization", AGENT),
    (b"Proxy-Authorization", AGENT),
    (b"Cookie", b"sessionKey=" + AGENT),
    (b"cookie", b"a=b; " + AGENT),
    (b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key." + AGENT),
]


@pytest.mark.parametrize("auth", [BEARER, None], ids=["our-key", "no-key"])
@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier[0].decode())
def test_d11_agent_credential_in_any_header_is_removed(carrier: tuple[bytes, bytes], auth: Auth | None) -> None:
    control, _ = prepare_headers([carrier], "", None, None, True, scheme="https")
    assert carrier[1] in wire((control, "")) or carrier[0] == b"Proxy-Authorization"
    left = wire(sent([carrier, (b"accept", b"*/*")], auth=auth))
    assert carrier[1] not in left and AGENT not in left


@pytest.mark.parametrize(
    "key",
    ["key", "KEY", "api_key", "apiKey", "API-KEY", "access_token", "access%5Ftoken", "%61ccess_token", "token",
     "api_key[]", "api_key%5B0%5D", "client_secret", "X-Amz-Signature", "X-Amz-Credential", "sig", "private_token",
     "%2561pi_key", "+key"],
)  # fmt: skip
@pytest.mark.parametrize("separator", ["&", ";"])
def test_d11_agent_credential_in_the_query_is_removed(key: str, separator: str) -> None:
    query = f"page=2{separator}{key}={AGENT.decode()}{separator}page_token=x"
    assert AGENT.decode() in prepare_headers([], query, None, None, True, scheme="https")[1]
    _, left = sent([], query)
    assert AGENT.decode() not in left
    assert "page=2" in left and "page_token=x" in left


def test_d11_exactly_one_credential_leaves_and_it_is_ours() -> None:
    headers, _ = sent([*CARRIERS, (b"accept", b"*/*")])
    assert [field for field in headers if is_header(field[0])] == [(b"authorization", b"Bearer " + REAL)]


def test_b36_attackers_own_key_does_not_reach_the_allowed_host() -> None:
    """PromptArmor: files uploaded to api.anthropic.com under the attacker's account."""
    upload: Headers = [(b"x-api-key", AGENT), (b"anthropic-version", b"2023-06-01")]
    control, _ = prepare_headers(upload, "", None, None, True, scheme="https")
    assert AGENT in wire((control, ""))
    headers, _ = sent(upload, auth=Auth("header", "anthropic", "x-api-key"))
    assert headers == [(b"anthropic-version", b"2023-06-01"), (b"x-api-key", REAL)]


ECHOES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda v: v,
    "header echoed in json": lambda v: json.dumps({"authorization": f"Bearer {v.decode()}"}).encode(),
    "basic pair": lambda v: base64.b64encode(b"x:" + v),
    "base64": base64.b64encode,
    "base64 at 1": lambda v: base64.b64encode(b"a" + v + b"b"),
    "base64 at 2": lambda v: base64.urlsafe_b64encode(b"ab" + v + b"b"),
    "hex": lambda v: v.hex().encode(),
    "HEX": lambda v: v.hex().upper().encode(),
    "percent": lambda v: quote(v, safe="").encode(),
    "percent of all": lambda v: b"".join(b"%%%02x" % byte for byte in v),
}


@pytest.mark.parametrize("form", ECHOES)
def test_b38_an_upstream_that_echoes_the_secret_shows_the_placeholder(form: str) -> None:
    body = b'{"you sent": "' + ECHOES[form](REAL) + b'"}'
    assert Scrubber().clean(body) == body
    for size in (1, 2, 3, 7, 16, len(body)):
        stream = SCRUBBER.stream()
        out = b"".join(stream.feed(body[at : at + size]) for at in range(0, len(body), size)) + stream.finish()
        assert ECHOES[form](REAL) not in out
        assert stream.hits == {"anthropic": 1}
        assert SCRUBBER.contains_secret(out) is None


def test_b38_a_trace_reply_shows_the_placeholder() -> None:
    reply = b"TRACE / HTTP/1.1\r\nAuthorization: Bearer " + REAL + b"\r\n\r\n"
    assert SCRUBBER.clean(reply) == reply.replace(REAL, PLACEHOLDER)


TOKEN_ENDPOINTS = [
    ("platform.claude.com", "/v1/oauth/token"),
    ("console.anthropic.com", "/v1/oauth/token"),
    ("api.anthropic.com", "/v1/oauth/token"),
    ("api.anthropic.com", "/api/oauth/claude_cli/create_api_key"),
    ("auth.openai.com", "/oauth/token"),
    ("oauth2.googleapis.com", "/token"),
    ("github.com", "/login/oauth/access_token"),
]


@pytest.mark.parametrize("name", sorted(shipped()))
@pytest.mark.parametrize("mode", ["headless", "interactive"])
def test_b39_no_shipped_route_reaches_an_endpoint_that_hands_out_tokens(name: str, mode: fit.Mode) -> None:
    """A fresh real token in a reply is no needle yet, so the agent must not be able to ask for one."""
    harness = shipped()[name]
    for credential in (*harness.credentials, None):
        compiled = decide.compile(Policy("default", fit.routes(harness, mode, credential)))
        for host, path in TOKEN_ENDPOINTS:
            request = Request(Target("https", host, 443), "POST", path)
            assert decide.decide(compiled, request).kind is Kind.DENY, (host, path)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Basic dXNlcjpwYXNz")],
        [(b"authorization", b"token x")],
        [(b"x-api-key", b"x"), (b"x-bot-bottle-scheme", b"query")],
        [(b"cookie", b"token=x")],
        [(b"x-echo", PLACEHOLDER)],
    ],
)
@pytest.mark.parametrize("query", ["", "key=x", f"echo={PLACEHOLDER.decode()}"])
def test_b40_the_route_alone_chooses_format_and_place(headers: Headers, query: str) -> None:
    """GHSA-f28g-86hc-823q: a client that chose where the secret goes had it reflected."""
    out, left = sent(headers, query)
    assert [field for field in out if REAL in field[1]] == [(b"authorization", b"Bearer " + REAL)]
    assert REAL.decode() not in left


def test_b41_a_route_with_auth_never_lets_the_placeholder_out_in_its_place() -> None:
    placeholder: Headers = [(b"x-api-key", PLACEHOLDER)]
    assert PLACEHOLDER in wire(prepare_headers(placeholder, "", None, None, True, scheme="https"))
    for unset in (None, b""):
        with pytest.raises(OperatorFault) as refused:
            prepare_headers(placeholder, "", BEARER, unset, True, scheme="https")
        assert refused.value.slug == "custody.unset"
        assert "secret set anthropic" in refused.value.hint


CONNECTIONS = [
    b"Authorization",
    b"close, authorization",
    b"keep-alive,AUTHORIZATION",
    b"x-api-key, Authorization, te",
]


@pytest.mark.parametrize("value", CONNECTIONS)
def test_b42_connection_cannot_name_our_header(value: bytes) -> None:
    headers, _ = sent([(b"Connection", value), (b"accept", b"*/*")])
    assert (b"authorization", b"Bearer " + REAL) in headers
    named = {
        token.strip().lower()
        for name, field in headers
        if name.lower() == b"connection"
        for token in field.split(b",")
    }
    assert b"authorization" not in named


@pytest.mark.parametrize("value", CONNECTIONS)
def test_p10_what_connection_names_is_dropped_before_injection(value: bytes) -> None:
    """A strict next hop drops the fields that `Connection` names (RFC 9110 7.6.1): ours must not be among them."""

    def next_hop(headers: Headers) -> Headers:
        named = {t.strip().lower() for n, v in headers if n.lower() == b"connection" for t in v.split(b",")}
        return [field for field in headers if field[0].lower() not in named]

    asked: Headers = [(b"Connection", value), (b"X-Api-Key", b"agent"), (b"te", b"trailers")]
    control = [*asked, (b"authorization", b"Bearer " + REAL)]
    assert not any(REAL in field[1] for field in next_hop(control))
    assert any(REAL in field[1] for field in next_hop(sent(asked)[0]))


def test_p10_a_named_field_does_not_reach_the_next_hop() -> None:
    headers, _ = sent([(b"Connection", b"X-Hop, close"), (b"x-hop", b"1"), (b"x-end", b"2")])
    assert headers[:2] == [(b"x-end", b"2"), (b"connection", b"close")]


@pytest.mark.parametrize("name", [b"x-company-door", b"X_Company_Door", b"x%2dcompany%2ddoor"])
def test_d11_the_routes_own_header_is_ours_alone(name: bytes) -> None:
    """A name that no list of carriers knows is a carrier because the route says so."""
    assert AGENT in wire(sent([(name, AGENT)]))
    headers, _ = sent([(name, AGENT)], auth=Auth("header", "anthropic", "X-Company-Door"))
    assert headers == [(b"x-company-door", REAL)]


@pytest.mark.parametrize("form", ECHOES)
def test_b43_a_real_secret_that_the_agent_sends_is_found(form: str) -> None:
    head = b"GET /x?y=" + ECHOES[form](REAL) + b" HTTP/1.1\r\n\r\n"
    assert Scrubber().contains_secret(head) is None
    assert SCRUBBER.contains_secret(head) == "anthropic"
    assert SCRUBBER.contains_secret(head.replace(ECHOES[form](REAL), ECHOES[form](PLACEHOLDER))) is None


def test_b43_a_body_is_stopped_before_the_secret_is_whole() -> None:
    """Sent in single bytes: nothing from the secret's first byte on has left when it is recognised."""
    stream, passed = SCRUBBER.stream(), b""
    for byte in b'{"note": "' + REAL + b'"}':
        out = stream.feed(bytes((byte,)))
        if stream.hits:
            break
        passed += out
    assert stream.hits == {"anthropic": 1}
    assert passed == b'{"note": "'


def test_b46_no_secret_over_cleartext() -> None:
    assert REAL in wire(sent([], scheme="https"))
    with pytest.raises(OperatorFault) as refused:
        sent([], scheme="http")
    assert refused.value.slug == "custody.cleartext"


@pytest.mark.parametrize("bad", [b"\r\nX-Admin: 1", b"\n", b"\r", b"\0", b"\x7f"])
@pytest.mark.parametrize(
    "auth", [BEARER, Auth("header", "anthropic", "x-api-key"), Auth("query", "anthropic", "key")]
)
def test_b40_a_value_with_line_breaks_is_refused(bad: bytes, auth: Auth) -> None:
    with pytest.raises(OperatorFault) as refused:
        prepare_headers([], "", auth, REAL + bad, False, scheme="https")
    assert refused.value.slug == "custody.value"
    assert "R3aL" not in str(refused.value)


def test_b48_no_text_of_ours_holds_a_part_of_a_secret() -> None:
    secret = Secret("anthropic", REAL)
    message = Secrets({"anthropic": REAL}, {"anthropic": PLACEHOLDER.decode()})
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr(message), str(message)]
    shown += [repr(needle) for needle in needles("anthropic", REAL, PLACEHOLDER)] + [repr(SCRUBBER.stream())]
    for broken in (
        lambda: pickle.dumps(secret),
        lambda: prepare_headers([], "", BEARER, REAL + b"\n", False, scheme="https"),
    ):
        try:
            broken()
        except (TypeError, BottleError) as error:
            shown.append("".join(traceback.format_exception(error)))
    assert len(shown) > 10
    assert [text for text in shown if re.search("R3aL|sk-ant", text)] == []


def test_d02_no_window_of_a_secret_is_masked_and_a_refusal_tells_no_form() -> None:
    """An agent that asks an echo service with growing guesses sees no difference before the whole secret."""
    for size in range(1, len(REAL)):
        guess = b"x " + REAL[:size] + b" y"
        assert SCRUBBER.clean(guess) == guess
        assert SCRUBBER.contains_secret(guess) is None
    told = {SCRUBBER.contains_secret(form(REAL)) for form in ECHOES.values()}
    assert told == {"anthropic"}


def test_d12_a_secret_comes_back_on_a_route_that_never_sent_it() -> None:
    """The needles are all secrets that the gateway holds, whatever route the reply belongs to."""
    both = Scrubber(
        [
            *needles("anthropic", REAL, PLACEHOLDER),
            *needles("forge", b"glpat-0123456789abcdef", b"glpat-" + b"p" * 16),
        ]
    )
    reply = b'{"stored note": "glpat-0123456789abcdef"}'
    assert SCRUBBER.clean(reply) == reply
    assert b"glpat-0123456789abcdef" not in both.clean(reply)


def test_d12_a_compressed_reply_is_blind_without_identity() -> None:
    """Why the gateway asks for identity and undoes what comes all the same: the scrubber cannot see into gzip."""
    packed = gzip.compress(REAL * 3)
    assert SCRUBBER.contains_secret(packed) is None
    assert SCRUBBER.contains_secret(gzip.decompress(packed)) == "anthropic"


HOSTILE = "path\x1b[2J\x1b]52;c;ZXZpbA==\x07 \u202egnp.exe \U000e0041\u200b </tag>\r\nX-Injected: 1"


@pytest.mark.parametrize("shape", ["", "anthropic", "openai", "google"])
def test_b73_an_answer_shows_no_control_bidi_or_tag_characters(shape: str) -> None:
    answers = [
        denial(deny(HOSTILE, HOSTILE, HOSTILE), request=HOSTILE, shape=shape),
        fault(400, HOSTILE, HOSTILE, hint=HOSTILE, shape=shape),
    ]
    for answer in answers:
        head, _, body = answer.encode().partition(b"\r\n\r\n")
        assert b"X-Injected" not in head
        text = json.dumps(json.loads(body), ensure_ascii=False)
        assert not re.search("[\x00-\x1f\x7f\u200b\u202e\U000e0000-\U000e007f]", text)
        assert "\\\\u{1b}" in text
