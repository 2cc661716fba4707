"""What an agent is told about asking: in the server's instructions, in a denial, and by `bottle-ask`. Pure."""

import shlex

from bot_bottle.policy.decide import NO_HOST, NO_MATCH, NO_PORT
from bot_bottle.policy.inside import COMMAND

LIFTED = (NO_HOST, NO_PORT, NO_MATCH)
"""Reasons of a denial that a person's yes to `request_access` lifts."""

INSTRUCTIONS = (
    "This sandbox lets out only requests that its policy allows. When one is denied, call request_access with a "
    "short reason, then check_request with wait: a person decides. Never try to get around a denial."
)


def how_to_ask(method: str, url: str) -> str:
    """The sentence for a denial that a person could lift; its command can be run as it stands. method, url: made
    visible and cut by the caller."""
    command = f"{COMMAND} request {shlex.quote(method)} {shlex.quote(url)} 'why' --wait"
    return f"Ask a person: MCP tool request_access, or run: {command}"
