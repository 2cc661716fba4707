"""One audit entry. A leaf of the log is the exact bytes of its line: a fixed-order JSON object and a newline.

Contract between the gateway (writes intents and outcomes), the keeper (writes lifecycle records) and all readers.
Field order is the order of the fields below; new fields are only ever appended and the version raised.
"""

from enum import StrEnum

import msgspec

VERSION = 2


class Kind(StrEnum):
    START = "start"  # lifecycle, by the keeper: policy digest, harness digest, plan digest
    POLICY = "policy"  # the policy changed (reload)
    FREEZE = "freeze"
    THAW = "thaw"
    STOP = "stop"
    RECOVERED = "recovered"  # sealed by a later start; open intents closed as unknown
    INTENT = "intent"  # before anything leaves, not even a name
    PINNED = "pinned"  # the resolved and checked address, before the dial
    OUTCOME = "outcome"  # after: status, bytes, duration, secrets used
    DENIED = "denied"  # one record says it all: nothing left
    NAME = "name"  # a DNS question: answered synthetically or refused
    LIMITED = "limited"  # counted excess, at most one a second and cause (D18)
    BODY = "body"  # log: full - a piece of a body, redacted
    ASK = "ask"  # a person is asked: ask, request and scope digests in detail; by the keeper
    ANSWER = "answer"  # one person's answer: ask, approver, scope; by the keeper
    SETTLED = "settled"  # how an ask ended: allowed, denied, expired, withdrawn, ended; grant where one was given
    GRANT = "grant"  # a grant was revoked, expired, used up or ended with its run or policy
    REPORT = "report"  # the agent called one of its tools (method says which): its words are quoted, never believed
    LEARN = "learn"  # a timed learn mode began or ended
    CONTROL = "control"  # host log: what a person did to this installation: paired, revoked, purged, froze all
    CHECKPOINT = "checkpoint"  # host log: the signed head of a run's log; detail: size, root


class Record(msgspec.Struct, omit_defaults=True):
    """time: wall clock ns; mono: monotonic ns. request: per-bottle number that ties intent, pinned and outcome.

    target: ``https://host:port``. path: canonical, cut (D18). query_names and query_digest (sha256, 16 hex) never
    show values. headers: names in order; matched: values of headers that any route matches on. secrets: names.
    up, down: body bytes. ms: duration. body_digest: sha256 of a body that was held. detail: lifecycle facts.
    ask, grant, approver: where a person decided; an intent under a grant names all three.
    """

    v: int
    kind: str
    run: str
    time: int
    mono: int
    bottle: str
    agent: str
    harness: str
    label: str
    policy: str
    request: int = 0
    entry: str = ""
    protocol: str = ""
    target: str = ""
    method: str = ""
    path: str = ""
    query_names: tuple[str, ...] = ()
    query_digest: str = ""
    headers: tuple[str, ...] = ()
    matched: dict[str, str] = {}
    verdict: str = ""
    rule: str = ""
    reason: str = ""
    secrets: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    address: str = ""
    status: int = 0
    up: int = 0
    down: int = 0
    ms: float = 0
    body_digest: str = ""
    count: int = 0
    detail: dict[str, str] = {}
    ask: str = ""
    grant: str = ""
    approver: str = ""
