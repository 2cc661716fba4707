"""What holds for every sink: all of a batch arrives, a fault is a SinkFault, it works again afterwards, nothing secret
is in a message. S3 passes the same in tests/interop/test_seaweedfs.py."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.sinks.file import FileConfig
from bot_bottle.audit.sinks.model import SinkConfig, SinkFault, secret_names
from bot_bottle.audit.sinks.otlp import OtlpConfig
from bot_bottle.audit.sinks.registry import SINKS, kind_of, open_sink
from bot_bottle.audit.sinks.syslog import SyslogConfig
from bot_bottle.audit.sinks.webhook import WebhookConfig
from bot_bottle.base.errors import OperatorFault
from sink_receivers import Certificates, HttpReceiver, SyslogReceiver, otlp, records

from .conftest import batch

SECRETS = {"key": b"whsec_c2VjcmV0LXZhbHVlLW9mLW91cnM=", "token": b"s3cr3t-token-value"}


@dataclass
class Stand:
    """uids: what has arrived, repeats and all. fail, heal: the other side breaks and comes back."""

    config: SinkConfig
    uids: Callable[[], list[str]]
    fail: Callable[[], None]
    heal: Callable[[], None]


def uid_of(line: bytes) -> str:
    document = json.loads(line)
    return (
        f"{document['log']}@{document['size']}" if "size" in document else f"{document['log']}/{document['number']}"
    )


def eventually(found: Callable[[], list[str]], wanted: set[str], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not wanted <= set(found()):
        assert time.monotonic() < end, sorted(wanted - set(found()))[:5]
        time.sleep(0.01)


def file_stand(tmp_path: Path) -> Iterator[Stand]:
    path = tmp_path / "out" / "log.jsonl"
    path.parent.mkdir()
    aside = tmp_path / "aside"

    def uids() -> list[str]:
        found = [file for folder in (path.parent, aside) if folder.exists() for file in sorted(folder.iterdir())]
        return [uid_of(line) for file in found for line in file.read_bytes().splitlines()]

    def heal() -> None:
        path.parent.mkdir()

    yield Stand(FileConfig(path=str(path)), uids, lambda: path.parent.rename(aside) and None, heal)


def syslog_stand(context=None, ca: str = "") -> Iterator[Stand]:
    receiver = SyslogReceiver(context)
    config = SyslogConfig(address=f"127.0.0.1:{receiver.port}", tls=context is not None, ca=ca, settle="0s")
    yield Stand(config, lambda: [uid_of(one.text) for one in receiver.messages], receiver.stop, receiver.start)
    receiver.stop()
    assert receiver.faults == []


def http_stand(make: Callable[[str], SinkConfig], lines: Callable[[HttpReceiver], list[bytes]]) -> Iterator[Stand]:
    state = {"status": 200}
    receiver = HttpReceiver(lambda _post: (state["status"], {}, b""))
    taken: list[bytes] = []

    def uids() -> list[str]:
        if state["status"] == 200:
            taken.extend(lines(receiver))
        receiver.posts.clear()
        return [uid_of(line) for line in taken]

    yield Stand(make(receiver.url), uids, lambda: state.update(status=503), lambda: state.update(status=200))
    receiver.stop()


def _webhook(url: str) -> SinkConfig:
    return WebhookConfig(url=f"{url}/in?x=1", signing_secret="key", token_secret="token")


def _otlp(url: str) -> SinkConfig:
    return OtlpConfig(url=f"{url}/v1/logs", token_secret="token", header="X-Scope-OrgID", header_secret="key")


def _otlp_lines(receiver: HttpReceiver) -> list[bytes]:
    return [one.body.string_value.encode() for post in receiver.posts for one in records(otlp(post))]


def _webhook_lines(receiver: HttpReceiver) -> list[bytes]:
    return [line for post in receiver.posts for line in post.body.splitlines()]


@pytest.fixture(params=["file", "syslog", "syslog-tls", "otlp", "webhook"])
def stand(request: pytest.FixtureRequest, tmp_path: Path, certs: Certificates) -> Iterator[Stand]:
    makers: dict[str, Callable[[], Iterator[Stand]]] = {
        "file": lambda: file_stand(tmp_path),
        "syslog": syslog_stand,
        "syslog-tls": lambda: syslog_stand(certs.server(), str(certs.ca)),
        "otlp": lambda: http_stand(_otlp, _otlp_lines),
        "webhook": lambda: http_stand(_webhook, _webhook_lines),
    }
    yield from makers[request.param]()


def test_the_registry_is_one_module_a_sink() -> None:
    assert set(SINKS) == {"file", "syslog", "otlp", "webhook", "s3"}
    for kind in SINKS.values():
        assert kind.config.__struct_config__.tag == kind.name
        assert kind.says


def test_a_batch_arrives_whole_and_in_order(stand: Stand, entries: list[Entry]) -> None:
    assert kind_of(stand.config).problems(stand.config) == []
    sink = open_sink(stand.config, SECRETS)
    sink.send(entries)
    sink.send(batch(20, 5))
    sink.check()
    sink.close()
    sink.close()
    eventually(stand.uids, {entry.uid for entry in [*entries, *batch(20, 5)]})
    assert stand.uids() == [entry.uid for entry in [*entries, *batch(20, 5)]]


def test_a_fault_is_said_and_passes(stand: Stand, entries: list[Entry]) -> None:
    sink = open_sink(stand.config, SECRETS)
    sink.send(entries)
    eventually(stand.uids, {entry.uid for entry in entries})
    stand.fail()
    with pytest.raises(SinkFault) as caught:
        for _ in range(3):
            sink.send(batch(20, 3))
            sink.check()
    for value in SECRETS.values():
        assert value.decode() not in str(caught.value)
    assert str(caught.value).count("\n") == 0
    sink.close()
    stand.heal()
    sink.send(batch(20, 3))
    sink.close()
    eventually(stand.uids, {entry.uid for entry in batch(20, 3)})


@pytest.mark.parametrize("name", ["numbered", "ocsf", "cef"])
def test_hostile_records_stay_one_record(stand: Stand, name: str) -> None:
    """B73 for every sink: what arrives is as many records as were sent."""
    hostile = 'a\r\nb\n<13>1 - - - - - -\n12 <13>1 \x1b[2J\u202e\ud800{"x":1}'
    found = batch(0, 5, path=hostile, reason=hostile, label="one", detail={hostile: hostile})
    config = msgspec.structs.replace(stand.config, format=name)
    sink = open_sink(config, SECRETS)
    sink.send(found)
    sink.close()
    if name == "numbered":
        eventually(stand.uids, {entry.uid for entry in found})
        assert len(stand.uids()) == 5


def test_an_unset_secret_is_named(tmp_path: Path) -> None:
    config = WebhookConfig(url="https://x.example/", signing_secret="siem-key")
    assert secret_names(config) == ("siem-key",)
    with pytest.raises(OperatorFault, match="siem-key is not set") as caught:
        open_sink(config, {})
    assert "bot-bottle secret set siem-key" in caught.value.hint


def test_nobody_there_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    for config in (SyslogConfig(address=f"127.0.0.1:{port}"), OtlpConfig(url=f"http://127.0.0.1:{port}/v1/logs")):
        with pytest.raises(SinkFault):
            open_sink(config, {}).send(batch(0, 1))
