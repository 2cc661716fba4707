"""What a person is asked, what they answer, what a yes permits (design path d, D25, B74). Plain data.

Nothing of a `Wanted` is trusted: it is what an agent wants, cut to size by the gateway, shown as quoted text.
"""

from enum import StrEnum

import msgspec

from bot_bottle.policy.verdict import Target


class AskKind(StrEnum):
    REQUEST = "request"  # a request is held until the answer
    ACCESS = "access"  # the agent asks for a route beforehand (MCP request_access); nothing is held


class AskState(StrEnum):
    WAITING = "waiting"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"  # the deadline passed: silence means no
    WITHDRAWN = "withdrawn"  # the program in the bottle hung up
    ENDED = "ended"  # bottle, gateway or keeper ended while it waited
    REFUSED = "refused"  # the policy changed under it, and a later step would refuse it now


class Scope(StrEnum):
    """How far a yes reaches, narrowest first."""

    ONCE = "once"
    RUN = "run"
    BOTTLE = "bottle"
    PROJECT = "project"
    ALWAYS = "always"


class Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What would be sent. path: canonical, as it is sent. headers: names in order. secrets: names that the gateway
    would put in. body_digest: sha256 hex of the whole body, "" without one. methods: of an ACCESS ask; then method is
    "" and path is a prefix. query: as sent, cut. head_bytes: of request line and headers as they came."""

    target: Target
    method: str = ""
    path: str = "/"
    protocol: str = "http1"
    query: str = ""
    query_digest: str = ""
    headers: tuple[str, ...] = ()
    body_bytes: int = 0
    body_digest: str = ""
    content_type: str = ""
    secrets: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    head_bytes: int = 0


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question to a person. Times: wall clock ns. version: raised with every change (compare-and-set).

    number: of the request in its run. rule: ask route, or policy.grants.DEFAULT. request, scope: the two digests
    (supervise.digest). policy, revision: under which it was asked. project: absolute path of the workspace, or "".
    says: the agent's own words, unchecked. answer: id of the answer that settled it.
    """

    id: str
    run: str
    bottle: str
    label: str
    agent: str
    harness: str
    project: str
    kind: AskKind
    number: int
    wanted: Wanted
    rule: str
    reason: str
    hint: str
    request: str
    scope: str
    policy: str
    revision: int
    asked: int
    deadline: int
    says: str = ""
    state: AskState = AskState.WAITING
    version: int = 1
    settled: int = 0
    answer: str = ""


class Approver(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who answers. kind: ``os`` (a user of this machine), ``device`` (a paired one), ``token`` (an API token).
    id: stable (uid, device id, token id); name: for people. via: terminal, web, api."""

    kind: str
    id: str
    name: str
    via: str = ""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person's answer to one ask. request: the digest that they saw. seconds: how long the grant lives, 0 for the
    default of its scope. break_glass: answers without the quorum; reason is then required. late: given knowing that
    nobody waits any more: a yes may then be one retry."""

    id: str
    ask: str
    request: str
    allow: bool
    scope: Scope
    approver: Approver
    at: int
    seconds: int = 0
    reason: str = ""
    break_glass: bool = False
    late: bool = False


class StoredGrant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A yes that outlives its request. subject: run id, bottle name or project path, as scope says. policy: digest
    under which it was given; under another it is dead. uses: how often it may be used, 0 for any number; used: how
    often it was. retry: the digest of what it permits once (a late yes to a held request), else "": the scope digest
    after the deadline, the request digest where the lateness was the bottle's own doing.
    write: for ALWAYS, the leaf bottle file that got the rule. revoked: when, 0 if not. with_run: revoked because its
    run ended, by nobody; with_policy: because another policy held for a while."""

    id: str
    ask: str
    answer: str
    scope: Scope
    subject: str
    policy: str
    rule: str
    wanted: Wanted
    given: int
    expires: int
    approver: Approver
    retry: str = ""
    uses: int = 0
    used: int = 0
    revoked: int = 0
    write: str = ""
    with_run: bool = False
    with_policy: bool = False
