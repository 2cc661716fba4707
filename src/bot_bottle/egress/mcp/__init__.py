"""The agent's side of approvals: an MCP server that exists only inside the bottle, under one reserved name.

Nothing that it is told is believed, and it can do nothing but ask, look at its own asks and leave a note (B44, B59).
"""
