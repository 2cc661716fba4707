"""RFC 5424 and its two framings: what a message looks like, and when it counts as delivered."""

import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.entries import entry
from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.audit.sinks.syslog import SyslogConfig, SyslogSink, message, name, problems
from sink_receivers import Certificates, SyslogReceiver, certificates, frames, syslog

from .conftest import RUN, a_record, batch


def test_a_message_says_who_when_and_how_bad() -> None:
    one = entry(RUN, 7, encode(a_record(7)))
    (frame,), rest = frames(message(one, b'{"x":1}\n', "box"))
    found = syslog(frame)
    assert rest == b""
    assert (found.priority, found.when) == (13 * 8 + 4, "2023-11-14T22:13:20.123456Z")
    assert (found.host, found.app, found.process, found.kind, found.text) == (
        "box",
        "bot-bottle",
        "one",
        "denied",
        b'{"x":1}',
    )


@given(st.text(max_size=60), st.text(max_size=60), st.binary(max_size=80), st.integers(-(2**62), 2**62))
def test_no_field_breaks_a_frame(label: str, kind: str, text: bytes, moment: int) -> None:
    record = decode(encode(a_record(0, label=label, kind=kind, time=moment)))
    one = entry(RUN, 0, encode(record))
    data = message(one, text, "h o\nst")
    found, rest = frames(data + data)
    assert rest == b""
    assert len(found) == 2
    assert b"\n" not in syslog(found[0]).text or b"\n" in text
    assert b"\n" not in found[0]


def test_header_names_are_cut_and_never_empty() -> None:
    assert (name("", 9), name("a b\x1b", 9), name("x" * 99, 9)) == ("-", "a?b?", "x" * 9)


def test_a_peer_that_went_away_is_noticed_before_anything_counts() -> None:
    receiver = SyslogReceiver()
    sink = SyslogSink(SyslogConfig(address=f"127.0.0.1:{receiver.port}", settle="1s"))
    assert sink.settle == 1
    sink.send(batch(0, 3))
    sink.check()
    while len(receiver.messages) < 3:
        time.sleep(0.01)
    receiver.drop()
    with pytest.raises(SinkFault):
        for _ in range(200):
            sink.check()
            time.sleep(0.01)
    sink.send(batch(3, 1))
    while len(receiver.messages) < 4:
        time.sleep(0.01)
    sink.close()
    receiver.stop()
    assert receiver.connections == 2


def test_tls_takes_no_other_authority(certs: Certificates, tmp_path: Path) -> None:
    receiver = SyslogReceiver(certs.server())
    address = f"127.0.0.1:{receiver.port}"
    for config in (
        SyslogConfig(address=address, tls=True),
        SyslogConfig(address=address, tls=True, ca=str(certificates(tmp_path).ca)),
    ):
        with pytest.raises(SinkFault, match="not trusted"):
            SyslogSink(config).send(batch(0, 1))
    receiver.stop()
    assert receiver.messages == []


def test_tls_shows_our_certificate_where_asked(certs: Certificates) -> None:
    receiver = SyslogReceiver(certs.server(clients=True))
    config = SyslogConfig(
        address=f"localhost:{receiver.port}", tls=True, ca=str(certs.ca), certificate=str(certs.certificate), key=str(certs.key),
    )  # fmt: skip
    sink = SyslogSink(config)
    sink.send(batch(0, 2))
    while len(receiver.messages) < 2:
        time.sleep(0.01)
    sink.close()
    receiver.stop()
    assert receiver.faults == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"address": "nowhere"}, "address"),
        ({"address": "h:x"}, "address"),
        ({"address": "logs.example:514"}, "address"),
        ({"key": "/etc/hosts"}, "key"),
        ({"ca": "/nowhere/ca.pem"}, "ca"),
        ({"settle": "soon"}, "settle"),
    ],
)
def test_settings_that_do_not_fit(changes: dict[str, object], field: str) -> None:
    good = SyslogConfig(address="127.0.0.1:514")
    assert problems(good) == []
    assert [name for name, _ in problems(msgspec.structs.replace(good, **changes))] == [field]
    assert problems(SyslogConfig(address="[::1]:514")) == []
    assert problems(SyslogConfig(address="logs.example:514", plain=True)) == []
