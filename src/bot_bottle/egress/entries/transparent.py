"""The transparent doors (80, 443 and named ports): programs that know no proxy still arrive here (B22, B27).

The original destination is the socket's own name, never what a peer claims. It must be a synthetic address that this
gateway's DNS gave out, whose name SNI or Host must repeat (B07, B08), or the very address literal that Host repeats.
"""

from typing import TYPE_CHECKING

from bot_bottle.egress.greeting import Choice, Greeting
from bot_bottle.egress.leg import Leg
from bot_bottle.egress.session import Session
from bot_bottle.egress.target import Site
from bot_bottle.policy.verdict import deny

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway


def transparent(gateway: "Gateway", leg: Leg, kind: str, address: str, port: int) -> None:
    """A connection at the door `kind` whose original destination was `address`."""
    name = gateway.names.name_of(address) or address
    if kind == "http":
        Session(gateway, Site(kind, "http", name, port)).attach(leg)
        return
    secure = Site(kind, "https", name, port)
    Greeting(gateway, leg, lambda sni: _choose(secure, sni), secure, plain=kind == "port")


def _choose(site: Site, name: str | None) -> Choice | None:
    """Without a server name nothing says whom the program meant (B09)."""
    if name is None:
        return None
    if name == site.host:
        return site, name
    what = "The TLS server name is not the name that this bottle's DNS gave the address for."
    return site._replace(refusal=deny("target.address-disagrees", what)), name
