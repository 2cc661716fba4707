"""The one path of every request out of a bottle, numbered as in design.md (a); every entry and protocol comes
through here.

1 the bottle, by its socket; 2 one canonical target; 3 the verdict; 4 the agent's own bytes; 5 held until a person
answers, where the verdict is to ask (asking); 6 the intent record; 7 the address, resolved, classified, pinned and
recorded; 8 the secret; 9 dial, verify, relay; 10 the answer, scrubbed; 11 the outcome record.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.egress.asking import Asking
from bot_bottle.egress.exchange import Exchange
from bot_bottle.egress.outcome import Ending
from bot_bottle.egress.prepare import Prepared, prepare
from bot_bottle.egress.resolve import public_only
from bot_bottle.egress.session import Session
from bot_bottle.egress.upstream import Link
from bot_bottle.policy.addresses import classify
from bot_bottle.policy.hosts import bracketed, is_address
from bot_bottle.policy.verdict import Kind, deny

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway

_MEMO = 512
_MEMO_HEAD = 8192
_MEMO_BYTES = 1_000_000


class Flow(Asking):
    """Holds no state of a request; that is the exchange's."""

    def __init__(self, gateway: "Gateway") -> None:
        super().__init__(gateway)
        self.open = set()
        self.holding = set()
        self._remembered = 0
        self._once: set[int] = set()

    def handle(self, session: Session, raw: bytes) -> None:
        """One request head, whole. Everything else follows from here."""
        gateway = self.gateway
        # 1 The bottle is the one whose door the connection was accepted on: this gateway has no other.
        if not gateway.gauges.arrivals.take(gateway.loop.now):
            self.limited(session, "arrivals")
            return
        # 2, 3, 4 Target, verdict and the agent's own bytes; 8 what will leave. Pure in the bytes, so remembered.
        if session.epoch != gateway.epoch:
            session.renew()
        prepared = session.memo.get(raw)
        if prepared is None:
            prepared = prepare(gateway.rules, gateway.journal, session.site, raw, gateway.limits.head_fields)
            if prepared.verdict.kind is Kind.DENY:
                self.deny(session, prepared)
                return
            # 5 Held whole, asked about, decided again; then it comes back to 6.
            if prepared.verdict.kind is Kind.ASK:
                self.hold(session, raw, prepared)
                return
            if prepared.route is None:
                gateway.inside.serve(session, prepared)
                return
            self._remember(session, raw, prepared)
        over = self.excess(prepared) if prepared.limited else None
        if over is not None:
            self.over(session, prepared, over)
            return
        exchange = Exchange(self, session, prepared, gateway.next_number())
        self.open.add(exchange)
        # 6 The intent. Nothing of this request, not even its name, leaves before the record is written.
        if prepared.intent is not None:
            gateway.journal.stage(prepared.intent.line(exchange.number), exchange_start(self, exchange))
        else:
            facts = {**prepared.facts, "request": exchange.number}
            gateway.journal.write(gateway.journal.record(RecordKind.INTENT, **facts), exchange_start(self, exchange))
        session.begin(prepared.head, exchange)

    def start(self, exchange: Exchange) -> None:
        """The intent is written."""
        if exchange.finished:
            return
        gateway, prepared = self.gateway, exchange.prepared
        gateway.count_allowed(prepared)
        alone = prepared.protocol == "websocket" or exchange.yes is not None
        link = None if alone else gateway.pool.take(prepared.key, exchange)
        if link is not None:
            exchange.connected(link)
        else:
            self.reach(exchange)

    # 7 resolve, classify, pin

    def reach(self, exchange: Exchange) -> None:
        """Where to dial: the route's pin, an address literal, or what the name resolves to now, once."""
        route, place = exchange.prepared.route, exchange.prepared.place
        assert route is not None and place is not None
        host = place.target.host
        if route.address:
            kind = classify(_split(route.address)[0])
            if kind.pinnable:
                exchange.addresses = (route.address,)
                self.dial_next(exchange, "", "")
            else:
                self._refuse_address(exchange, kind.value)
        elif is_address(host):
            self._classified(exchange, [host], "")
        else:
            self.gateway.resolver.resolve(host, lambda found, error: self._classified(exchange, found, error))

    def _classified(self, exchange: Exchange, found: list[str], error: str) -> None:
        if exchange.finished:
            return
        place = exchange.prepared.place
        assert place is not None
        public, bad = public_only(found)
        if found and not public:
            self._refuse_address(exchange, bad.value)
        elif not found and not self.gateway.proxy:
            exchange.fail(502, "upstream.unresolved", error)
        else:
            port = place.target.port
            exchange.addresses = tuple(f"{bracketed(address)}:{port}" for address in public)
            if self.gateway.proxy:
                exchange.addresses = (self.gateway.proxy.address,)
            self.dial_next(exchange, "", "")

    def _refuse_address(self, exchange: Exchange, kind: str) -> None:
        what = f"The name leads to a {kind} address, which is reached only by a route with address:."
        verdict = deny(f"address.{kind}", what, exchange.prepared.verdict.rule)
        exchange.fail(403, verdict.reason, what, verdict)

    def dial_next(self, exchange: Exchange, slug: str, what: str) -> None:
        """The next pinned address, recorded before it is dialled."""
        if not exchange.addresses:
            exchange.fail(502, slug, what)
            return
        address = exchange.address = exchange.addresses[0]
        exchange.addresses = exchange.addresses[1:]
        journal = self.gateway.journal
        record = journal.record(RecordKind.PINNED, request=exchange.number, address=address)
        journal.write(record, lambda: self._dial(exchange, address))

    # 9 dial and verify

    def _dial(self, exchange: Exchange, address: str) -> None:
        if exchange.finished:
            return
        gateway, prepared = self.gateway, exchange.prepared
        route, place = prepared.route, prepared.place
        assert route is not None and place is not None
        tls = (gateway.trust.context(route.ca), place.target.host) if place.target.scheme == "https" else None
        tunnel = b""
        if gateway.proxy and not route.address:
            tunnel = gateway.proxy.connect_head(place.target)
        link = Link(gateway.pool, prepared.key, address, exchange)
        link.dial(*_split(address), tls, tunnel)

    # endings

    def body_too_long(self, exchange: Ending) -> bool:
        """Whether the upload passed its limit; then the exchange is over."""
        over = self.excess_bytes(exchange.prepared, exchange.up)
        if over is not None:
            exchange.fail(over.status, over.slug, over.what)
        return over is not None

    def secret_in_body(self, exchange: Ending, name: str) -> None:
        """Step 4 in a streamed body: the agent sends a real secret; the request is cut (B43, D02)."""
        what = f"The request holds the secret {name}, which never leaves a bottle."
        exchange.fail(
            403, "custody.secret-sent", what, deny("custody.secret-sent", what, exchange.prepared.verdict.rule)
        )
        self.secret_hit()

    def scrubbed(self, exchange: Exchange, names: tuple[str, ...]) -> None:
        """An answer held secrets: they were replaced, and the outcome says so."""
        found = (f"reply.secret:{name}" for name in names)
        exchange.findings = tuple(dict.fromkeys((*exchange.findings, *found)))

    def settled(self, exchange: Ending, reason: str) -> None:
        """The outcome is staged."""
        self.open.discard(exchange)
        counters = self.gateway.counters
        counters.bytes_up += exchange.up if exchange.address else 0  # else nothing of it left
        counters.bytes_down += exchange.down
        if reason:
            counters.failed += 1
            counters.failures[reason] = counters.failures.get(reason, 0) + 1
        route = exchange.prepared.route
        if exchange.prepared.metered and route is not None:
            self.gateway.rules.usage(route).bytes += exchange.up + exchange.down

    def _remember(self, session: Session, raw: bytes, prepared: Prepared) -> None:
        """Within a budget over all sites: what is kept of a head takes several times its bytes (S12). Only from its
        second time on: an agent whose heads all differ would fill memory with what never helps."""
        memo, mark = session.memo, hash(raw)
        if mark not in self._once:
            if len(self._once) >= _MEMO:
                self._once.clear()
            self._once.add(mark)
            return
        if len(raw) <= _MEMO_HEAD:
            self._remembered += len(raw)
            if self._remembered > _MEMO_BYTES:
                self.gateway.forget_heads()
                self._remembered = len(raw)
                return
            if len(memo) >= _MEMO:
                memo.clear()
            memo[raw] = prepared


def exchange_start(flow: Flow, exchange: Exchange) -> Callable[[], None]:
    """What waits for the intent's bytes."""
    return lambda: flow.start(exchange)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
