"""How much an ask matters, by its facts alone: a pure, deterministic class, so that one click never answers two (F).

The class is about what could be lost, not about how likely it is. No text of the agent takes part.
"""

from enum import StrEnum

from bot_bottle.policy.addresses import AddressClass, classify
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.hosts import is_address
from bot_bottle.supervise.granting import is_access
from bot_bottle.supervise.model import Ask, Wanted

READS = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = ("DELETE", "PATCH", "POST", "PUT", "TRACE", "GET", "HEAD", "OPTIONS")
"""Those that a wish for access may name (RFC 9110 section 9 and RFC 5789, without CONNECT), what sends first."""


class Risk(StrEnum):
    """From the least to the most. A request has the highest that fits."""

    READ = "read"  # reads from a host that rules name or that was reached before
    NEW = "new"  # reads from a host that no bottle reached before: its name and path are news to it
    SEND = "send"  # sends data
    STREAM = "stream"  # opens a connection on which anything can be sent later
    EXPOSED = "exposed"  # goes out in clear, or to an address without a name
    SECRET = "secret"  # noqa: S105 - carries a real secret, or something was found in it


WORDS = {
    Risk.READ: "reads",
    Risk.NEW: "reads from a new host",
    Risk.SEND: "sends data",
    Risk.STREAM: "opens a two-way stream",
    Risk.EXPOSED: "not encrypted, or no host name",
    Risk.SECRET: "carries a secret",
}
"""Two or three words a class, for a mark on a card."""


def risk(wanted: Wanted, first_seen: bool) -> Risk:
    """The class of what would be sent. first_seen: no bottle reached this host before."""
    if wanted.secrets or wanted.findings:
        return Risk.SECRET
    if wanted.target.scheme == "http" or is_address(wanted.target.host):
        return Risk.EXPOSED
    if wanted.protocol == "websocket":
        return Risk.STREAM
    if sends(wanted):
        return Risk.SEND
    return Risk.NEW if first_seen else Risk.READ


def sends(wanted: Wanted) -> bool:
    """Whether more than a name, a path and headers leaves: a body, a query, or a method that is no read."""
    methods = wanted.methods if is_access(wanted) else (wanted.method,)
    return bool(wanted.body_bytes or wanted.query) or not methods or not set(methods) <= READS


def cause(ask: Ask, first_seen: bool) -> str:
    """Why a person is asked, as the end of a sentence."""
    host = ask.wanted.target.host
    if ask.rule != DEFAULT:
        return f"because rule {ask.rule} asks first"
    kind = classify(host) if is_address(host) else AddressClass.PUBLIC
    new = "a host that no bottle has reached before, " if first_seen else ""
    new = f"a {kind.value} address, " if kind is not AddressClass.PUBLIC else new
    causes = {
        "policy.port-not-allowed": "because no rule names this port",
        "policy.request-not-allowed": "because no rule names this request",
    }
    return new + causes.get(ask.reason, "because no rule names it")
