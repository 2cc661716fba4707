"""egress.mcp.jsonrpc and .protocol: any bytes are messages or one error; revisions, and headers that must agree."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.egress.mcp import jsonrpc, protocol
from bot_bottle.egress.mcp.jsonrpc import Call, Fault, Invalid, Response, parse
from bot_bottle.egress.mcp.protocol import LEGACY, MODERN, Refusal, negotiated, speech
from bot_bottle.egress.wire.http1 import Head, parse_request

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2, None]), "id": VALUES, "method": st.text(max_size=8) | VALUES,
        "params": VALUES, "result": VALUES, "error": VALUES, "extra": VALUES,
    },
)  # fmt: skip
META = "io.modelcontextprotocol/"


def head(*fields: str) -> Head:
    return parse_request("\r\n".join(["POST /mcp HTTP/1.1", "Host: x", *fields, "", ""]).encode())


def call(method: str, version: str | None = None, **params: object) -> jsonrpc.Message:
    meta = {META + "protocolVersion": version, META + "clientCapabilities": {}} if version else {}
    more = {"_meta": meta} if version else {}
    return parse(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, **more}}).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_one_error(data: bytes) -> None:
    try:
        message = parse(data)
    except Fault as fault:
        assert fault.code in (jsonrpc.PARSE_ERROR, jsonrpc.INVALID_REQUEST)
    else:
        assert message.items


@given(MEMBERS | VALUES | st.lists(MEMBERS, min_size=1, max_size=5))
@settings(max_examples=300)
def test_any_json_is_classified_item_by_item(value: object) -> None:
    try:
        message = parse(json.dumps(value).encode())
    except Fault:
        assert value == [] or (isinstance(value, list) and len(value) > jsonrpc.MAX_BATCH) or _deep(value)
        return
    raw = value if isinstance(value, list) else [value]
    assert len(message.items) == len(raw) and message.batch == isinstance(value, list)
    for item, one in zip(message.items, raw, strict=True):
        if isinstance(item, Call):
            assert isinstance(one, dict) and one["jsonrpc"] == "2.0"
            assert one["method"] == item.method and one.get("id") == item.id and one.get("params", {}) == item.params
            assert ("id" in one) == (item.id is not None)
        elif isinstance(item, Response):
            assert isinstance(one, dict) and "method" not in one


def _deep(value: object) -> bool:
    return json.dumps(value).count("[") + json.dumps(value).count("{") > jsonrpc.MAX_DEPTH


@pytest.mark.parametrize("id", [1.5, True, None, [], {}, "x" * 257, 2**53, -(2**60)])
def test_an_id_is_a_whole_number_or_a_short_string(id: object) -> None:
    (item,) = parse(json.dumps({"jsonrpc": "2.0", "id": id, "method": "ping"}).encode()).items
    assert item == Invalid(None, jsonrpc.INVALID_REQUEST, item.what)  # type: ignore[union-attr]


def test_depth_is_counted_outside_of_strings_before_anything_is_built() -> None:
    brackets = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": '[[{{"\\' * 100}})
    assert isinstance(parse(brackets.encode()).items[0], Call)
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = opening * (jsonrpc.MAX_DEPTH + 1) + "1" + closing * (jsonrpc.MAX_DEPTH + 1)
        with pytest.raises(Fault, match="deeper"):
            parse(text.encode())
    with pytest.raises(Fault, match="deeper"):
        parse(b"[" * 60000)
    assert sys.getrecursionlimit() >= 1000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'"\xed\xa0\x80"', b"NaN", b"{} {}", b"\xef\xbb\xbf{}", b"[" + b"1," * 17 + b"1]", b"[]"],
)
def test_what_is_no_message_is_one_error(body: bytes) -> None:
    with pytest.raises(Fault):
        parse(body)


def test_a_long_body_is_refused_unread() -> None:
    with pytest.raises(Fault, match="longer"):
        parse(b'"' + b"x" * jsonrpc.MAX_BODY + b'"')


@pytest.mark.parametrize("wanted", [*LEGACY])
def test_the_handshake_keeps_the_revision_of_the_client(wanted: str) -> None:
    assert negotiated(wanted) == wanted


@pytest.mark.parametrize("wanted", [MODERN, "1999-01-01", None, 7, []])
def test_the_handshake_offers_its_newest_for_all_else(wanted: object) -> None:
    assert negotiated(wanted) == LEGACY[0]


def test_plain_json_rpc_and_older_clients_need_no_header() -> None:
    assert speech(head(), call("tools/list")).version == protocol.ASSUMED
    for version in LEGACY:
        assert speech(head(f"MCP-Protocol-Version: {version}"), call("tools/list")).version == version


def test_a_revision_that_is_not_served_is_named_with_those_that_are() -> None:
    for said, message in ((("MCP-Protocol-Version: 1900-01-01",), call("tools/list")),
                          ((f"MCP-Protocol-Version: {MODERN}",), call("tools/list", "1900-01-01"))):  # fmt: skip
        with pytest.raises(Refusal) as refused:
            speech(head(*said), message)
        assert refused.value.code == protocol.UNSUPPORTED_VERSION and refused.value.id == 1
        assert refused.value.data == {"supported": list(protocol.SUPPORTED), "requested": "1900-01-01"}


GOOD = (f"MCP-Protocol-Version: {MODERN}", "Mcp-Method: tools/call", "Mcp-Name: list_routes")


def test_a_modern_request_agrees_with_its_headers() -> None:
    message = call("tools/call", MODERN, name="list_routes")
    assert speech(head(*GOOD), message).modern
    encoded = (*GOOD[:2], "Mcp-Name: =?base64?bGlzdF9yb3V0ZXM=?=")
    assert speech(head(*encoded), message).modern


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (GOOD[:2], protocol.HEADER_MISMATCH),
        ((*GOOD[:2], "Mcp-Name: report_done"), protocol.HEADER_MISMATCH),
        ((*GOOD[:2], "Mcp-Name: =?base64?!!?="), protocol.HEADER_MISMATCH),
        ((GOOD[0], "Mcp-Method: tools/list", GOOD[2]), protocol.HEADER_MISMATCH),
        ((GOOD[0], GOOD[2]), protocol.HEADER_MISMATCH),
        ((GOOD[1], GOOD[2]), protocol.HEADER_MISMATCH),
        (("MCP-Protocol-Version: 2025-11-25", *GOOD[1:]), None),
    ],
)
def test_a_modern_request_that_two_readers_take_differently_is_refused(
    fields: tuple[str, ...], code: int | None
) -> None:
    message = call("tools/call", MODERN, name="list_routes")
    if code is None:  # an older revision in the header decides; _meta is then only data
        assert not speech(head(*fields), message).modern
        return
    with pytest.raises(Refusal) as refused:
        speech(head(*fields), message)
    assert refused.value.code == code


def test_a_modern_request_says_who_asks_in_meta() -> None:
    for meta in ({}, {META + "protocolVersion": MODERN}, {META + "clientCapabilities": {}}):
        message = parse(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}).encode()
        )
        with pytest.raises(Refusal) as refused:
            speech(head(GOOD[0], "Mcp-Method: tools/list"), message)
        assert refused.value.code == jsonrpc.INVALID_PARAMS


def test_batches_exist_only_where_the_revision_has_them() -> None:
    body = b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]'
    for version in LEGACY:
        message = parse(body)
        if version in protocol.BATCHES:
            assert speech(head(f"MCP-Protocol-Version: {version}"), message).version == version
        else:
            with pytest.raises(Refusal):
                speech(head(f"MCP-Protocol-Version: {version}"), message)
    with pytest.raises(Refusal):
        speech(head(GOOD[0]), parse(body))
