"""Web Push: the vector of RFC 8291, VAPID as a push service checks it, and who may be posted to at all."""

import base64
import os
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.base.errors import UsageFault
from bot_bottle.supervise.notify import push, webpush
from bot_bottle.supervise.notify.engine import notice_of
from bot_bottle.supervise.notify.push import PushConfig, PushNotifier, Subscription
from bot_bottle.supervise.notify.subscriptions import keep_only
from bot_bottle.supervise.notify.webpush import padded, unpadded
from sink_receivers import HttpReceiver, Post

from .conftest import LINK, NOW, PRIVATE, an_ask

CURVE = ec.SECP256R1()


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(padded(text), "big"), CURVE)


def test_the_vector_of_rfc_8291() -> None:
    """Appendix A."""
    sender = private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
    receiver = private("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
    public = padded("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
    auth, salt = padded("BTBZMqHH6r4Tts7J_aSIgg"), padded("DGv6ra1nlYgDCS1FRnbzlw")
    assert webpush.point(receiver) == public
    assert unpadded(webpush.point(sender)) == (
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    )
    body = webpush.encrypt(b"When I grow up, I want to be a watermelon", public, auth, sender, salt)
    assert unpadded(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w"
        "EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert webpush.decrypt(body, receiver, auth) == b"When I grow up, I want to be a watermelon"


@given(st.binary(max_size=webpush.MOST), st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_what_is_encrypted_comes_back_and_nothing_else_does(message: bytes, auth: bytes, salt: bytes) -> None:
    sender, receiver = ec.generate_private_key(CURVE), ec.generate_private_key(CURVE)
    body = webpush.encrypt(message, webpush.point(receiver), auth, sender, salt)
    assert len(body) <= webpush.RECORD
    if not message.endswith(b"\0"):
        assert webpush.decrypt(body, receiver, auth) == message.removesuffix(b"")
    with pytest.raises(InvalidTag):
        webpush.decrypt(body, receiver, bytes(16) if any(auth) else b"\1" * 16)


def test_keys_that_are_none_are_refused() -> None:
    for receiver, auth in ((b"\x04" + bytes(64), bytes(16)), (bytes(65), bytes(16)), (b"", bytes(16))):
        with pytest.raises(ValueError):
            webpush.encrypt(b"x", receiver, auth, ec.generate_private_key(CURVE), bytes(16))
    with pytest.raises(ValueError):
        webpush.encrypt(b"x" * 5000, bytes(65), bytes(16), ec.generate_private_key(CURVE), bytes(16))


def test_vapid_is_what_a_push_service_checks() -> None:
    key = ec.generate_private_key(CURVE)
    header = webpush.vapid(key, "https://push.example", "mailto:me@example.com", 1_700_000_000)
    assert webpush.verified(header) == {
        "aud": "https://push.example",
        "exp": 1_700_000_000,
        "sub": "mailto:me@example.com",
    }
    token, public = header.removeprefix("vapid t=").split(", k=")
    assert padded(public) == webpush.point(key)
    assert len(padded(token.split(".")[2])) == 64
    other = webpush.vapid(ec.generate_private_key(CURVE), "https://push.example", "", 1)
    forged = f"vapid t={token}, k={other.split('k=')[1]}"
    with pytest.raises(ValueError, match="signature"):
        webpush.verified(forged)
    assert "sub" not in webpush.verified(other)


def test_the_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    first, again = push.public_key(str(tmp_path)), push.public_key(str(tmp_path))
    assert first == again
    assert len(padded(first)) == 65
    assert os.stat(tmp_path / "keys" / "vapid.pem").st_mode & 0o777 == 0o600


def browser(
    device: str = "d1", endpoint: str = "https://updates.push.services.mozilla.com/wpush/v2/abc"
) -> tuple[Subscription, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(CURVE)
    return Subscription(endpoint, unpadded(webpush.point(key)), unpadded(b"a" * 16), device), key


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://updates.push.services.mozilla.com/x", "https://evil.example/x", "https://127.0.0.1/x", "https://localhost/x",
        "https://10.0.0.1/x", "https://fcm.googleapis.com:8443/x", "https://fcm.googleapis.com.evil.example/x",
        "https://evilfcm.googleapis.com/x", "https://u:p@fcm.googleapis.com/x", "https://x/\r\nX: y", "file:///etc/passwd", "",
        "https://push.apple.com.evil/x", "https://[::1]/x",
    ],
)  # fmt: skip
def test_nothing_is_posted_but_to_push_services(endpoint: str, tmp_path: Path) -> None:
    """A paired device gives the endpoint: it must not make us post into the private network."""
    subscription, _ = browser(endpoint=endpoint)
    with pytest.raises(UsageFault):
        push.subscribe(str(tmp_path), subscription)
    assert push.subscriptions(str(tmp_path)) == []


def test_subscriptions_are_kept_by_device_and_forgotten_with_it(tmp_path: Path) -> None:
    for device, endpoint in (
        ("d1", "https://fcm.googleapis.com/fcm/send/1"),
        ("d1", "https://web.push.apple.com/2"),
        ("d2", "https://wns2.notify.windows.com/3"),
    ):
        push.subscribe(str(tmp_path), browser(device, endpoint)[0])
    push.subscribe(str(tmp_path), browser("d2", "https://wns2.notify.windows.com/3")[0])
    assert len(push.subscriptions(str(tmp_path))) == 3
    assert keep_only(str(tmp_path), {"d2"}) == 2
    assert [one.device for one in push.subscriptions(str(tmp_path))] == ["d2"]
    (tmp_path / "push" / "broken.json").write_text("{")
    assert len(push.subscriptions(str(tmp_path))) == 1
    for bad in (
        Subscription("https://fcm.googleapis.com/1", "AAAA", "AAAA", "d"),
        Subscription("https://fcm.googleapis.com/1", "!", "!", "d"),
    ):
        with pytest.raises(UsageFault):
            push.subscribe(str(tmp_path), bad)
    nameless, _ = browser("../../x")
    with pytest.raises(UsageFault):
        push.subscribe(str(tmp_path), nameless)


def test_one_device_does_not_fill_the_disk(tmp_path: Path) -> None:
    for number in range(50):
        push.subscribe(str(tmp_path), browser("d1", f"https://fcm.googleapis.com/{number}")[0])
    assert len(push.subscriptions(str(tmp_path))) == 4


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch):
    """A push service on this machine; the check of endpoints is told to take it."""
    state = {"status": 201}
    receiver = HttpReceiver(lambda _post: (state["status"], {}, b""))
    monkeypatch.setattr(push, "problem_of", lambda _one, _more=(): "")
    yield receiver, state
    receiver.stop()


def audience(post: Post) -> dict[str, object]:
    return webpush.verified(post.headers["authorization"])


@pytest.mark.parametrize("count", [False, True])
def test_a_push_has_no_content_but_a_number_for_the_browser(tmp_path: Path, service, count: bool) -> None:
    receiver, _ = service
    subscription, key = browser(endpoint=f"{receiver.url}/push/1")
    push.subscribe(str(tmp_path / "web"), subscription)
    notifier = PushNotifier(PushConfig(contact="mailto:me@example.com", count=count), str(tmp_path))
    notifier.send(notice_of([an_ask("a1")], 3, LINK, NOW))
    (post,) = receiver.posts
    assert post.headers["ttl"] == "3600"
    assert post.headers["urgency"] == "high"
    assert audience(post)["aud"] == f"https://127.0.0.1:{receiver.port}"
    for word in (*PRIVATE, "work", "api.example.com", LINK):
        assert word not in str(post.headers)
        assert word.encode() not in post.body
    if count:
        assert post.headers["content-encoding"] == "aes128gcm"
        assert webpush.decrypt(post.body, key, b"a" * 16) == b'{"waiting":3}'
    else:
        assert post.body == b""
    assert b"waiting" not in post.body


def test_a_device_that_is_gone_is_forgotten_and_others_are_served(tmp_path: Path, service) -> None:
    receiver, state = service
    web = str(tmp_path / "web")
    for number in range(2):
        push.subscribe(web, browser(f"d{number}", f"{receiver.url}/push/{number}")[0])
    state["status"] = 410
    PushNotifier(PushConfig(), str(tmp_path)).send(notice_of([an_ask("a1")], 1, LINK, NOW))
    assert push.subscriptions(web) == []
    for number in range(2):
        push.subscribe(web, browser(f"d{number}", f"{receiver.url}/push/{number}")[0])
    state["status"] = 500
    receiver.posts.clear()
    with pytest.raises(SinkFault):
        PushNotifier(PushConfig(), str(tmp_path)).send(notice_of([an_ask("a1")], 1, LINK, NOW))
    assert len(receiver.posts) == 2, "every device was tried"
    assert len(push.subscriptions(web)) == 2


def test_base64url_is_strict() -> None:
    assert padded(unpadded(b"\xff\xfe\xfd")) == b"\xff\xfe\xfd"
    assert base64.urlsafe_b64encode(b"\xff\xfe").decode().rstrip("=") == unpadded(b"\xff\xfe")
    with pytest.raises(ValueError):
        padded("a b")
