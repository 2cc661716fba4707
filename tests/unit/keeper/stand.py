"""Both other ends of a keeper's session, and the session in a thread of its own, with its real log and store."""

import datetime
import os
import socket
import threading
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from bot_bottle.audit.encode import decode
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import Record
from bot_bottle.base.home import Home
from bot_bottle.base.secret import Secret
from bot_bottle.custody.open import Custody
from bot_bottle.egress import messages as g
from bot_bottle.egress.channel import Channel
from bot_bottle.keeper import control
from bot_bottle.keeper.authority import Authority
from bot_bottle.keeper.logs import open_log
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.approvals import AnswerAsk
from bot_bottle.keeper.messages.control import ControlToKeeper, KeeperToControl
from bot_bottle.keeper.messages.launcher import Close, KeeperToLauncher, LauncherToKeeper, Open, Opened, Sealed
from bot_bottle.keeper.outside import Launcher, Outside
from bot_bottle.keeper.session import Session
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Auth
from bot_bottle.supervise.expiry import LATE
from bot_bottle.supervise.model import Approver, Ask, AskKind, Scope, StoredGrant, Wanted
from bot_bottle.supervise.store import SqliteReader

IDENTITY = g.Identity("20261125t000000-000000000000", "b", "a", "h", "one")
ME = Approver("os", str(os.getuid()), "me", "terminal")
ROUTES = (
    Route("b/r", "api.example.com", auth=Auth("bearer", "key")),
    Route("b/asks", "asks.example.com", action="ask"),
)
PLAIN = Policy("b", ROUTES, default="ask")
POLICY = msgspec.structs.replace(PLAIN, digest=merge.digest(PLAIN))
M = TypeVar("M")


class Shelf:
    """A store of secrets that a test changes."""

    kind = "memory"

    def __init__(self, **values: str) -> None:
        self.values = values

    def get(self, name: str) -> Secret | None:
        return Secret(name, self.values[name].encode()) if name in self.values else None

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.values))

    def put(self, secret: Secret) -> None:
        self.values[secret.name] = secret.reveal().decode()

    def remove(self, name: str) -> bool:
        return self.values.pop(name, None) is not None


@dataclass
class Stand:
    """One bottle's keeper. `start` first; then the gateway's and the person's part by the other methods."""

    home: Home
    identity: g.Identity = IDENTITY
    shelf: Shelf = field(default_factory=lambda: Shelf(key="value-one"))
    raised: list[BaseException] = field(default_factory=list)
    fds: list[int] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        ours_k, self._keeper_end = socket.socketpair()
        ours_g, self._gateway_end = socket.socketpair()
        ours_k.settimeout(10)
        ours_g.settimeout(10)
        self.launcher: Channel[Any, Any] = Channel(ours_k, KeeperToLauncher)
        self.gateway: Channel[Any, Any] = Channel(ours_g, g.KeeperToGateway)
        self.thread = threading.Thread(target=self._serve)

    def start(self, policy: Policy = POLICY, **more: Any) -> g.Configure:
        """Until the keeper says Opened; what the gateway was configured with."""
        order = Open(
            self.identity, policy, more.pop("limits", g.Limits()), self.home.root, self.home.runtime,
            placeholders={"key": "ph"}, **more,
        )  # fmt: skip
        authority = Authority("one", datetime.datetime.now(datetime.UTC))
        outside = Outside(Custody((self.shelf,)), open_log, lambda _: "trust", authority)
        launcher = Launcher(self._keeper_end, LauncherToKeeper)
        self.session = Session(launcher, Loop(), order, self._gateway_end, outside)
        self.thread.start()
        configure, fds = self.gateway.receive()
        self.fds += fds
        self.gateway.receive()
        self.gateway.send(g.Configured("test"))
        assert isinstance(self.launcher.receive()[0], Opened)
        return configure

    def _serve(self) -> None:
        try:
            self.session.serve()
        except BaseException as error:
            self.raised.append(error)
        finally:
            self._keeper_end.close()

    # the gateway's part

    def asks(self, number: int, wanted: Wanted, rule: str = DEFAULT, kind: AskKind = AskKind.REQUEST) -> g.AskOpened:
        """The gateway asks; what the keeper opens."""
        self.gateway.send(g.Asked(number, kind, wanted, rule, "policy.no-route", "Nothing names it."))
        return self.heard(g.AskOpened)

    def heard(self, kind: type[M]) -> M:
        """The next frame of this kind that the gateway gets; others before it are kept in `frames`."""
        while True:
            message, fds = self.gateway.receive()
            self.fds += fds
            if isinstance(message, kind):
                return message
            if isinstance(message, g.StatusQuery):
                self.gateway.send(g.Status(g.Counters()))
            self.frames.append(message)

    def settled(self) -> g.Settled:
        return self.heard(g.Settled)

    # the launcher's part

    def told(self, kind: type[M]) -> M:
        """The next frame of this kind that the launcher gets."""
        while True:
            message, _ = self.launcher.receive()
            if isinstance(message, kind):
                return message

    # the person's part

    def ask(self, message: ControlToKeeper) -> Any:
        link: Channel[Any, Any] = Channel(
            control.connect(self.home.sockets(self.identity.label), "control"), KeeperToControl
        )  # type: ignore[arg-type]
        link.sock.settimeout(10)
        link.send(message)
        answer, _ = link.receive()
        link.close()
        return answer

    def answer(
        self, ask: Ask | str, allow: bool = True, scope: Scope = Scope.ONCE, approver: Approver = ME, **more: Any
    ) -> Any:
        """An answer to the ask as it stands in the store: late where it shows there that nobody waits."""
        found = self.store().ask(ask) if isinstance(ask, str) else ask
        assert found is not None
        request = more.pop("request", found.request)
        more.setdefault("late", found.state in LATE)
        return self.ask(AnswerAsk(found.id, request, allow, approver, scope, **more))

    def grant(self, ident: str) -> StoredGrant:
        """As it stands in the store."""
        found = self.store().grant(ident)
        assert found is not None
        return found

    def store(self) -> SqliteReader:
        """A new reader each time: closed with the stand."""
        reader = SqliteReader(self.home.approvals)
        self._readers = [*getattr(self, "_readers", []), reader]
        return reader

    def records(self) -> list[Record]:
        path = self.home.run_log(self.identity.run)
        return [decode(line) for _, lines in LogReader(path).batches() for line in lines]

    def kinds(self) -> list[str]:
        return [record.kind for record in self.records()]

    # the end

    def finish(self) -> Sealed:
        self.launcher.send(Close({"exit": "0"}))
        self.gateway.send(g.Status(g.Counters()))
        self.gateway.close()
        return self.told(Sealed)

    def close(self) -> None:
        self.launcher.close()
        self.gateway.close()
        if self.thread.ident is not None:
            self.thread.join(15)
        for sock in (self._keeper_end, self._gateway_end):
            sock.close()
        for fd in self.fds:
            os.close(fd)
        for reader in getattr(self, "_readers", []):
            reader.close()
