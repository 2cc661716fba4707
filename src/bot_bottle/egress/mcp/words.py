"""What an agent is told about asking: in the server's instructions, in a denial, and by `bottle-ask`. Pure."""

from bot_bottle.policy.decide import NO_HOST, NO_MATCH, NO_PORT
from bot_bottle.policy.inside import COMMAND

LIFTED = (NO_HOST, NO_PORT, NO_MATCH)
"""Reasons of a denial that a person's yes to `request_access` lifts."""

INSTRUCTIONS = (
    "This sandbox lets out only requests that its policy allows. When one is denied, call request_access with a "
    "short reason, then check_request with wait: a person decides. Never try to get around a denial."
)


def how_to_ask(method: str, url: str) -> str:
    """The sentence for a denial that a person could lift. method, url: made visible and cut by the caller."""
    return f"Ask a person: MCP tool request_access, or run: {COMMAND} request {method} {quoted(url)} 'why' --wait"


def quoted(text: str) -> str:
    """One argument for sh; a URL that needs no quotes stays as it is."""
    plain = text.replace("/", "").replace(":", "").replace(".", "").replace("-", "").replace("_", "")
    return text if plain.isalnum() and plain.isascii() else "'" + text.replace("'", "'\\''") + "'"
