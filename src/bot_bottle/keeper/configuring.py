"""What a gateway is told before it is confined: policy, limits, authorities, first leaves, grants; then secrets."""

import time

from bot_bottle.egress.messages import Configure, Secrets
from bot_bottle.keeper.authority import Authority
from bot_bottle.keeper.messages.launcher import Open
from bot_bottle.keeper.outside import Outside
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.grants import Grant

_LEAVES = 50
"""How many hosts get theirs before anybody asks: a bottle starts no later for a long policy."""


def configuration(order: Open, outside: Outside, grants: tuple[Grant, ...]) -> Configure:
    """Everything but the secrets. Raises OperatorFault where this host names no authorities."""
    authority = outside.authority
    return Configure(
        identity=order.identity,
        policy=order.policy,
        limits=order.limits,
        trust=outside.trust(order.trust),
        authority=authority.pem,
        leaf_key=authority.leaf_key,
        leaves=_ahead(order.policy, authority),
        upstream_proxy=order.upstream_proxy,
        grants=grants,
    )


def secrets_of(order: Open, values: dict[str, bytes]) -> Secrets:
    """values: name -> value; each goes with the placeholder that the bottle holds, "" where it holds none."""
    return Secrets(values, {name: order.placeholders.get(name, "") for name in values})


def _ahead(policy: Policy, authority: Authority) -> dict[str, str]:
    """Leaves for the hosts that routes name exactly: the first request to them waits for nothing."""
    hosts = [route.host for route in policy.routes if not route.host.startswith("*")][:_LEAVES]
    return {host: leaf for host in hosts if (leaf := authority.mint(host, time.monotonic()))}
