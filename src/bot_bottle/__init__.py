"""bot-bottle: run coding agents that nobody trusts, and lose nothing when one turns bad."""

__version__ = "0.1.0"
