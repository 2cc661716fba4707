"""JSON-RPC bodies: any bytes are messages or a Fault; any URL is a target or a ValueError."""

import sys

import msgspec

from bot_bottle.egress.mcp import protocol
from bot_bottle.egress.mcp.access import parse_url
from bot_bottle.egress.mcp.jsonrpc import MAX_BATCH, Call, Fault, Invalid, parse
from bot_bottle.egress.wire.http1 import Malformed, parse_request
from bot_bottle.policy.hosts import canonical_host
from bot_bottle.policy.paths import canonical_path


def test_one_input(data: bytes) -> None:
    _url(data.decode("utf-8", "replace"))
    try:
        message = parse(data)
    except Fault as fault:
        assert fault.code in (-32700, -32600) and fault.what
        return
    assert msgspec.json.encode(message.items)  # what is searched for secrets
    assert 0 < len(message.items) <= MAX_BATCH and (message.batch or len(message.items) == 1)
    for item in message.items:
        if isinstance(item, Call):
            assert item.id is None or (isinstance(item.id, str | int) and not isinstance(item.id, bool))
        elif isinstance(item, Invalid):
            assert item.code in (-32600, -32602)
    for version in (b"", b"MCP-Protocol-Version: 2026-07-28\r\n", b"MCP-Protocol-Version: " + data[:20] + b"\r\n"):
        try:
            head = parse_request(b"POST /mcp HTTP/1.1\r\nHost: x\r\n" + version + b"\r\n")
            assert protocol.speech(head, message).version in protocol.SUPPORTED
        except (Malformed, protocol.Refusal):
            pass


def _url(text: str) -> None:
    try:
        target, path = parse_url(text)
    except ValueError:
        return
    assert target.scheme in ("http", "https") and 0 < target.port < 65536
    assert canonical_host(target.host) == target.host and canonical_path(path) == path


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
