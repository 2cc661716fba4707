"""What an agent is told of its bottle's own name: the MCP server there, and the command for all others. Pure."""

from bot_bottle.policy.hosts import INSIDE

NAME = "bottle"
"""Of the server in a harness's own configuration; its tools are then named after it."""
URL = f"http://{INSIDE}/mcp"
COMMAND = "/opt/bot-bottle/bin/bottle-ask"
