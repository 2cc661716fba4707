"""A person's yes as the policy applies it: it turns an ask into an allow, and never touches a deny (D25, B74)."""

import msgspec

from bot_bottle.policy.verdict import Request

DEFAULT = "default/ask"
"""Stands for the rule where ``egress.default: ask`` asks about what no route names."""

LEARNED = "default/learn"
"""Stands for the rule while a policy is learned: what no route names is allowed, without any secret, and recorded."""


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """id: of the stored grant. rule: the ask route that it answers, or DEFAULT. method "" and methods () mean any.
    path: exact, or where prefix is set the path and all below it (whole segments). expires: wall ns.
    approver: for the record of each use. once: the request is asked about, and the keeper lets it go by counting."""

    id: str
    ask: str
    rule: str
    scheme: str
    host: str
    port: int
    protocol: str
    path: str
    expires: int
    methods: tuple[str, ...] = ()
    prefix: bool = False
    once: bool = False
    approver: str = ""

    def covers(self, rule: str, request: Request) -> bool:
        """Whether this yes was given for such a request, asked by that rule. Time is not looked at."""
        target = request.target
        return (
            rule == self.rule
            and (target.scheme, target.host, target.port) == (self.scheme, self.host, self.port)
            and request.protocol == self.protocol
            and (not self.methods or request.method in self.methods)
            and self._covers_path(request.path)
        )

    def _covers_path(self, path: str) -> bool:
        if path == self.path:
            return True
        return self.prefix and path.startswith(self.path if self.path.endswith("/") else self.path + "/")
