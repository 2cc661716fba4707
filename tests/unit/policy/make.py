"""Short ways to write a policy in a test."""

import msgspec

from bot_bottle.policy.check import BottleFile, check_bottle
from bot_bottle.policy.decide import Compiled, compile, decide
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.merge import effective, merge
from bot_bottle.policy.verdict import Request, Target, Verdict


def bottle(front: str, name: str = "b") -> BottleFile:
    """A bottle from its front matter; `tls.ca` files hold PEM."""
    file = check_bottle(f"---\n{front}\n---\n".encode(), name, f"{name}.md")
    return msgspec.structs.replace(file, authorities={"ca.pem": "PEM"})


def policy(routes: str, *given: Route) -> Policy:
    """A policy from a YAML list of routes in flow or block style."""
    body = "\n".join(f"    {line}" for line in routes.strip().splitlines())
    front = f"egress:\n  routes:\n{body}" if routes.strip() else "version: 1"
    return effective(merge([bottle(front)]), "b", given)


def compiled(routes: str, *given: Route) -> Compiled:
    return compile(policy(routes, *given))


def request(
    url: str, method: str = "GET", headers: tuple[tuple[str, str], ...] = (), protocol: str = "http1"
) -> Request:
    """A canonical request; url is ``scheme://host[:port]/path``, taken as it is."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, _, port = authority.partition(":")
    return Request(
        Target(scheme, host, int(port or (443 if scheme == "https" else 80))),
        method,
        slash + path,
        "",
        headers,
        protocol,
    )


def ask(
    known: Compiled, url: str, method: str = "GET", *headers: tuple[str, str], protocol: str = "http1"
) -> Verdict:
    return decide(known, request(url, method, headers, protocol))
