"""Fixtures that attack tests share."""

from gateway_fixtures import authority, plain_upstream, stand, start, upstream

__all__ = ["authority", "plain_upstream", "stand", "start", "upstream"]
