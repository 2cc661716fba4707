"""Web Push to paired devices. Without content: the service of the browser's maker learns when, and nothing else.

With ``count = true`` the number of waiting asks goes along, encrypted for the browser (RFC 8291). A device's endpoint
comes from a browser, so it is checked before anything is posted there: https, a known push service, no other port.
"""

import hashlib
import os
import re
import time
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from bot_bottle.audit import files
from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.audit.sinks.post import Poster, must, url_problem
from bot_bottle.base.errors import UsageFault
from bot_bottle.supervise.notify import webpush
from bot_bottle.supervise.notify.model import Notice, NotifierConfig, NotifierKind, Secrets
from bot_bottle.supervise.notify.subscriptions import NAME, Shelf, Subscription

SERVICES = (
    "fcm.googleapis.com", "updates.push.services.mozilla.com", ".push.apple.com", ".notify.windows.com",
)  # fmt: skip
_TTL = 3600
_MOST = 4
"""Subscriptions of one device; of more the others are forgotten."""
_DEVICE = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")


class PushConfig(NotifierConfig, kw_only=True, frozen=True, tag="push", tag_field="kind"):
    """contact: ``mailto:`` address that a push service may write to (Apple asks for one). count: see above.
    services: other push services than those of the browsers, as host or .suffix."""

    contact: str = ""
    count: bool = False
    services: tuple[str, ...] = ()


def subscribe(web: str, subscription: Subscription, services: tuple[str, ...] = ()) -> None:
    """Keeps one, for a paired device. web: Home.web. Raises UsageFault for what is no endpoint of a push service."""
    why = problem_of(subscription, services)
    if why:
        raise UsageFault("notify.push", f"The subscription {why}.", "Subscribe again in the browser.")
    with Shelf(web) as shelf:
        theirs = [name for name, one in shelf.all() if one.device == subscription.device]
        for name in theirs[: max(0, len(theirs) - _MOST + 1)]:
            shelf.remove(name)
    folder = os.path.join(web, NAME)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    files.replace(os.path.join(folder, _file(subscription)), msgspec.json.encode(subscription), sync=True)


def subscriptions(web: str) -> list[Subscription]:
    """All that are kept."""
    with Shelf(web) as shelf:
        return [one for _, one in shelf.all()]


def public_key(home: str) -> str:
    """`applicationServerKey` for the browser, base64url. home: root of the home."""
    return webpush.unpadded(webpush.point(webpush.own_key(_key_path(home))))


def problem_of(subscription: Subscription, services: tuple[str, ...] = ()) -> str:
    """Why nothing may be posted there; "" where it may."""
    why = url_problem(subscription.endpoint)
    parts = urlsplit(subscription.endpoint) if not why else None
    host = parts.hostname if parts is not None else ""
    if parts is None or not host or parts.scheme != "https" or parts.port not in (None, 443):
        return why or "is not at port 443 of https"
    known = (*SERVICES, *services)
    if not any(host == one or (one.startswith(".") and host.endswith(one)) for one in known):
        return "is not at a known push service"
    if not _DEVICE.match(subscription.device):
        return "belongs to no device"
    try:
        key, auth = webpush.padded(subscription.p256dh), webpush.padded(subscription.auth)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    except ValueError:
        return "has no key"
    return "" if len(auth) == 16 else "has no key"


class PushNotifier:
    """All subscriptions of this home."""

    def __init__(self, config: PushConfig, home: str) -> None:
        self._config = config
        self._web = os.path.join(home, "web")
        self._key = webpush.own_key(_key_path(home))

    def send(self, notice: Notice) -> None:
        """To every device; one that is gone (404, 410, a session that ended) is forgotten. A fault is raised after
        all were tried."""
        faults: list[SinkFault] = []
        with Shelf(self._web) as shelf:
            for name, one in shelf.all():
                try:
                    if self._send(one, notice):
                        shelf.remove(name)
                except SinkFault as fault:
                    faults.append(fault)
        if faults:
            raise faults[0]

    def _send(self, one: Subscription, notice: Notice) -> bool:
        """Whether it is to be forgotten: its session has ended, or the service knows it no more."""
        if one.until and one.until <= time.time_ns():
            return True
        if problem_of(one, self._config.services):
            return False
        parts = urlsplit(one.endpoint)
        body, headers = self._body(one, notice)
        expires = int(time.time()) + 12 * 3600
        headers["Authorization"] = webpush.vapid(self._key, f"https://{parts.netloc}", self._config.contact, expires)
        poster = Poster(one.endpoint)
        try:
            reply = poster.post(body, headers)
        finally:
            poster.close()
        if reply.status in (404, 410):
            return True
        must(reply, poster.host, time.time())
        return False

    def _body(self, one: Subscription, notice: Notice) -> tuple[bytes, dict[str, str]]:
        """Topic replaces a notice that was not shown yet; it is ours, not the request's."""
        headers = {"TTL": str(_TTL), "Urgency": "high", "Topic": "ask"}
        if not self._config.count:
            return b"", headers
        message = msgspec.json.encode({"waiting": notice.waiting})
        fresh, salt = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
        body = webpush.encrypt(message, webpush.padded(one.p256dh), webpush.padded(one.auth), fresh, salt)
        return body, headers | {"Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream"}

    def close(self) -> None:
        """Nothing stays open."""


def _file(subscription: Subscription) -> str:
    return hashlib.sha256(subscription.endpoint.encode()).hexdigest()[:32] + ".json"


def _key_path(home: str) -> str:
    return os.path.join(home, "keys", "vapid.pem")  # where web cannot read


def open_push(config: PushConfig, _secrets: Secrets, home: str) -> PushNotifier:
    """The notifier of a config that has no problems."""
    return PushNotifier(config, home)


def problems(config: PushConfig) -> list[tuple[str, str]]:
    """The contact."""
    fits = not config.contact or re.fullmatch(r"(mailto:[^\s<>\"]+@[^\s<>\"]+|https://[\x21-\x7e]+)", config.contact)
    return [] if fits else [("contact", "is no mailto: address and no https: URL")]


KIND = NotifierKind("push", "Web Push to paired devices, without content.", PushConfig, open_push, problems)
