"""OTLP and the webhook against receivers that check; and what may answer us (post.py)."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from bot_bottle.audit.encode import encode
from bot_bottle.audit.entries import entry
from bot_bottle.audit.sinks import signing
from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.audit.sinks.otlp import OtlpConfig, OtlpSink, problems
from bot_bottle.audit.sinks.post import Poster, retry_after, url_problem
from bot_bottle.audit.sinks.webhook import WebhookConfig, WebhookSink
from bot_bottle.audit.sinks.webhook import problems as webhook_problems
from sink_receivers import Certificates, HttpReceiver, Post, certificates, otlp, records

from .conftest import RUN, a_record, batch


def test_otlp_says_everything_a_collector_sorts_by() -> None:
    receiver = HttpReceiver()
    sink = OtlpSink(OtlpConfig(url=f"{receiver.url}/v1/logs", token_secret="t"), {"t": b"abc\n"})
    one = entry(RUN, 7, encode(a_record(7, status=403, address="203.0.113.9", findings=("aws-key",))))
    sink.send([one])
    sink.close()
    receiver.stop()
    (post,) = receiver.posts
    assert post.path == "/v1/logs"
    assert post.headers["authorization"] == "Bearer abc"
    assert post.headers["content-type"] == "application/json"
    request = otlp(post)
    attributes = {one.key: one.value.string_value for one in request.resource_logs[0].resource.attributes}
    assert attributes["service.name"] == "bot-bottle"
    (log,) = records(request)
    assert log.time_unix_nano == one.record.time
    assert (log.severity_number, log.severity_text, log.event_name) == (17, "ERROR", "bot_bottle.denied")
    found = {one.key: one.value for one in log.attributes}
    assert found["bot_bottle.uid"].string_value == one.uid
    assert found["http.response.status_code"].int_value == 403
    assert json.loads(log.body.string_value)["record"]["path"] == "/7"


@pytest.mark.parametrize("moment", [-5, 0, 2**62, 2**63 - 1])
def test_otlp_takes_any_time(moment: int) -> None:
    receiver = HttpReceiver()
    with closing(OtlpSink(OtlpConfig(url=receiver.url), {})) as sink:
        sink.send([entry(RUN, 0, encode(a_record(0, time=moment)))])
    receiver.stop()
    assert next(records(otlp(receiver.posts[0]))).time_unix_nano == max(0, moment)


@pytest.mark.parametrize(
    ("status", "headers", "body", "words", "after"),
    [
        (503, {"Retry-After": "7"}, b"", "answered 503", 7),
        (429, {"Retry-After": "99999999"}, b"", "answered 429", 3600),
        (401, {}, b"", "Check the secret", 0),
        (400, {}, b"\x1b[31mno", "answered 400", 0),
        (301, {"Location": "http://127.0.0.1:1/"}, b"", "answered 301", 0),
        (
            200,
            {"Content-Type": "application/json"},
            b'{"partialSuccess":{"rejectedLogRecords":"2"}}',
            "rejected 2 of 3",
            0,
        ),
    ],
)
def test_otlp_what_is_not_taken_is_a_fault(
    status: int, headers: dict[str, str], body: bytes, words: str, after: float
) -> None:
    receiver = HttpReceiver(lambda _post: (status, headers, body))
    with pytest.raises(SinkFault) as caught, closing(OtlpSink(OtlpConfig(url=receiver.url), {})) as sink:
        sink.send(batch(0, 3))
    receiver.stop()
    assert words in str(caught.value)
    assert caught.value.after == after
    assert len(receiver.posts) == 1, "no redirect is followed"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"rubbish", b'{"partialSuccess":{}}', b'{"partialSuccess":{"errorMessage":"x"}}']
)
def test_otlp_what_is_taken_is_none(body: bytes) -> None:
    receiver = HttpReceiver(lambda _post: (200, {"Content-Type": "application/json"}, body))
    with closing(OtlpSink(OtlpConfig(url=receiver.url), {})) as sink:
        sink.send(batch(0, 3))
    receiver.stop()


def test_too_large_is_said() -> None:
    receiver = HttpReceiver(lambda _post: (413, {}, b""))
    config = OtlpConfig(url=receiver.url, compress=False)
    with pytest.raises(SinkFault) as caught, closing(OtlpSink(config, {})) as sink:
        sink.send(batch(0, 3))
    receiver.stop()
    assert caught.value.too_large


def checked(post: Post, key: bytes) -> bool:
    """As a receiver checks, from the specification (standardwebhooks.com), not with our code."""
    text = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
    wanted = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    fresh = abs(time.time() - int(post.headers["webhook-timestamp"])) < 60
    return fresh and post.headers["webhook-signature"] == f"v1,{wanted}"


def test_a_webhook_is_signed_and_a_repeat_has_the_same_id() -> None:
    receiver = HttpReceiver()
    key = b"0123456789abcdef0123456789abcdef"
    secrets = {"k": b"whsec_" + base64.b64encode(key), "plain": key + b"\n"}
    for name in ("k", "plain", "k"):
        with closing(WebhookSink(WebhookConfig(url=receiver.url, signing_secret=name), secrets)) as sink:
            sink.send(batch(0, 3))
    receiver.stop()
    assert all(checked(post, key) for post in receiver.posts)
    assert not checked(receiver.posts[0], b"other")
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 1
    changed = Post("/", receiver.posts[0].headers, receiver.posts[0].body.replace(b"no route", b"no rouse"))
    assert not checked(changed, key)
    assert signing.key_of(b"whsec_!!") == b"whsec_!!"


def test_https_takes_no_other_authority(certs: Certificates, tmp_path: Path) -> None:
    receiver = HttpReceiver(context=certs.server())
    with closing(Poster(receiver.url, str(certs.ca))) as poster:
        assert poster.post(b"x", {}).ok
    for ca in ("", str(certificates(tmp_path).ca)):
        with pytest.raises(SinkFault, match="not trusted"):
            Poster(receiver.url, ca).post(b"x", {})
    with pytest.raises(SinkFault, match="holds no certificate"):
        Poster(receiver.url, "/etc/hosts").post(b"x", {})
    receiver.stop()


def test_a_connection_is_used_again_and_renewed() -> None:
    receiver = HttpReceiver(
        lambda post: (200, {"Connection": "close"} if post.path == "/close" else {}, b"y" * 70_000)
    )
    poster = Poster(receiver.url)
    for _ in range(3):
        assert len(poster.post(b"x", {}).body) == 65_536
        assert poster._link is None, "a reply that was not read to its end ends the connection"
    other = Poster(receiver.url + "/close")
    for _ in range(3):
        assert other.post(b"x", {}).ok
    poster.close()
    other.close()
    receiver.stop()


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 60_000])
def test_a_reply_that_was_read_keeps_the_connection(body: bytes) -> None:
    receiver = HttpReceiver(lambda _post: (200, {}, body))
    with closing(Poster(receiver.url)) as poster:
        links = set()
        for _ in range(3):
            assert poster.post(b"x", {}).body == body
            links.add(id(poster._link))
            assert poster._link is not None
        assert len(links) == 1
    receiver.stop()


def test_an_idle_connection_that_was_ended_is_no_fault() -> None:
    """A server ends what is idle, without a word; that must not look like a failing sink."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen: list[bytes] = []
        ended = threading.Event()

        def serve() -> None:
            for _ in range(2):
                link, _ = listener.accept()
                data = link.recv(65536)
                while not data.endswith((b"one", b"two")):
                    data += link.recv(65536)
                seen.append(data[-3:])
                link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                link.close()
                ended.set()

        thread = threading.Thread(target=serve)
        thread.start()
        with closing(Poster(f"http://127.0.0.1:{listener.getsockname()[1]}")) as poster:
            assert poster.post(b"one", {}).ok
            assert poster._link is not None
            ended.wait(5)
            assert poster.post(b"two", {}).ok
        thread.join(5)
        assert seen == [b"one", b"two"]


def test_a_reply_that_drips_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def drip() -> None:
            link, _ = listener.accept()
            link.recv(65536)
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not done.wait(0.02):
                try:
                    link.sendall(b"x")
                except OSError:
                    break
            link.close()

        thread = threading.Thread(target=drip)
        thread.start()
        begun = time.monotonic()
        with closing(Poster(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5)) as poster:
            assert poster.post(b"x", {}).ok
        assert time.monotonic() - begun < 5
        done.set()
        thread.join(5)


def test_a_header_from_a_secret_cannot_add_another() -> None:
    """B73: a secret with a line end in it is a fault, not a second header."""
    receiver = HttpReceiver()
    sink = OtlpSink(OtlpConfig(url=receiver.url, token_secret="t"), {"t": b"abc\r\nX-Evil: 1"})
    with pytest.raises(SinkFault) as caught:
        sink.send(batch(0, 1))
    receiver.stop()
    assert receiver.posts == []
    assert "abc" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://collector.example/v1/logs", True), ("https://collector.example:4318/x?y=1", True),
        ("http://127.0.0.1:4318/", True), ("http://localhost/", True), ("http://[::1]:1/", True),
        ("http://collector.example/", False), ("ftp://x/", False), ("https://", False), ("x", False), ("", False),
        ("https://user:pass@x/", False), ("https://x/#f", False), ("https://x/a b", False), ("https://x/\r\nA: b", False),
        ("https://x:99999/", False), ("https://[::1", False), ("file:///etc/passwd", False),
    ],
)  # fmt: skip
def test_which_addresses_are_posted_to(url: str, fine: bool) -> None:
    assert (url_problem(url) == "") is fine
    assert url_problem("http://collector.example/", plain=True) == ""


def test_retry_after_is_bounded_and_forgiving() -> None:
    assert retry_after("", 0) == retry_after("soon", 0) == retry_after("-5", 0) == 0
    assert retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 20) == 40
    assert retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 90) == 0


def test_settings_that_do_not_fit() -> None:
    assert problems(OtlpConfig(url="http://x.example/"))[0][0] == "url"
    assert problems(OtlpConfig(url="https://x/", header="X"))[0][0] == "header"
    assert problems(OtlpConfig(url="https://x/", header="X y", header_secret="s"))[0][0] == "header"
    assert webhook_problems(WebhookConfig(url="http://x.example/", signing_secret="")) != []
