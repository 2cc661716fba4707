"""Records of asks, answers and grants, as fields of `audit.record.Record` (D25: who said yes to exactly what).

The agent's own words are no part of them: they are quoted in the store, and a log must hold nothing unscrubbed.
"""

from typing import Any

from bot_bottle.audit.record import Kind
from bot_bottle.base.text import visible
from bot_bottle.policy.hosts import bracketed
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.charter import title
from bot_bottle.supervise.model import Answer, Ask, AskState, StoredGrant
from bot_bottle.supervise.rules import Settles

Fields = dict[str, Any]
_DIFF = 8000


def asked(ask: Ask) -> Fields:
    """A person is asked: all that the two digests cover, but no value."""
    wanted = ask.wanted
    detail = {
        "kind": ask.kind.value, "request": ask.request, "scope": ask.scope, "revision": str(ask.revision),
        "deadline": str(ask.deadline), "bytes": str(wanted.body_bytes),
    }  # fmt: skip
    if wanted.methods:
        detail["methods"] = visible(" ".join(wanted.methods), 200)
    return {
        "kind": Kind.ASK, "policy": ask.policy, "request": ask.number, "ask": ask.id, "verdict": "ask",
        "target": place(wanted.target), "method": visible(wanted.method, 32), "path": visible(wanted.path, 4096),
        "protocol": wanted.protocol, "query_digest": wanted.query_digest[:16], "headers": wanted.headers,
        "secrets": wanted.secrets, "findings": wanted.findings, "body_digest": wanted.body_digest,
        "rule": ask.rule, "reason": ask.reason, "detail": detail,
    }  # fmt: skip


def answered(ask: Ask, answer: Answer, peer: int, grant: StoredGrant | None, late: bool, diff: str = "") -> Fields:
    """What one person said. peer: uid of the process that brought it. diff: of the bottle file, for `always`."""
    detail = {
        "answer": answer.id, "scope": answer.scope.value, "request": answer.request, "seconds": str(answer.seconds),
        "peer": str(peer), "via": answer.approver.via,
    }  # fmt: skip
    more = {
        "reason": visible(answer.reason, 500), "late": "yes" if late else "",
        "break_glass": "yes" if answer.break_glass else "", "file": grant.write if grant else "",
        "diff": diff[:_DIFF],
    }  # fmt: skip
    return {
        "kind": Kind.ANSWER, "request": ask.number, "ask": ask.id, "verdict": "allow" if answer.allow else "deny",
        "target": place(ask.wanted.target), "rule": ask.rule, "grant": grant.id if grant else "",
        "approver": title(answer.approver), "detail": detail | {name: text for name, text in more.items() if text},
    }  # fmt: skip


def settled(
    ask: Ask, state: AskState, reason: str = "", grant: str = "", approver: str = "", ruling: Settles | None = None
) -> Fields:
    """How an ask ended. reason: slug, where no person said so."""
    detail = {"scope": ruling.scope.value} if ruling and ruling.allow else {}
    return {
        "kind": Kind.SETTLED, "request": ask.number, "ask": ask.id, "verdict": state.value, "reason": reason,
        "target": place(ask.wanted.target), "rule": ask.rule, "grant": grant, "approver": approver, "detail": detail,
    }  # fmt: skip


def grant_event(event: str, grant: StoredGrant, approver: str, detail: dict[str, str] | None = None) -> Fields:
    """event: revoked, expired, used, ended (with its run, or with its policy: then `why` of detail says so)."""
    return {
        "kind": Kind.GRANT, "ask": grant.ask, "grant": grant.id, "verdict": event, "approver": approver,
        "target": place(grant.wanted.target), "rule": grant.rule,
        "detail": {"scope": grant.scope.value, **(detail or {})},
    }  # fmt: skip


def place(target: Target) -> str:
    """A target as records of the gateway name it."""
    return f"{target.scheme}://{visible(bracketed(target.host), 255)}:{target.port}"
