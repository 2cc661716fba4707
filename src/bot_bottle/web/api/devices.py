"""Devices that a person paired, and the code that pairs the next one."""

from typing import Annotated

import msgspec
from msgspec import Meta

from bot_bottle.base.errors import UsageFault
from bot_bottle.supervise.notify.subscriptions import keep_only
from bot_bottle.web.api.operation import Empty, Nothing, Operation
from bot_bottle.web.api.tokens import Id, Name
from bot_bottle.web.desk import Desk
from bot_bottle.web.pairing import CODE_SECONDS, spoken
from bot_bottle.web.sessions import Device, Sessions


class DeviceList(msgspec.Struct):
    """Newest first; revoked ones too. The browser of this machine's person is one of kind `local`."""

    items: list[Device]


class DeviceId(msgspec.Struct, forbid_unknown_fields=True):
    device: Id


class DeviceName(msgspec.Struct, forbid_unknown_fields=True):
    device: Id
    name: Name


class PairingCode(msgspec.Struct):
    """code: to be typed at `url`, once. link: for a QR code; the code is in its fragment, which no server sees.
    fingerprint: sha256 of our CA's certificate, "" without TLS of ours."""

    code: str
    url: str
    link: str
    seconds: int
    fingerprint: str = ""


class PushKey(msgspec.Struct):
    """key: `applicationServerKey` for the browser, base64url; "" where no notifier of kind push is set up."""

    key: str


class PushSubscription(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser's push service gave (RFC 8291): endpoint and keys, base64url."""

    endpoint: Annotated[str, Meta(pattern=r"^https://[!-~]{1,1000}$", max_length=1010)]
    p256dh: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{87}$")]
    auth: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}$")]


def list_devices(desk: Desk, _: Empty) -> DeviceList:
    return DeviceList(Sessions(desk.store).devices())


def revoke_device(desk: Desk, which: DeviceId) -> Nothing:
    """Its sessions are dead before this returns; its event streams within a second."""
    sessions = Sessions(desk.store)
    if not sessions.revoke(which.device, desk.clock()):
        raise UsageFault("device.unknown", "There is no such device, or it was revoked before.")
    keep_only(desk.home.web, sessions.signed_in(desk.clock()))
    desk.record("device revoked", {"device": which.device})
    return Nothing()


def rename_device(desk: Desk, wish: DeviceName) -> Nothing:
    """Recorded, since an approver is shown by it."""
    if not Sessions(desk.store).rename(wish.device, wish.name):
        raise UsageFault("device.unknown", "There is no such device.")
    desk.record("device renamed", {"device": wish.device, "name": wish.name})
    return Nothing()


def issue_code(desk: Desk, _: Empty) -> PairingCode:
    """A code for the next device."""
    door = desk.office.door
    if not door.pairs:
        raise UsageFault(
            "pairing.nowhere", "No other device can reach this dashboard.", "Run bot-bottle serve --phone."
        )
    desk.record("pairing code issued", {})
    code = door.codes.issue()
    return PairingCode(spoken(code), door.pairs, f"{door.pairs}#{code}", CODE_SECONDS, door.fingerprint)


def push_key(desk: Desk, _: Empty) -> PushKey:
    return PushKey(desk.office.door.push_key)


def subscribe(desk: Desk, wish: PushSubscription) -> Nothing:
    """Web Push for this device: payload-free, so the push service learns that something happened and nothing else."""
    from bot_bottle.supervise.notify import push

    if not desk.device:
        raise UsageFault("device.none", "Only a browser that is signed in can have pushes.", "Pair the device first.")
    sessions = Sessions(desk.store)
    until = sessions.ends(desk.device, desk.clock())
    push.subscribe(desk.home.web, push.Subscription(wish.endpoint, wish.p256dh, wish.auth, desk.device, until))
    keep_only(desk.home.web, sessions.signed_in(desk.clock()))  # it may have signed out meanwhile
    return Nothing()


OPERATIONS = (
    Operation(
        "listDevices", "GET", "/devices", "Paired devices and local browsers", "read", Empty, DeviceList,
        list_devices,
    ),
    Operation(
        "revokeDevice", "DELETE", "/devices/{device}", "End a device at once", "admin", DeviceId, Nothing,
        revoke_device, lane="safe",
    ),
    Operation(
        "renameDevice", "PUT", "/devices/{device}", "Give a device another name", "admin", DeviceName, Nothing,
        rename_device,
    ),
    Operation(
        "issuePairingCode", "POST", "/pairing-codes", "A one-time code for the next device", "admin", Empty,
        PairingCode, issue_code, status=201, keeps=False,
    ),
    Operation(
        "pushKey", "GET", "/push-key", "The key that a browser subscribes with", "read", Empty, PushKey, push_key,
    ),
    Operation(
        "subscribePush", "POST", "/push-subscriptions", "Web Push for this device", "answer", PushSubscription,
        Nothing, subscribe,
    ),
)  # fmt: skip
