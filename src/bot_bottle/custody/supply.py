"""What the keeper takes out of custody for one bottle: the gateway's secrets, and nothing that was not asked for."""

from collections.abc import Iterable

from bot_bottle.custody.open import Custody


def gateway_values(names: Iterable[str], custody: Custody) -> dict[str, bytes]:
    """Name -> value for egress.messages.Secrets. An unset name is left out: its routes then block with the reason."""
    found = ((name, custody.get(name)) for name in sorted(set(names)))
    return {name: secret.reveal() for name, secret in found if secret is not None}


def missing(names: Iterable[str], custody: Custody) -> tuple[str, ...]:
    """Names that no store has, sorted."""
    return tuple(name for name in sorted(set(names)) if custody.get(name) is None)
