"""DNS questions: one, plain, short; everything else is FORMERR. Answers repeat the question and nothing more."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.egress.names import SyntheticNames
from bot_bottle.egress.wire import dns


def question(name: str = "api.example.com", kind: int = dns.A, group: int = 1) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".") if label)
    return labels + b"\0" + struct.pack("!HH", kind, group)


def message(body: bytes, flags: int = 0x0100, counts: tuple[int, int, int, int] = (1, 0, 0, 0)) -> bytes:
    return struct.pack("!HHHHHH", 0x1234, flags, *counts) + body


EDNS = b"\0" + struct.pack("!HHIH", dns.OPT, 4096, 0, 4) + b"abcd"


def test_a_question_is_read() -> None:
    query = dns.parse_query(message(question("API.Example.com", dns.AAAA)))
    assert (query.id, query.name, query.kind, query.edns) == (0x1234, "api.example.com", dns.AAAA, False)
    assert dns.parse_query(message(question() + EDNS, counts=(1, 0, 0, 1))).edns
    assert dns.parse_query(message(question(""))).name == ""


MALFORMED = {
    "no question": message(b"", counts=(0, 0, 0, 0)),
    "two questions": message(question() * 2, counts=(2, 0, 0, 0)),
    "an answer inside": message(question() + question() + b"\0" * 6, counts=(1, 1, 0, 0)),
    "an authority inside": message(question(), counts=(1, 0, 1, 0)),
    "two additional records": message(question() + EDNS * 2, counts=(1, 0, 0, 2)),
    "compressed name": message(b"\xc0\x0c" + struct.pack("!HH", 1, 1)),
    "label over 63": message(b"\x40" + b"a" * 64 + b"\0" + struct.pack("!HH", 1, 1)),
    "name over 255": message(question(".".join(["a" * 60] * 5))),
    "no end of name": message(b"\x03abc"),
    "label past the end": message(b"\x30abc"),
    "class chaos": message(question(group=3)),
    "trailing bytes": message(question() + b"x"),
    "additional that is no EDNS": message(question() + question() + b"\0" * 6, counts=(1, 0, 0, 1)),
    "edns version 1": message(question() + b"\0" + struct.pack("!HHIH", 41, 512, 0x10000, 0), counts=(1, 0, 0, 1)),
    "edns past the end": message(question() + b"\0" + struct.pack("!HHIH", 41, 512, 0, 9), counts=(1, 0, 0, 1)),
    "a dot inside a label": message(b"\x03a.b\0" + struct.pack("!HH", 1, 1)),
    "a NUL inside a label": message(b"\x03a\0b\0" + struct.pack("!HH", 1, 1)),
    "over 512 bytes": message(question() + b"\0" + struct.pack("!HHIH", 41, 512, 0, 600) + b"x" * 600, counts=(1, 0, 0, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_anything_else_is_formerr(name: str) -> None:
    with pytest.raises(dns.Malformed) as fault:
        dns.parse_query(MALFORMED[name])
    ident, flags, *counts = struct.unpack("!HHHHHH", fault.value.reply)
    assert (ident, flags & 0xF, flags >> 15, counts) == (0x1234, dns.FORMERR, 1, [0, 0, 0, 0])


def test_a_response_is_never_answered_and_another_opcode_is_not_implemented() -> None:
    with pytest.raises(dns.Malformed) as response:
        dns.parse_query(message(question(), flags=0x8000))
    assert response.value.reply == b""
    with pytest.raises(dns.Malformed) as update:
        dns.parse_query(message(question(), flags=5 << 11))
    assert update.value.reply[3] & 0xF == dns.NOTIMP


def test_an_address_answer_has_the_question_and_one_address() -> None:
    query = dns.parse_query(message(question() + EDNS, counts=(1, 0, 0, 1)))
    reply = dns.address_answer(query, "198.18.0.7", ttl=30)
    ident, flags, *counts = struct.unpack_from("!HHHHHH", reply)
    assert (ident, flags & 0xF, counts) == (0x1234, 0, [1, 1, 0, 1])
    body = reply[12:]
    assert body.startswith(question())
    record = body[len(question()) :]
    assert struct.unpack_from("!HHHIH", record) == (0xC00C, dns.A, 1, 30, 4)
    assert record[12:16] == bytes((198, 18, 0, 7))


def test_an_address_of_the_other_family_is_no_data() -> None:
    query = dns.parse_query(message(question(kind=dns.AAAA)))
    assert dns.address_answer(query, "198.18.0.7") == dns.empty(query)
    assert struct.unpack_from("!HHHIH", dns.address_answer(query, "fd00::1"), 12 + len(question()))[1] == dns.AAAA


@pytest.mark.parametrize(("build", "code"), [(dns.empty, 0), (dns.refused, 5), (dns.nxdomain, 3)])
def test_answers_without_records(build: object, code: int) -> None:
    query = dns.parse_query(message(question()))
    reply = build(query)  # type: ignore[operator]
    assert reply[3] & 0xF == code
    assert reply[12:] == question()


def test_tcp_messages_are_taken_one_by_one() -> None:
    one = message(question())
    buffer = bytearray(dns.framed(one) + dns.framed(one)[:5])
    assert dns.unframed(buffer) == one
    assert dns.unframed(buffer) is None
    buffer += dns.framed(one)[5:]
    assert dns.unframed(buffer) == one
    for length in (0, 11, 513, 65535):
        with pytest.raises(dns.Malformed):
            dns.unframed(bytearray(struct.pack("!H", length)))


labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)


@given(st.lists(labels, min_size=1, max_size=8), st.integers(0, 65535))
def test_any_plain_name_is_read_back(parts: list[str], kind: int) -> None:
    query = dns.parse_query(message(question(".".join(parts), kind)))
    assert (query.name, query.kind) == (".".join(parts), kind)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_query_or_malformed(data: bytes) -> None:
    try:
        query = dns.parse_query(data)
    except dns.Malformed as fault:
        assert len(fault.reply) in (0, 12)
        return
    assert len(query.name) <= 253
    assert len(dns.refused(query)) <= dns.MAX_QUERY + 11


def test_d18_names_that_no_route_names_have_a_smaller_budget() -> None:
    """`egress.default: ask` answers any name: an agent that asks for ever new ones must not fill memory."""
    names = SyntheticNames()
    given = [names.addresses(f"n{number}.test", 3) for number in range(5)]
    assert all(given[:3]) and given[3:] == [None, None]
    assert names.addresses("n0.test", 3) == given[0]
    assert names.addresses("route.test") is not None
