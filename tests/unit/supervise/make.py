"""Short ways to write asks, answers and grants in a test."""

from typing import Any

import msgspec

from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise import digest
from bot_bottle.supervise.expiry import SECOND
from bot_bottle.supervise.model import Answer, Approver, Ask, AskKind, Scope, Wanted
from bot_bottle.supervise.rules import Case

T0 = 1_800_000_000 * SECOND
ANA = Approver("os", "1000", "ana", "terminal")
BEN = Approver("device", "d1", "ben", "web")
EVA = Approver("token", "t1", "eva", "api")


def wanted(host: str = "hooks.relaybin.dev", **values: Any) -> Wanted:
    target = Target(values.pop("scheme", "https"), host, values.pop("port", 443))
    plain = {
        "method": "POST", "path": "/in", "body_bytes": 2100, "body_digest": "b" * 64, "content_type": "application/json"
    }  # fmt: skip
    return Wanted(target, **{**plain, **values})


def ask(name: str = "a1", **values: Any) -> Ask:
    want = values.pop("wanted", None) or wanted()
    bottle, kind = values.get("bottle", "web"), values.get("kind", AskKind.REQUEST)
    plain: dict[str, Any] = {
        "run": "r1", "bottle": "web", "label": "fix-login", "agent": "claude", "harness": "claude",
        "project": "/home/ana/shop", "kind": kind, "number": 7, "rule": DEFAULT,
        "reason": "policy.host-not-allowed", "hint": "No route names it.",
        "request": digest.request_digest(bottle, kind, want), "scope": digest.scope_digest(bottle, kind, want),
        "policy": "p1", "revision": 1, "asked": T0, "deadline": T0 + 300 * SECOND,
    }  # fmt: skip
    return Ask(id=name, wanted=want, **{**plain, **values})


def access(name: str = "a1", **values: Any) -> Ask:
    want = wanted(method="", methods=("GET", "POST"), path="/v1", body_bytes=0, body_digest="", content_type="")
    return ask(name, wanted=values.pop("wanted", want), kind=AskKind.ACCESS, **values)


def answer(to: Ask, allow: bool = True, scope: Scope = Scope.ONCE, **values: Any) -> Answer:
    plain: dict[str, Any] = {"id": "n1", "request": to.request, "approver": ANA, "at": T0 + SECOND}
    return Answer(ask=to.id, allow=allow, scope=scope, **{**plain, **values})


def case(of: Ask, **values: Any) -> Case:
    plain: dict[str, Any] = {"now": T0 + SECOND, "policy": "p1", "revision": 1, "leaf": "/home/ana/web.md"}
    return Case(of, **{**plain, **values})


def changed(value: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(value, **fields)
