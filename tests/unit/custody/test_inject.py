"""Injection: exactly one credential leaves, ours, in the route's own format."""

import base64
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.errors import OperatorFault
from bot_bottle.custody import carriers
from bot_bottle.custody.inject import Headers, prepare_headers
from bot_bottle.policy.verdict import Auth

VALUE = b"sk-real-0123456789"


def prepared(headers: Headers, query: str, auth: Auth | None, agent: bool = False) -> tuple[Headers, str]:
    return prepare_headers(headers, query, auth, VALUE, agent, scheme="https")


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        (Auth("bearer", "example"), (b"authorization", b"Bearer " + VALUE)),
        (Auth("token", "example"), (b"authorization", b"token " + VALUE)),
        (Auth("header", "example", "X-Api-Key"), (b"x-api-key", VALUE)),
    ],
)
def test_the_route_says_where_and_how(auth: Auth, field: tuple[bytes, bytes]) -> None:
    headers, query = prepared([(b"accept", b"*/*"), (b"x-api-key", b"agent")], "a=1", auth)
    assert headers == [(b"accept", b"*/*"), field]
    assert query == "a=1"


def test_basic_is_the_pair_in_base64() -> None:
    headers, _ = prepare_headers([], "", Auth("basic", "example"), b"user:pa:ss", False, scheme="https")
    assert headers == [(b"authorization", b"Basic " + base64.b64encode(b"user:pa:ss"))]
    with pytest.raises(OperatorFault, match="user:password"):
        prepared([], "", Auth("basic", "example"))


def test_query_is_one_pair_of_ours() -> None:
    auth = Auth("query", "example", "my key")
    headers, query = prepared([], "my%20key=agent&MY_KEY=agent&a=b+c&&key=agent", auth)
    assert headers == []
    assert query == "a=b+c&my%20key=sk-real-0123456789"


def test_without_auth_credentials_are_removed_and_without_a_secret_nothing_is_added() -> None:
    headers, query = prepared([(b"Cookie", b"a=b"), (b"accept", b"*/*")], "token=x&page_token=y", None)
    assert headers == [(b"accept", b"*/*")]
    assert query == "page_token=y"


def test_agent_credentials_pass_where_the_route_says_so_but_never_to_a_route_with_auth() -> None:
    headers: Headers = [(b"authorization", b"Bearer agent"), (b"proxy-authorization", b"x")]
    assert prepared(headers, "token=x", None, agent=True) == ([(b"authorization", b"Bearer agent")], "token=x")
    assert prepared(headers, "token=x", Auth("bearer", "example"), agent=True) == (
        [(b"authorization", b"Bearer " + VALUE)],
        "",
    )


@pytest.mark.parametrize("scheme", ["digest", "", "header", "query"])
def test_an_unknown_scheme_is_refused(scheme: str) -> None:
    with pytest.raises(OperatorFault):
        prepared([], "", Auth(scheme, "example"))


names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=20)


@given(st.lists(st.tuples(names, st.text(max_size=10)), max_size=8), st.text(max_size=40))
def test_exactly_one_credential_leaves(fields: list[tuple[str, str]], query: str) -> None:
    agent: Headers = [(name.encode(), value.encode("utf-8", "replace")) for name, value in fields]
    headers, left = prepared(agent, query, Auth("bearer", "example"))
    assert [field for field in headers if carriers.is_header(field[0])] == [(b"authorization", b"Bearer " + VALUE)]
    assert not [key for key, _ in parse_qsl(left, keep_blank_values=True) if carriers.is_query(key)]


@given(st.lists(st.tuples(names, names), max_size=6))
def test_ordinary_fields_are_kept_in_order(fields: list[tuple[str, str]]) -> None:
    agent: Headers = [(b"x-plain-" + name.encode() + b"-x", value.encode()) for name, value in fields]
    kept = [field for field in agent if not carriers.is_header(field[0])]
    assert prepared(agent, "", None)[0] == kept


HARMLESS = """
idempotency-key sec-websocket-key sec-websocket-version anthropic-version anthropic-beta content-type if-none-match
x-app x-stainless-lang x-stainless-retry-count x-client-request-id user-agent accept session_id conversation_id
chatgpt-account-id openai-organization openai-project openai-beta originator x-goog-api-client git-protocol
npm-command npm-session npm-auth-type x-github-api-version x-amz-date x-amz-target x-requested-with cache-control
"""


@pytest.mark.parametrize("name", HARMLESS.split())
def test_what_is_no_credential_is_kept(name: str) -> None:
    """Headers that real agents and package clients need (facts/agents.md, measured)."""
    assert not carriers.is_header(name.encode())


@pytest.mark.parametrize(
    "key", ["page_token", "next_page_token", "pageToken", "beta", "q", "sort", "state", "keyword", "tokens"]
)
def test_ordinary_query_keys_are_kept(key: str) -> None:
    assert not carriers.is_query(key)


def test_a_key_in_a_websocket_subprotocol_is_a_credential() -> None:
    offered = [(b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key.sk-agent, openai-beta.realtime-v1")]
    headers, _ = prepared(offered, "", Auth("bearer", "example"))
    assert headers[0] == (b"Sec-WebSocket-Protocol", b"realtime, openai-beta.realtime-v1")
