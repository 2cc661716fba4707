"""A keeper's session with its real logs and a gateway and launcher of the test's own."""

import datetime
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot_bottle.audit.encode import decode
from bot_bottle.audit.reader import LogReader
from bot_bottle.base.errors import OperatorFault, OurFault
from bot_bottle.base.home import Home
from bot_bottle.custody.open import Custody
from bot_bottle.egress import messages as g
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper import control
from bot_bottle.keeper.authority import Authority
from bot_bottle.keeper.logs import open_log
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.control import (
    ControlToKeeper,
    Facts,
    FactsQuery,
    FreezeBottle,
    KeeperToControl,
    ReloadPolicy,
    Renewed,
    RenewSecret,
    Stop,
    ThawBottle,
)
from bot_bottle.keeper.messages.launcher import (
    Close,
    Halt,
    Hold,
    KeeperToLauncher,
    LauncherToKeeper,
    Open,
    Opened,
    Resume,
    Sealed,
)
from bot_bottle.keeper.messages.replies import Done, Refused
from bot_bottle.keeper.outside import Launcher, Outside
from bot_bottle.keeper.session import Session
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.verdict import Auth
from unit.keeper.stand import IDENTITY, Shelf

POLICY = Policy("b", (Route("b/r", "api.example.com", auth=Auth("bearer", "key")),), digest="d1")


@dataclass
class Stand:
    """Both other ends, and the session in a thread of its own."""

    home: Home
    shelf: Shelf
    launcher: "Channel[LauncherToKeeper, KeeperToLauncher]"
    gateway: "Channel[g.GatewayToKeeper, g.KeeperToGateway]"
    thread: threading.Thread = field(default_factory=threading.Thread)
    raised: list[BaseException] = field(default_factory=list)
    log: int = -1

    def start(self, keeper_end: socket.socket, gateway_end: socket.socket, **more: object) -> None:
        order = Open(
            IDENTITY, POLICY, g.Limits(), self.home.root, self.home.runtime, placeholders={"key": "ph"}, **more
        )  # pyright: ignore
        authority = Authority("one", datetime.datetime.now(datetime.UTC))
        outside = Outside(Custody((self.shelf,)), open_log, lambda _: "trust", authority)
        session = Session(Launcher(keeper_end, LauncherToKeeper), Loop(), order, gateway_end, outside)

        def serve() -> None:
            try:
                session.serve()
            except BaseException as error:
                self.raised.append(error)
            finally:
                keeper_end.close()

        self.thread = threading.Thread(target=serve)
        self.thread.start()

    def configured(self) -> tuple[g.Configure, g.Secrets]:
        """Takes the gateway's first two messages, answers that it is confined; what was in them."""
        configure, fds = self.gateway.receive()
        secrets, _ = self.gateway.receive()
        assert isinstance(configure, g.Configure) and isinstance(secrets, g.Secrets)
        self.log, spool = fds
        os.close(spool)
        self.gateway.send(g.Configured("test"))
        return configure, secrets

    def ask(self, message: ControlToKeeper) -> KeeperToControl:
        link: Channel[ControlToKeeper, KeeperToControl] = Channel(
            control.connect(self.home.sockets("one"), "control"),
            KeeperToControl,  # pyright: ignore
        )
        link.send(message)
        answer, _ = link.receive()
        link.close()
        return answer

    def kinds(self) -> list[str]:
        return [
            decode(line).kind for _, lines in LogReader(self.home.run_log(IDENTITY.run)).batches() for line in lines
        ]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    ours_k, theirs_k = socket.socketpair()
    ours_g, theirs_g = socket.socketpair()
    ours_k.settimeout(10)
    ours_g.settimeout(10)
    one = Stand(home, Shelf(key="value-one"), Channel(ours_k, KeeperToLauncher), Channel(ours_g, g.KeeperToGateway))
    one.ends = (theirs_k, theirs_g)  # pyright: ignore
    yield one
    ours_k.close()
    ours_g.close()
    one.thread.join(15)
    for sock in (theirs_k, theirs_g):
        sock.close()
    if one.log >= 0:
        os.close(one.log)


def begin(stand: Stand, **more: object) -> tuple[g.Configure, g.Secrets]:
    stand.start(*stand.ends, **more)  # pyright: ignore
    found = stand.configured()
    opened, _ = stand.launcher.receive()
    assert isinstance(opened, Opened)
    assert opened.authority.startswith("-----BEGIN CERTIFICATE")
    return found


def finish(stand: Stand) -> Sealed:
    stand.launcher.send(Close({"exit": "0"}))
    stand.gateway.send(g.Status(g.Counters(allowed=3)))
    stand.gateway.close()
    while True:
        message, _ = stand.launcher.receive()
        if isinstance(message, Sealed):
            return message


def test_the_gateway_gets_policy_secrets_and_an_append_only_log_and_never_the_ca_key(stand: Stand) -> None:
    configure, secrets = begin(stand)
    assert secrets.values == {"key": b"value-one"}
    assert secrets.placeholders == {"key": "ph"}
    assert "api.example.com" in configure.leaves
    assert configure.leaf_key.count("PRIVATE KEY") == 2
    assert "PRIVATE" not in configure.authority
    assert os.get_inheritable(stand.log) is False
    sealed = finish(stand)
    assert (sealed.counters.allowed, sealed.fault) == (3, "")
    assert stand.kinds() == ["start", "stop"]


def test_a_missing_secret_is_one_sentence_and_makes_nothing(stand: Stand) -> None:
    stand.shelf.values.clear()
    stand.start(*stand.ends)  # pyright: ignore
    stand.thread.join(10)
    (error,) = stand.raised
    assert isinstance(error, OperatorFault)
    assert str(error) == "The secret key is not set. Run: bot-bottle secret set key"
    assert not os.path.exists(stand.home.run_logs)


def test_a_gateway_that_is_not_confined_starts_no_bottle(stand: Stand) -> None:
    stand.start(*stand.ends)  # pyright: ignore
    stand.gateway.receive()
    stand.gateway.send(g.Failed("gateway.unconfined", "No Landlock here."))
    stand.gateway.close()
    stand.thread.join(10)
    (error,) = stand.raised
    assert isinstance(error, OurFault)
    assert error.what == "No Landlock here."
    assert stand.kinds() == ["start", "stop"]


def test_leaves_are_minted_on_demand_and_nonsense_gets_none(stand: Stand) -> None:
    begin(stand)
    for host, good in (("new.example.com", True), ("*.example.com", False), ("a b", False), ("", False)):
        stand.gateway.send(g.Mint(host))
        answer, _ = stand.gateway.receive()
        assert isinstance(answer, g.Minted)
        assert (answer.host, bool(answer.leaf)) == (host, good)
    finish(stand)


def test_freeze_answers_when_the_gateway_did_and_thaw_and_reload_are_recorded(stand: Stand) -> None:
    begin(stand)
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(stand.ask(FreezeBottle("why"))))
    asking.start()
    message, _ = stand.gateway.receive()
    assert message == g.Freeze("why")
    assert answers == []
    stand.gateway.send(g.Frozen("why"))
    asking.join(10)
    assert answers == [Done()]
    assert stand.launcher.receive()[0] == Hold("why")
    assert stand.ask(ThawBottle()) == Done()
    assert stand.gateway.receive()[0] == g.Thaw()
    assert stand.launcher.receive()[0] == Resume()
    policy = Policy("b", (), digest="d2")
    assert stand.ask(ReloadPolicy(policy)) == Done()
    assert isinstance(stand.gateway.receive()[0], g.Secrets)
    reload, _ = stand.gateway.receive()
    assert isinstance(reload, g.Reload)
    assert (reload.policy.digest, reload.policy.revision) == ("d2", 2)
    finish(stand)
    assert stand.kinds() == ["start", "freeze", "thaw", "policy", "stop"]


def test_a_reload_that_names_an_unset_secret_changes_nothing(stand: Stand) -> None:
    begin(stand)
    policy = Policy("b", (Route("b/x", "x.example.com", auth=Auth("bearer", "other")),), digest="d2")
    answer = stand.ask(ReloadPolicy(policy))
    assert isinstance(answer, Refused)
    assert (answer.kind, answer.slug) == ("OperatorFault", "custody.unset")
    finish(stand)
    assert stand.kinds() == ["start", "stop"]


def test_a_renewed_secret_travels_and_a_foreign_one_does_not(stand: Stand) -> None:
    begin(stand)
    stand.shelf.values.update(key="value-two", other="x")
    assert stand.ask(RenewSecret("other")) == Renewed(False)
    assert stand.ask(RenewSecret("key")) == Renewed(True)
    message, _ = stand.gateway.receive()
    assert isinstance(message, g.Secrets)
    assert message.values == {"key": b"value-two"}
    finish(stand)


def test_status_tells_what_the_gateway_counts_now(stand: Stand) -> None:
    begin(stand)
    answers: list[KeeperToControl] = []
    asking = threading.Thread(target=lambda: answers.append(stand.ask(FactsQuery())))
    asking.start()
    assert stand.gateway.receive()[0] == g.StatusQuery()
    stand.gateway.send(g.Status(g.Counters(allowed=7)))
    asking.join(10)
    (facts,) = answers
    assert isinstance(facts, Facts)
    assert (facts.counters.allowed, facts.identity, facts.confinement) == (7, IDENTITY, "test")
    finish(stand)


def test_d08_the_gateways_death_halts_the_bottle_and_the_log_is_sealed(stand: Stand) -> None:
    begin(stand)
    stand.gateway.send(g.Failed("audit.cannot-write", "The log cannot be written: No space left on device."))
    stand.gateway.close()
    halt, _ = stand.launcher.receive()
    assert halt == Halt("audit.cannot-write", "The log cannot be written: No space left on device.")
    stand.launcher.send(Close({"exit": "-1"}))
    sealed, _ = stand.launcher.receive()
    assert isinstance(sealed, Sealed)
    assert not sealed.counters.final
    assert stand.kinds() == ["start", "stop"]


def test_d08_the_launchers_death_closes_the_gateway_and_seals(stand: Stand) -> None:
    begin(stand)
    stand.launcher.close()
    stand.gateway.send(g.Status(g.Counters()))
    stand.gateway.close()
    stand.thread.join(10)
    assert not stand.thread.is_alive()
    assert stand.kinds() == ["start", "stop"]
    assert not os.path.exists(f"{stand.home.sockets('one')}/control")


def test_a_stop_at_the_control_socket_is_told_to_the_launcher(stand: Stand) -> None:
    begin(stand)
    assert stand.ask(Stop("asked")) == Done()
    halt, _ = stand.launcher.receive()
    assert isinstance(halt, Halt)
    assert halt.slug == "stopped"
    finish(stand)


def test_a_gateway_that_sends_rubbish_loses_its_keeper(stand: Stand) -> None:
    """D17: a taken-over gateway costs its own bottle and nothing else."""
    begin(stand)
    stand.gateway.sock.sendall(b"\0\0\0\3\xc1\xc1\xc1")
    halt, _ = stand.launcher.receive()
    assert isinstance(halt, Halt)
    with pytest.raises(ChannelClosed):
        while True:
            stand.gateway.receive()
    stand.launcher.send(Close({}))
    assert isinstance(stand.launcher.receive()[0], Sealed)


def test_a_log_that_was_shortened_ends_the_bottle(stand: Stand) -> None:
    begin(stand)
    (journal,) = Path(stand.home.run_log(IDENTITY.run), "journal").glob("0*")
    with journal.open("r+b") as file:
        file.truncate(10)
    os.write(stand.log, b"x\n")
    halt, _ = stand.launcher.receive()
    assert isinstance(halt, Halt)
    assert halt.slug.startswith("audit.")
    stand.launcher.send(Close({}))
    sealed, _ = stand.launcher.receive()
    assert isinstance(sealed, Sealed)
    assert sealed.fault
