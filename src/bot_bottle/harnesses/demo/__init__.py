"""The demo's content: a rogue agent, the scripted model that it talks to, and what on the host would notice it."""
