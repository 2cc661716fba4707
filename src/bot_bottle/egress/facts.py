"""What the records say of a request head: who asked what, names of fields and keys, never their values (D18, B48)."""

import hashlib
from collections.abc import Mapping
from typing import cast
from urllib.parse import unquote_plus

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.egress.records import Journal, Template
from bot_bottle.egress.rules import Rules
from bot_bottle.egress.target import Place, Site
from bot_bottle.egress.wire.http1 import Head
from bot_bottle.policy.hosts import bracketed
from bot_bottle.policy.verdict import Target, Verdict

_SHARES, _SHARED = 128, 2048


def target_text(target: Target) -> str:
    return f"{target.scheme}://{bracketed(target.host)}:{target.port}"


def facts_of(
    rules: Rules, site: Site, head: Head, found: Place, protocol: str, verdict: Verdict
) -> dict[str, object]:
    """Record members that tell what was asked: names of query keys and headers, never their values."""
    query = found.query
    facts: dict[str, object] = {
        "entry": site.entry,
        "protocol": protocol,
        "target": target_text(found.target),
        "method": head.method,
        "path": found.path,
        "query_names": tuple(unquote_plus(pair.partition("=")[0]) for pair in query.split("&")) if query else (),
        "query_digest": hashlib.sha256(query.encode("latin-1")).hexdigest()[:16] if query else "",
        "headers": tuple(name for name, _ in head.fields),
        "matched": {name: value for name, value in head.fields if name in rules.matched},
        "verdict": verdict.kind.value,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "findings": findings_of(head),
    }
    if verdict.grant:
        grant = rules.grants[verdict.grant]
        facts |= {"ask": grant.ask, "grant": grant.id, "approver": grant.approver}
    return facts


def findings_of(head: Head) -> tuple[str, ...]:
    """What makes a request one that a person looks at by itself: a body that nothing here can look into."""
    return ("inspect.unseen-coding",) if head.get("content-encoding") not in (None, "identity") else ()


def outcome_facts(facts: Mapping[str, object]) -> dict[str, object]:
    kept = ("entry", "protocol", "target", "method", "path", "verdict", "rule", "secrets")
    return {name: facts[name] for name in kept if name in facts}


def marked(facts: dict[str, object], leaked: str) -> dict[str, object]:
    """Says where the agent sent a real secret; the journal takes it out of the texts (B43, B48)."""
    return {**facts, "findings": ("custody.secret-sent",)} if leaked else facts


def templates(rules: Rules, journal: Journal, facts: Mapping[str, object]) -> tuple[Template | None, Template | None]:
    """Of the intent and the outcome. Heads that differ in values alone, which no record holds, share theirs."""
    known, matched = rules.templates, cast("dict[str, str]", facts["matched"])
    said = (tuple(matched.items()), *[value for name, value in facts.items() if name != "matched"])
    found = known.get(said)
    if found is None:
        intent = journal.template(RecordKind.INTENT, **facts)
        found = intent, journal.template(RecordKind.OUTCOME, **outcome_facts(facts))
        if intent is not None and len(intent) <= _SHARED:
            if len(known) >= _SHARES:
                known.clear()
            known[said] = found
    return found
