"""What the starter (`serve`, no key) and the web process say to each other: typed frames (egress/channel.py).

The web process asks, the starter does or passes on to the warm keeper: so the process that parses what a browser sent
can start nothing, sign nothing and write no record by itself. Each question has a number, its reply carries the same.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from bot_bottle.egress.messages import Frame
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, RevokeGrant
from bot_bottle.web.pairing import ALPHABET, CODE_LENGTH
from bot_bottle.web.wish import Label, StartWish

Key = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]
"""Of a one-time link (web.pairing)."""


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place to listen. address "" with a passed socket: descriptors come with Begin in the order of `listen`.

    tls: with the certificate of Begin. proxied: a stated reverse proxy stands in front; only from it X-Forwarded-*
    is believed.
    """

    address: str = "127.0.0.1"
    port: int = 0
    tls: bool = False
    proxied: bool = False
    passed: bool = False


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """leaf, key: PEM, for this listener only. authority: PEM of our own CA's certificate; fingerprint: its sha256."""

    leaf: str
    key: str
    authority: str
    fingerprint: str

    def __repr__(self) -> str:
        return f"Certificate({self.fingerprint})"


# starter -> web


class Begin(Frame, tag="begin"):
    """First frame. home, runtime: as in base.home. names: host names and addresses that a Host header may have,
    besides those of loopback (IPv6 in brackets). proxies: addresses of the stated reverse proxy. public: its origin,
    "" without one. user: who this person is (name of the OS user); uid: theirs. push_key: `applicationServerKey` of
    Web Push (supervise.notify.push.public_key), "" without a notifier of that kind."""

    home: str
    runtime: str
    listen: tuple[Listen, ...] = (Listen(),)
    names: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    public: str = ""
    certificate: Certificate | None = None
    user: str = ""
    uid: int = 0
    push_key: str = ""


class Renew(Frame, tag="renew"):
    """A newer certificate for the TLS listeners; open connections stay. names: replaces those of Begin, since the
    addresses of a host change (() keeps them)."""

    certificate: Certificate
    names: tuple[str, ...] = ()


class IssueKey(Frame, tag="issuekey"):
    """A one-time link for the person at this machine; web answers with KeyMade, the starter with KeyIssued."""


class IssueCode(Frame, tag="issuecode"):
    """A one-time code that pairs a device; web answers with CodeMade, the starter with CodeIssued."""


class Reply(Frame, tag="reply"):
    """Answer to a numbered question of web. error: slug, sentence, hint; empty where it was done. A descriptor comes
    with that to ReachKeeper alone."""

    number: int
    text: str = ""
    answered: Answered | None = None
    error: tuple[str, str, str] = ("", "", "")


# web -> starter


class Serving(Frame, tag="serving"):
    """Listening and confined. url: of the local page without its key. urls: every place, in the order of `listen`;
    for those who let it bind: `serve` asks its own sockets (web.addresses). key: of the first one-time link."""

    url: str
    urls: tuple[str, ...]
    key: Key
    confinement: Annotated[str, Meta(pattern=r"^[a-z0-9 -]{0,64}\Z")]


class KeyMade(Frame, tag="keymade"):
    """Of a new one-time link: all that web has to say of it."""

    key: Key


class CodeMade(Frame, tag="codemade"):
    """The letters of a new pairing code, and nothing else: where to type it, and whose certificate is shown there,
    says the starter."""

    code: Annotated[str, Meta(pattern=rf"^[{ALPHABET}]{{{CODE_LENGTH}}}\Z")]


class StartBottle(Frame, tag="startbottle"):
    """Start a bottle detached; the reply's text is its label."""

    number: int
    request: StartWish


class AnswerEnded(Frame, tag="answerended"):
    """An answer to an ask of a bottle that no longer runs: for the warm keeper."""

    number: int
    answer: AnswerAsk


class RevokeEnded(Frame, tag="revokeended"):
    """A grant of which no bottle runs: for the warm keeper."""

    number: int
    revoke: RevokeGrant


class Control(Frame, tag="control"):
    """A CONTROL record of the host log, written by the warm keeper: what a person did, who, to what."""

    number: int
    what: str
    approver: str
    detail: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class ReachKeeper(Frame, tag="reachkeeper"):
    """A connection to the keeper of this bottle: the reply's descriptor. Web itself may connect to nothing."""

    number: int
    label: Label


class KillBottle(Frame, tag="killbottle"):
    """End this bottle without asking its keeper; web itself may not signal any process."""

    number: int
    label: Label


class TestNotice(Frame, tag="testnotice"):
    """Send a test notice by this notifier; the reply's text says how it went."""

    number: int
    notifier: str


class ReadSettings(Frame, tag="readsettings"):
    """The text of settings.toml as it is now, "" where there is none. An editor replaces the file, and what web may
    read (Landlock) is the file that was there when it started."""

    number: int


class Refused(Frame, tag="refused"):
    """Web did not start: it listens nowhere."""

    slug: str
    what: str
    hint: str = ""


# starter -> another `serve` of this person (cli.serve_socket)


class KeyIssued(Frame, tag="keyissued"):
    """link: http://127.0.0.1:PORT/?key=…, works once."""

    link: str


class CodeIssued(Frame, tag="codeissued"):
    """code: as a person types it. link: for the QR code. seconds: how long it lives. fingerprint: of our CA, "" where
    TLS is not ours; the page shows the same."""

    code: str
    link: str
    seconds: int
    fingerprint: str = ""


Errand = StartBottle | AnswerEnded | RevokeEnded | Control | KillBottle | TestNotice | ReadSettings
Question = Errand | ReachKeeper
StarterToWeb = Begin | Renew | IssueKey | IssueCode | Reply
WebToStarter = Serving | Refused | KeyMade | CodeMade | Question
