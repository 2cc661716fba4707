"""What keeper, launcher and gateway say to each other: typed frames on stream sockets (see egress/channel.py).

Three links exist per bottle. keeper <-> gateway: configuration, secrets, certificates, freeze, reload, counters.
launcher <-> gateway: the doors, ready, end; its EOF is a lifeline. launcher <-> keeper: open, sealed, closed.
"""

import msgspec

from bot_bottle.policy.effective import Policy
from bot_bottle.policy.grants import Grant
from bot_bottle.supervise.model import AskKind, Wanted


class Frame(msgspec.Struct, tag_field="type", forbid_unknown_fields=True):
    """Base of all messages; the tag is the class name in lower case."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bottle-wide limits that hold before any record (D18). Rates are per second unless named otherwise.
    held: requests held at once; asks: new asks a second, with a burst of `held` (B74)."""

    connections: int = 256
    arrivals: int = 500
    denials: int = 100
    names: int = 200
    head_bytes: int = 65536
    head_fields: int = 200
    request_bytes: int = 0
    log_bytes: int = 1_000_000_000
    head_seconds: float = 20
    idle_seconds: float = 300
    total_seconds: float = 7200
    minted_hosts: int = 2000
    held: int = 64
    asks: float = 1


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The constant part of every record."""

    run: str
    bottle: str
    agent: str
    harness: str
    label: str


# keeper -> gateway


class Configure(Frame, tag="configure"):
    """First message. Carries the log descriptor (append only), then the spool: an unlinked file for held bodies,
    which only the gateway can read again, since it encrypts them. trust: PEM of the host's authorities.

    leaf_key: PEM of the key that all minted leaves share; authority: PEM of this bottle's CA certificate.
    leaves: host -> PEM of leaves minted ahead. upstream_proxy: the host's own HTTPS_PROXY or "".
    """

    identity: Identity
    policy: Policy
    limits: Limits
    trust: str
    authority: str
    leaf_key: str
    leaves: dict[str, str] = {}
    upstream_proxy: str = ""
    next_request: int = 1
    grants: tuple[Grant, ...] = ()


class Secrets(Frame, tag="secrets"):
    """Replaces all secrets: name -> value and name -> placeholder. Never logged, never repr'd."""

    values: dict[str, bytes]
    placeholders: dict[str, str]

    def __repr__(self) -> str:
        return f"Secrets({sorted(self.values)})"


class Reload(Frame, tag="reload"):
    """A new policy. Live flows that it no longer allows end."""

    policy: Policy


class Freeze(Frame, tag="freeze"):
    """No byte moves, either way, from now on. Answered by Frozen."""

    reason: str


class Thaw(Frame, tag="thaw"):
    """Go on."""


class Minted(Frame, tag="minted"):
    """Answer to Mint: the leaf certificate, PEM, or "" when refused."""

    host: str
    leaf: str


class NewLog(Frame, tag="newlog"):
    """Carries the next log descriptor: write there from the next record on."""


class StatusQuery(Frame, tag="statusquery"):
    """Answered by Status."""


class AskOpened(Frame, tag="askopened"):
    """Answer to Asked: the ask has an id and waits until deadline (wall ns). ask "": it was refused at once, with
    slug and what."""

    number: int
    ask: str
    deadline: int
    slug: str = ""
    what: str = ""


class Settled(Frame, tag="settled"):
    """How an ask ended. allow: for a held request, exactly its bytes go now, if the policy still does not deny them.
    state, slug, what: for the agent's denial. grant, approver: for the records. until: wall ns at which a flow that
    this opened ends."""

    number: int
    ask: str
    allow: bool
    state: str
    slug: str = ""
    what: str = ""
    grant: str = ""
    approver: str = ""
    until: int = 0


class Grants(Frame, tag="grants"):
    """Replaces all grants that hold for this bottle now; flows under one that is gone end."""

    grants: tuple[Grant, ...]


class ShowHeld(Frame, tag="showheld"):
    """What exactly is held? Answered by HeldBytes. most: bytes of the body."""

    number: int
    most: int = 65536


# gateway -> keeper


class Asked(Frame, tag="asked"):
    """A person is to decide; a held request is complete by now. number 0 never occurs; of an ACCESS ask it is the
    number of the MCP call. rule, reason, hint: of the verdict. says: the agent's words."""

    number: int
    kind: AskKind
    wanted: Wanted
    rule: str
    reason: str
    hint: str
    says: str = ""


class Withdrawn(Frame, tag="withdrawn"):
    """Whoever waited for this number hung up."""

    number: int


class HeldBytes(Frame, tag="heldbytes"):
    """head: as it would leave, with placeholders for secrets. body: its first bytes. size: of the whole body."""

    number: int
    head: bytes
    body: bytes
    size: int


class Configured(Frame, tag="configured"):
    """The gateway is confined and accepts doors. confinement: what holds, e.g. ``landlock-7 seccomp``."""

    confinement: str


class Mint(Frame, tag="mint"):
    """A leaf for this canonical host name is needed."""

    host: str


class Frozen(Frame, tag="frozen"):
    """No byte moves any more. reason as in Freeze, or the gateway's own (log quota, scrub hits)."""

    reason: str


class Failed(Frame, tag="failed"):
    """The gateway stops: the log cannot be written, or a bug. Everything is closed already."""

    slug: str
    what: str


class Counters(msgspec.Struct, forbid_unknown_fields=True):
    """Since the start. secrets: name -> times sent. asked: questions to a person; held: requests that wait now.
    failed: of the allowed; failures: slug -> times. bytes_up: of requests that reached their upstream. final: the
    gateway told them when it was asked to end; where it died before, they are too low."""

    allowed: int = 0
    asked: int = 0
    denied: int = 0
    failed: int = 0
    limited: int = 0
    names: int = 0
    open_flows: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    secrets: dict[str, int] = {}
    hosts: dict[str, int] = {}
    denied_hosts: dict[str, int] = {}
    failures: dict[str, int] = {}
    frozen: str = ""
    final: bool = False
    held: int = 0


class Status(Frame, tag="status"):
    """Answer to StatusQuery; also sent once at the end."""

    counters: Counters


# launcher -> gateway


class Doors(Frame, tag="doors"):
    """Carries the listening sockets, then the bottle's pidfd as the last descriptor.

    kinds: one entry per socket in order: ``forward``, ``http``, ``https``, ``dns-udp``, ``dns-tcp``,
    ``port`` (named ports; TLS or plain is told from the first byte).
    """

    kinds: tuple[str, ...]


class Serving(Frame, tag="serving"):
    """gateway -> launcher: accepting on every door."""


class Bye(Frame, tag="bye"):
    """launcher -> gateway: the bottle has ended; close, flush, say Status to the keeper, exit 0."""


KeeperToGateway = (
    Configure | Secrets | Reload | Freeze | Thaw | Minted | NewLog | StatusQuery
    | AskOpened | Settled | Grants | ShowHeld
)  # fmt: skip
GatewayToKeeper = Configured | Mint | Frozen | Failed | Status | Asked | Withdrawn | HeldBytes
LauncherToGateway = Doors | Bye
GatewayToLauncher = Serving | Failed
