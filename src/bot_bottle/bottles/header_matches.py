"""Allow rules that match on a header that never reaches the server: the agent chose it, so it proves nothing there.

Not wrong, so only a warning of `manifest check`: a rule may well sort requests by such a header.
"""

from collections.abc import Iterator

from bot_bottle.base.errors import Problem
from bot_bottle.custody import carriers
from bot_bottle.egress.prepare import stays_here
from bot_bottle.policy import model
from bot_bottle.policy.check import BottleFile
from bot_bottle.policy.routes import route_name


def warnings(file: BottleFile) -> list[Problem]:
    """One for each header of an allow or ask route that custody or the gateway takes out of the request."""
    return [
        Problem(
            "manifest.header-removed", what, file.file, line, "match on the path or the method, or on another header"
        )
        for line, route in zip(file.lines, file.bottle.egress.routes, strict=True)
        if route.action != "deny"
        for what in _of_route(route)
    ]


def _of_route(route: model.Route) -> Iterator[str]:
    names = {header.name.lower() for match in route.matches for header in match.headers}
    for name in sorted(names):
        why = _why_removed(name, route.agent_credentials == "allow")
        if why:
            yield f"route {route_name(route)} matches on the header {name}, but the server never sees it: {why}"


def _why_removed(name: str, own_credentials: bool) -> str:
    if stays_here(name):
        return "the gateway speaks for itself to the server"
    if not own_credentials and carriers.is_header(name.encode("latin-1", "replace")):
        return "credentials of the agent are taken out"
    return ""
