"""`egress.registries`: package downloads by GET from the hosts that this host's own clients are set to.

No list of hosts lives here: a company's mirror is what is allowed. Credentials in a client's URL are never passed on
(a route with auth is written for that), and nothing is sent to learn a host (B50: no method but GET and HEAD).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from bot_bottle.policy.effective import Match, Route
from bot_bottle.policy.hosts import canonical_host

if TYPE_CHECKING:
    from bot_bottle.bottles.registry_clients import Asked, Client

METHODS = ("GET", "HEAD")


class Registry(msgspec.Struct, frozen=True):
    """One place that packages come from. kind: as in the manifest. source: where its address was read."""

    kind: str
    scheme: str
    host: str
    port: int
    source: str


class Registries(msgspec.Struct, frozen=True):
    """What was found, and sentences about what was not."""

    found: tuple[Registry, ...] = ()
    warnings: tuple[str, ...] = ()

    def routes(self) -> tuple[Route, ...]:
        """GET-only routes, one for each place; rule ids ``registry/KIND-N``."""
        counts: dict[str, int] = {}
        out: list[Route] = []
        for one in self.found:
            counts[one.kind] = counts.get(one.kind, 0) + 1
            out.append(
                Route(
                    rule=f"registry/{one.kind}-{counts[one.kind]}",
                    host=one.host,
                    scheme=one.scheme,
                    ports=(one.port,),
                    matches=(Match(methods=METHODS),),
                    origin=one.source,
                )
            )
        return tuple(out)


def discover(kinds: tuple[str, ...], environ: Mapping[str, str], workspace: str = "") -> Registries:
    """Asks the host's clients. environ: the person's environment; workspace: its programs are never run (D06)."""
    if not kinds:
        return Registries()
    from bot_bottle.bottles.registry_clients import CLIENTS, Asked  # subprocess and more: most bottles ask nothing

    asked = Asked(environ, workspace)
    found: dict[tuple[str, str, int], Registry] = {}
    warnings: list[str] = []
    for kind in kinds:
        places, notes = _ask(kind, CLIENTS[kind], asked)
        warnings += notes
        for place in places:
            found.setdefault((place.scheme, place.host, place.port), place)
        if not places:
            warnings.append(
                f"registries: no {kind} registry is known to this host's client; nothing is allowed for it"
            )
    return Registries(tuple(found.values()), tuple(dict.fromkeys(warnings)))


def _ask(kind: str, client: "Client", asked: "Asked") -> tuple[list[Registry], list[str]]:
    places: list[Registry] = []
    warnings: list[str] = []
    for url, source in client(asked):
        try:
            place, secret = parse(kind, url, source)
        except ValueError as error:
            warnings.append(f"registries: {source} has an address that is not used: {error}")
            continue
        places.append(place)
        if secret:
            warnings.append(f"registries: {source} holds a password; it stays on this host, write a route with auth")
    return places, warnings + asked.notes_of(kind)


def parse(kind: str, url: str, source: str) -> tuple[Registry, bool]:
    """A client's URL as a place, and whether it held a password. Raises ValueError for anything but http(s)."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("it is malformed") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is neither http nor https")
    default = 443 if parts.scheme == "https" else 80
    place = Registry(kind, parts.scheme, canonical_host(parts.hostname), port or default, source)
    return place, parts.password is not None or bool(parts.username)
