"""One bottle from the keeper's side: secrets checked, log opened, gateway configured, served, sealed (D17, D19).

The keeper parses no byte that a bottle sent. It hears its launcher, its gateway and, at the control socket, the
person's own commands. Whoever of them ends, the door is closed: the gateway sees the end of our socketpair.
"""

import contextlib
import os
import socket
import time
from typing import Any

import msgspec

from bot_bottle.audit.record import Kind
from bot_bottle.base.errors import AuditFault, BottleError, OurFault
from bot_bottle.base.home import Home
from bot_bottle.egress.channel import ChannelClosed
from bot_bottle.egress.messages import Freeze, NewLog
from bot_bottle.keeper.answers import Answers
from bot_bottle.keeper.approval_ports import Archive, Around
from bot_bottle.keeper.approvals import Approvals
from bot_bottle.keeper.configuring import configuration, secrets_of
from bot_bottle.keeper.control import ControlServer
from bot_bottle.keeper.gateway_link import GatewayLink
from bot_bottle.keeper.learning import Learning
from bot_bottle.keeper.lifecycle import Lifecycle
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.control import FreezeBottle
from bot_bottle.keeper.messages.launcher import (
    Close,
    Halt,
    Hold,
    Inspect,
    Inspected,
    KeeperToLauncher,
    Open,
    Opened,
    Sealed,
)
from bot_bottle.keeper.outside import Launcher, Outside
from bot_bottle.keeper.sieve import Sieve
from bot_bottle.keeper.spool import unlinked
from bot_bottle.keeper.supply import environment, values, wanted
from bot_bottle.policy.effective import Policy

_CONFINE_SECONDS = 20.0
_DRAIN_SECONDS = 5.0
_CHECKPOINT_SECONDS = 1.0


class Session:
    """One bottle. The steps are numbered; `serve` returns when the log is sealed and nobody is left."""

    def __init__(self, launcher: Launcher, loop: Loop, order: Open, gateway: socket.socket, outside: Outside) -> None:
        self._launcher = launcher
        self._loop = loop
        self._order = order
        self._outside = outside
        self._answers: Answers | None = None
        self._control: ControlServer | None = None
        self._closing: dict[str, str] | None = None
        self._over = False
        self._launcher_lives = True
        self._gateway_socket = gateway
        self._link: GatewayLink | None = None
        self._life: Lifecycle | None = None
        self._values: dict[str, bytes] = {}
        self._sieve = Sieve(self._kept_from_the_bottle)
        self._home = Home(order.home, order.runtime)
        self._approvals = Approvals(loop, order, self._around(), Archive(self._home))
        self._learning = Learning(loop, lambda: self._policy, self._write, self._reload, self._approvals.now)

    def serve(self) -> None:
        """Steps 1 to 6, then the loop; raises BottleError where one of the first steps refuses."""
        self._values = self._check_secrets()  # 1
        shown = environment(self._order.visible, self._outside.custody)
        self._life = Lifecycle(self._order, self._outside.log(self._order))  # 2
        try:
            self._configure(self._values)  # 3
            self._await_confinement()  # 4
            self._listen()  # 5
            self._open(shown)  # 6
        except BottleError as error:
            self._life.stop({"reason": error.slug}, self._policy.digest)
            raise
        self._loop.run(lambda: self._over)
        self._stop_listening()

    @property
    def _policy(self) -> Policy:
        """What holds now: the order's, until a reload."""
        return self._answers.policy if self._answers else self._order.policy

    # ---- the steps

    def _check_secrets(self) -> dict[str, bytes]:
        """1: every secret that the plan needs exists, before anything is made."""
        return values(wanted(self._order), self._outside.custody)

    def _kept_from_the_bottle(self) -> dict[str, bytes]:
        """What no file of a workspace may hold: this bottle's secrets and all others at hand, but not those shown."""
        known = dict(self._values)
        with contextlib.suppress(BottleError):  # a store that refuses has been said elsewhere
            known = self._outside.custody.at_hand() | known
        return {name: value for name, value in known.items() if name not in self._order.visible}

    def _configure(self, now: dict[str, bytes]) -> None:
        """3: policy, authority, log descriptor and secrets to the gateway."""
        assert self._life is not None
        authority = self._outside.authority
        link = GatewayLink(self._loop, self._gateway_socket, lambda host: authority.mint(host, time.monotonic()))
        link.on_frozen = self._frozen
        link.on_end = self._gateway_ended
        link.on_ask = self._approvals.heard
        self._link = link
        first = configuration(self._order, self._outside, self._approvals.initial())
        spool = unlinked(self._home)
        link.tell(first, (self._life.log.descriptor(), spool))
        os.close(spool)
        link.tell(secrets_of(self._order, now))

    def _await_confinement(self) -> None:
        """4: the gateway says what confines it; without that no bottle starts."""
        link = self._link
        assert link is not None
        if not self._loop.run(lambda: bool(link.confinement) or not link.open, _CONFINE_SECONDS):
            raise OurFault(
                "gateway.silent", "The gateway did not come up.", "Try again; bot-bottle doctor says more."
            )
        if not link.confinement:
            slug, what = link.failure or ("gateway.ended", "The gateway ended before it was confined.")
            raise OurFault(slug, what, "Run bot-bottle doctor.")

    def _listen(self) -> None:
        """5: the control socket, and the launcher's words from now on through the loop."""
        assert self._link is not None and self._life is not None
        self._answers = Answers(self._order, self._outside.custody, self._link, self._life, self._say, self._note)
        self._answers.approvals, self._answers.learning = self._approvals, self._learning
        place = self._home.sockets(self._order.identity.label)
        self._control = ControlServer(self._loop, place, self._answers.answer)
        self._loop.read(self._launcher.fileno(), self._launcher_spoke)
        self._loop.later(_CHECKPOINT_SECONDS, self._tick)

    def _open(self, shown: dict[str, str]) -> None:
        """6: the launcher may seal the bottle and send its doors."""
        assert self._life is not None and self._link is not None
        opened = Opened(self._outside.authority.pem, self._link.confinement, self._life.log.directory, shown)
        self._say(opened)

    # ---- while it runs

    def _tick(self) -> None:
        """Every second: sign what was added, rotate a long journal. A log that refuses ends the bottle."""
        if self._over or self._life is None:
            return
        try:
            self._life.log.checkpoint()
            descriptor = self._life.log.rotate()
        except AuditFault as fault:
            self._halt(fault.slug, fault.what)
            return
        if descriptor >= 0 and self._link:
            self._link.tell(NewLog(), (descriptor,))
        self._approvals.tick()
        self._learning.tick()
        self._loop.later(_CHECKPOINT_SECONDS, self._tick)

    def _launcher_spoke(self) -> None:
        try:
            self._launcher.fill()
            while (found := self._launcher.next()) is not None:
                message, fds = found
                if isinstance(message, Close):
                    self._close(message.facts)
                elif isinstance(message, FreezeBottle) and self._link:
                    self._link.tell(Freeze(message.reason[:200]))
                elif isinstance(message, Inspect):
                    self._say(Inspected(self._sieve.look(fds)))
        except (ChannelClosed, msgspec.MsgspecError):
            self._loop.quiet(self._launcher.fileno())
            self._launcher_lives = False
            self._close({"reason": "launcher ended"})

    def _gateway_ended(self) -> None:
        self._approvals.end()
        if self._closing is not None:
            self._finish()
            return
        slug, what = (self._link.failure if self._link else None) or ("gateway.ended", "The gateway ended.")
        self._halt(slug, what)

    def _halt(self, slug: str, what: str) -> None:
        """The bottle cannot go on: the gateway loses its keeper's socket, the launcher is told to end the rest."""
        self._say(Halt(slug, what))
        if self._link:
            self._link.close()
        if not self._launcher_lives:
            self._close({"reason": slug})

    def _close(self, facts: dict[str, str]) -> None:
        """The bottle has ended: wait for the gateway's last words, then seal."""
        if self._closing is not None:
            return
        self._closing = facts
        if self._link is None or not self._link.open:
            self._finish()
            return
        self._loop.later(_DRAIN_SECONDS, self._finish)

    def _finish(self) -> None:
        if self._over or self._life is None or self._link is None:
            return
        self._over = True
        self._approvals.end()
        self._link.close()
        fault = ""
        try:
            self._life.stop(self._closing or {}, self._policy.digest)
        except AuditFault as error:
            fault = str(error)
        log = self._life.log
        self._say(Sealed(log.newest, log.records, log.directory, self._link.counters, fault))

    def _frozen(self, reason: str) -> None:
        self._note(Kind.FREEZE, {"reason": reason})
        self._say(Hold(reason))

    def _note(self, kind: Kind, detail: dict[str, str]) -> None:
        if self._life is None:
            return
        try:
            self._life.note(kind, detail, self._policy.digest)
        except AuditFault as fault:
            self._halt(fault.slug, fault.what)

    def _around(self) -> Around:
        """What asks need of the rest of us."""
        return Around(
            tell=lambda message: self._link.tell(message) if self._link else None,
            say=self._say,
            write=self._write,
            sign=self._sign,
            policy=lambda: self._policy,
            barrier=lambda then: self._link.status(then) if self._link else None,
            reload=self._reload,
        )

    def _write(self, fields: dict[str, Any]) -> None:
        """One record; where the log refuses it the bottle ends, and whoever wanted it must not go on."""
        assert self._life is not None
        try:
            self._life.write(self._policy.digest, fields)
        except AuditFault as fault:
            self._halt(fault.slug, fault.what)
            raise

    def _sign(self) -> None:
        assert self._life is not None
        try:
            self._life.log.checkpoint()
        except AuditFault as fault:
            self._halt(fault.slug, fault.what)
            raise

    def _reload(self, policy: Policy) -> None:
        """A policy that came from within: a learned one, or one with a new rule."""
        if self._answers is None or self._over:
            return
        try:
            self._answers.reload(policy)
        except BottleError as fault:  # a store that refuses by now; a learn mode must not go on for it
            if self._policy.default == "learn" != policy.default:
                self._halt(fault.slug, fault.what)

    def _say(self, message: KeeperToLauncher) -> None:
        if not self._launcher_lives:
            return
        try:
            self._launcher.send(message)
        except ChannelClosed:
            self._launcher_lives = False

    def _stop_listening(self) -> None:
        if self._control:
            self._control.close()
            self._control = None
