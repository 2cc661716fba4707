"""All that decides about a request: compiled policy, secrets and their scrubber. Replaced as a whole by reload.

Holds the only references to secret values in the gateway besides the heads that carry them; never shown.
"""

import contextlib
import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from bot_bottle.base.secret import Secret
from bot_bottle.egress.limits import Spent
from bot_bottle.egress.messages import Secrets
from bot_bottle.inspect.needles import Needle, needles
from bot_bottle.inspect.scrub import Scrubber
from bot_bottle.policy.decide import Compiled, compile, matched_headers, with_grants
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.grants import Grant
from bot_bottle.policy.verdict import Request

if TYPE_CHECKING:
    from bot_bottle.egress.records import Template
    from bot_bottle.egress.reply import Plan


class Rules:
    """One revision. replies: answer heads decided already, by their bytes; templates: intent and outcome by all that
    they say; stays: header names, and whether they never leave; grants: by id, those that hold now. Nothing prepared
    outlives its rules, or a change of grants."""

    def __init__(
        self,
        policy: Policy,
        secrets: Secrets,
        spent: dict[str, Spent] | None = None,
        grants: Mapping[str, Grant] = MappingProxyType({}),
    ) -> None:
        self.policy = policy
        self.grants = grants
        self.compiled: Compiled = compile(policy, tuple(grants.values()))
        self.matched = matched_headers(self.compiled)
        self.placeholders = secrets.placeholders
        self.secrets = {name: Secret(name, value) for name, value in secrets.values.items() if value}
        self.scrubber = Scrubber(_needles(secrets))
        self.replies: dict[bytes, Plan] = {}
        self.stays: dict[str, bool] = {}
        self.templates: dict[tuple[object, ...], tuple[Template | None, Template | None]] = {}
        self.spent: dict[str, Spent] = {} if spent is None else spent
        self.named_headers = frozenset(
            header.name for route in policy.routes for match in route.matches for header in match.headers
        )

    def grant(self, grants: Mapping[str, Grant]) -> None:
        """Decides by these grants from now on."""
        self.grants = grants
        self.compiled = with_grants(self.compiled, tuple(grants.values()))

    def lending(self, grant: Grant | None) -> "Rules":
        """The same, and this one grant too: for the one request that it was used up for."""
        if grant is None or grant.id in self.grants:
            return self
        rules = copy.copy(self)
        rules.grant({**self.grants, grant.id: grant})
        return rules

    def once(self, rule: str, request: Request) -> Grant | None:
        """The grant for one use that covers a request which this rule asks about."""
        return next((grant for grant in self.grants.values() if grant.once and grant.covers(rule, request)), None)

    @property
    def guarded(self) -> bool:
        """Whether any secret is held, so that replies must be readable (D12)."""
        return bool(self.scrubber)

    def usage(self, route: Route) -> Spent:
        """What the route used so far; survives a reload that keeps the rule's name."""
        found = self.spent.get(route.rule)
        if found is None:
            found = self.spent[route.rule] = Spent(route.limits.requests_per_minute)
        return found

    def shape(self, host: str) -> str:
        """The error shape of a model host, or ""."""
        return self.policy.model_hosts.get(host, "")


def _needles(secrets: Secrets) -> list[Needle]:
    found: list[Needle] = []
    for name, value in secrets.values.items():
        with contextlib.suppress(ValueError):  # too short to be told from ordinary text: custody refuses to store one
            found.extend(needles(name, value, secrets.placeholders.get(name, "").encode()))
    return found
