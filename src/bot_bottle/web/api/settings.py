"""Settings as a person sees them: secrets by name and where they are used, notifiers, sinks, retention, holds.
No value of a secret is anywhere near here."""

from typing import Annotated

import msgspec
from msgspec import Meta

from bot_bottle.api.forwarding import SinkState, states
from bot_bottle.api.settings import Retention, Serve
from bot_bottle.audit import holds
from bot_bottle.audit.filters import Filter
from bot_bottle.base.errors import BottleError
from bot_bottle.bottles.manifests import Library
from bot_bottle.policy import model
from bot_bottle.supervise.notify.registry import kind_of
from bot_bottle.web.api.operation import Empty, Operation
from bot_bottle.web.desk import Desk

NotifierName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class SecretUse(msgspec.Struct):
    """bottles: files that name it. visible: in some file the agent sees the real value. used: requests that carried
    it in thirty days; last: wall ns of the last of all, 0 for never."""

    name: str
    bottles: list[str]
    visible: bool
    used: int
    last: int


class SecretList(msgspec.Struct):
    """By name. unread: bottle files that could not be read."""

    items: list[SecretUse]
    unread: list[str]


class NotifierItem(msgspec.Struct):
    name: str
    kind: str
    says: str


class HoldItem(msgspec.Struct):
    """run: id, or ``*`` for every run. at: wall ns."""

    run: str
    reason: str
    person: str
    at: int


class SettingsNow(msgspec.Struct):
    """What settings.toml says, and how its sinks do."""

    notifiers: list[NotifierItem]
    sinks: list[SinkState]
    retention: Retention
    serve: Serve
    holds: list[HoldItem]


class WhichNotifier(msgspec.Struct, forbid_unknown_fields=True):
    notifier: NotifierName


class Tried(msgspec.Struct):
    """said: one sentence on how it went."""

    said: str


def list_secrets(desk: Desk, _: Empty) -> SecretList:
    """Names out of the bottle files and out of the log; whether they are set says `bot-bottle secret list`."""
    library = Library(desk.home, "/")
    named: dict[str, SecretUse] = {}
    unread: list[str] = []
    for bottle in library.bottle_names():
        try:
            merged = library.resolve([bottle])
        except BottleError:
            unread.append(bottle)
            continue
        for name, visible in _secrets(merged.bottle, [route.auth.secret for route in merged.routes if route.auth]):
            one = named.setdefault(name, SecretUse(name, [], False, 0, 0))
            one.visible = one.visible or visible
            if bottle not in one.bottles:
                one.bottles.append(bottle)
    for one in named.values():
        one.used, one.last = _used(desk, one.name)
    return SecretList(sorted(named.values(), key=lambda one: one.name), unread)


def _secrets(bottle: model.Bottle, routed: list[str]) -> list[tuple[str, bool]]:
    """(name, whether the agent sees it) of everything that a bottle names."""
    sources = [source for source in bottle.env.values() if isinstance(source, model.EnvSource)]
    shown = [(source.secret, source.visible) for source in sources if isinstance(source.secret, str)]
    return [*shown, *((name, False) for name in routed)]


def _used(desk: Desk, name: str) -> tuple[int, int]:
    found = desk.index().reach.hosts(Filter().plus("secret", name).plus("since", "30d"), desk.clock())
    return sum(one.requests for one in found), max((one.last for one in found), default=0)


def read_settings(desk: Desk, _: Empty) -> SettingsNow:
    """Raises SettingsFault with everything that is wrong in the file."""
    settings = desk.settings()
    found = holds.read(desk.home.host_log)
    return SettingsNow(
        [NotifierItem(name, kind_of(one).name, kind_of(one).says) for name, one in settings.notifiers.items()],
        states(desk.home, settings),
        settings.retention,
        settings.serve,
        [HoldItem(one.run, one.reason, one.approver, one.at) for one in found.values()],
    )


def test_notice(desk: Desk, which: WhichNotifier) -> Tried:
    return Tried(desk.starter.test_notice(which.notifier))


OPERATIONS = (
    Operation(
        "listSecrets", "GET", "/secrets", "Secrets by name, and where they are used", "read", Empty, SecretList,
        list_secrets,
    ),
    Operation(
        "readSettings", "GET", "/settings", "Notifiers, sinks, retention, legal holds", "read", Empty, SettingsNow,
        read_settings,
    ),
    Operation(
        "testNotice", "POST", "/notifiers/{notifier}/test", "Send a test notice", "admin", WhichNotifier, Tried,
        test_notice, lane="slow",
    ),
)  # fmt: skip
