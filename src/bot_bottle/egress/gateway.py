"""Everything of one gateway in one place: wiring, the once-a-second sweep, freeze, reload, the end."""

import socket
import time
from collections.abc import Callable, Set
from typing import Protocol

import msgspec

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.egress.asks import Asks
from bot_bottle.egress.flow import Flow
from bot_bottle.egress.grants import LiveGrants
from bot_bottle.egress.inside import Service
from bot_bottle.egress.leaves import Leaves, Trust
from bot_bottle.egress.limits import Gauges, Spent, Wildcards
from bot_bottle.egress.loop import Loop
from bot_bottle.egress.mcp.denials import Denials
from bot_bottle.egress.mcp.server import Inside
from bot_bottle.egress.messages import Configure, Counters, Frozen, GatewayToKeeper, Mint, Secrets
from bot_bottle.egress.names import SyntheticNames
from bot_bottle.egress.prepare import Prepared
from bot_bottle.egress.proxy import UpstreamProxy
from bot_bottle.egress.records import Journal
from bot_bottle.egress.resolve import Resolver
from bot_bottle.egress.rules import Rules
from bot_bottle.egress.spool import PIECE, Spool
from bot_bottle.egress.target import Site
from bot_bottle.egress.upstream import Pool
from bot_bottle.policy.decide import decide
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.verdict import Kind, deny

_CONNECT_SECONDS = 20.0
_COUNTED = 500
_SITES = 256
_SPOOL = 536_870_912
"""Bytes of held bodies on the disk, of one bottle."""


class Client(Protocol):
    """A connection from the bottle in any state."""

    def sweep(self, now: float) -> None: ...

    def cut(self) -> None: ...


class Gateway:
    """tell: sends a message to the keeper. spool: descriptor for the bodies of held requests."""

    def __init__(
        self,
        loop: Loop,
        config: Configure,
        secrets: Secrets,
        log: int,
        tell: Callable[[GatewayToKeeper], None],
        spool: int = -1,
    ) -> None:
        self.loop, self.tell = loop, tell
        self.identity, self.limits = config.identity, config.limits
        self.counters = Counters()
        self._begin_deciding(config, secrets)
        self._begin_recording(config, log)
        self._begin_dialling(config)
        self._begin_asking(spool)
        self.clients: set[Client] = set()
        self._doors: list[socket.socket] = []
        self.inside: Service = Inside(self)
        self.flow = Flow(self)
        loop.at_turn_end = self.journal.flush
        loop.later(1.0, self._tick)

    # the parts, in the order in which they need each other

    def _begin_deciding(self, config: Configure, secrets: Secrets) -> None:
        self.secrets = secrets
        self.spent: dict[str, Spent] = {}
        self.grants = LiveGrants(self.loop, config.grants, self._granted)
        self.rules = Rules(config.policy, secrets, self.spent, self.grants.live)
        self.gauges = Gauges(config.limits)
        self.wildcards = Wildcards()
        self.denials = Denials()
        self.epoch = 0
        self._memos: dict[Site, dict[bytes, Prepared]] = {}

    def _begin_recording(self, config: Configure, log: int) -> None:
        policy = config.policy
        self.journal = Journal(log, config.identity, policy.digest, config.limits.log_bytes, _syncs(policy))
        self.journal.level, self.journal.needles = policy.log, self.rules.scrubber
        self.journal.on_quota = lambda: self.freeze("The bottle's log is full.", own=True)
        self._number = config.next_request

    def _begin_dialling(self, config: Configure) -> None:
        mint = config.limits.minted_hosts
        self.leaves = Leaves(config.leaf_key, config.leaves, mint, lambda host: self.tell(Mint(host=host)))
        self.trust = Trust(config.trust)
        self.proxy = UpstreamProxy(config.upstream_proxy) if config.upstream_proxy else None
        self.resolver = Resolver(self.loop)
        self.pool = Pool(self.loop)
        self.names = SyntheticNames()
        self.recorded_names: set[tuple[str, str]] = set()
        self.connects: dict[bytes, Site] = {}

    def _begin_asking(self, spool: int) -> None:
        self.spool = Spool(spool, _SPOOL // PIECE)
        self.asks = Asks(self.loop, self.limits, self.tell)

    def memo(self, site: Site) -> dict[bytes, Prepared]:
        """Decided heads of one site, good for this `epoch`."""
        found = self._memos.get(site)
        if found is None:
            if len(self._memos) >= _SITES:
                self.forget_heads()
            found = self._memos[site] = {}
        return found

    def next_number(self) -> int:
        """The number of the next request: ties its records."""
        number = self._number
        self._number = number + 1
        return number

    def own(self, door: socket.socket) -> None:
        """A listening socket that is closed at the end."""
        self._doors.append(door)

    # counting

    def count_denied(self, prepared: Prepared) -> None:
        """One denial, by host."""
        counters = self.counters
        counters.denied += 1
        if prepared.place:
            _count(counters.denied_hosts, prepared.place.target.host)

    def count_allowed(self, prepared: Prepared) -> None:
        """One request that may leave, by host."""
        counters = self.counters
        counters.allowed += 1
        _count(counters.hosts, prepared.key[1])

    def count_secret(self, name: str) -> None:
        """One request left with this secret."""
        secrets = self.counters.secrets
        secrets[name] = secrets.get(name, 0) + 1

    def status(self) -> Counters:
        """The counters now."""
        self.counters.open_flows, self.counters.held = len(self.flow.open), len(self.flow.holding)
        self.counters.asked = self.asks.count
        return self.counters

    # control

    def freeze(self, reason: str, own: bool = False) -> None:
        """No byte moves from now on (D25). own: the gateway's own decision, told to the keeper."""
        self.loop.freeze()
        self.counters.frozen = reason
        if own:
            self.tell(Frozen(reason=reason))

    def thaw(self) -> None:
        """Goes on as if no time had passed."""
        lost = self.loop.thaw()
        self.counters.frozen = ""
        self.journal.extend()
        for client in self.clients:
            leg = getattr(client, "leg", None)
            if leg is not None:
                leg.active += lost
        for link in self.pool.links:
            link.idle_since += lost
            link.started += lost
            if link.leg is not None:
                link.leg.active += lost
        self.grants.expire()
        self.loop.catch_up()

    def reload(self, policy: Policy) -> None:
        """A new policy: what it no longer allows ends now, and nothing decided or connected before is used again.

        A grant dies with the policy under which it was given; the keeper says which ones hold under the new one.
        """
        other = policy.digest != self.rules.policy.digest
        gone = self.grants.clear() if other else frozenset[str]()
        self._replace(policy, self.secrets)
        what = "A new policy no longer allows this."
        self.loop.soon(lambda: self._decide_again(gone, "policy.reloaded", what, lend=not other))

    def _granted(self, gone: Set[str]) -> None:
        """Other grants hold from now on."""
        self.rules.grant(self.grants.live)
        self.forget_heads()
        self.pool.clear()
        self.loop.soon(
            lambda: self._decide_again(gone, "ask.grant-ended", "The grant under which this ran has ended.")
        )

    def _decide_again(self, gone: Set[str], slug: str, what: str, lend: bool = True) -> None:
        """Ends every open flow that would not be opened now, and refuses what waits for an answer that is moot.

        lend: whether what took a grant for one use still has it.
        """
        policy = self.rules.policy
        for exchange in list(self.flow.open):
            prepared = exchange.prepared
            used = exchange.yes.used if lend and exchange.yes is not None else None
            verdict = decide(self.rules.lending(used).compiled, prepared.request())
            auth = policy.route(verdict.route).auth if verdict.route >= 0 else None
            if not exchange.allowed_still(verdict, gone) or auth != (prepared.route.auth if prepared.route else None):
                exchange.fail(403, slug, what, deny(slug, what, prepared.verdict.rule))
        for held in list(self.flow.holding):
            verdict = self.flow.prepared_again(held).verdict
            if held.digest and verdict.kind is Kind.DENY:
                self.flow.refuse_held(held, verdict.reason, verdict.hint)

    def _end_learning(self) -> None:
        """A learn mode ends by itself, also where nobody says so."""
        policy = self.rules.policy
        if policy.default == "learn" and time.time_ns() >= policy.learn_until:
            self.reload(msgspec.structs.replace(policy, default="deny", learn_until=0))

    def new_secrets(self, secrets: Secrets) -> None:
        """Other secrets; connections that carry old ones are not used again."""
        self._replace(self.rules.policy, secrets)

    def _replace(self, policy: Policy, secrets: Secrets) -> None:
        self.secrets = secrets
        self.rules = Rules(policy, secrets, self.spent, self.grants.live)
        self.journal.policy, self.journal.level = policy.digest, policy.log
        self.journal.sync |= _syncs(policy)  # no reload weakens what the start promised
        self.journal.needles = self.rules.scrubber
        self.forget_heads()
        self.pool.clear()

    def forget_heads(self) -> None:
        """Every head is decided anew from here on; a session that still has a memo sees that by its epoch."""
        self.epoch += 1
        for memo in self._memos.values():
            memo.clear()  # sessions still hold it
        self._memos = {}

    # time and end

    def _tick(self) -> None:
        now = self.loop.now
        self.grants.expire()
        self._end_learning()
        for client in list(self.clients):
            client.sweep(now)
        self.pool.sweep(_CONNECT_SECONDS)
        for cause, count in self.gauges.collect().items():
            self.journal.write(self.journal.record(RecordKind.LIMITED, reason=f"limit.{cause}", count=count))
        self.loop.later(1.0, self._tick)

    def close(self) -> None:
        """Closes every door and flow, then writes what is staged."""
        for door in self._doors:
            self.loop.forget(door.fileno())
            door.close()
        self._doors.clear()
        for exchange in list(self.flow.open):
            exchange.fail(502, "bottle.ended", "The bottle has ended.")
        for held in list(self.flow.holding):
            held.fail(502, "ask.ended", "The bottle has ended.")
        self.journal.flush()  # their answers wait for their records
        for client in list(self.clients):
            client.cut()
        self.pool.clear()
        self.journal.flush()


def _count(counts: dict[str, int], host: str) -> None:
    if host in counts or len(counts) < _COUNTED:
        counts[host] = counts.get(host, 0) + 1


def _syncs(policy: Policy) -> bool:
    """Whether each record is on the disk before its request leaves."""
    return policy.sync == "each"
