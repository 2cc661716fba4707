"""A home as a busy person has it: four bottles that run, asks of every kind, runs of yesterday. For tests of the pages,
for `scripts/pictures` and for `bench/inbox`; and the same with a stranger's texts in every field (B73).
"""

import random
import time
from pathlib import Path
from typing import Any

import msgspec

from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Ask, AskState, Wanted
from records_stage import BOTTLE, HOSTILE, bottle_file, denied, hostile, traffic
from web_stage import Bottle, Stage

SECOND = 1_000_000_000
SETTINGS = """[notify.desk]
kind = "desktop"

[sinks.file]
kind = "file"
path = "/var/log/bot-bottle.jsonl"
"""
CODE = b'{ "status": "callback ok",\n  "trace": "def load_session(request):\\n  raw = request.cookies[SESSION]",\n  "branch": "bot/fix-login-422" }'


def spread(rows: tuple[dict[str, Any], ...], seconds: float) -> tuple[dict[str, Any], ...]:
    """The same records over the last `seconds`, busier in the middle."""
    chance, now = random.Random(7), time.time_ns()
    places = sorted(chance.betavariate(1.6, 1.2) for _ in rows)
    return tuple({"time": now - int((1 - at) * seconds * SECOND)} | row for at, row in zip(places, rows, strict=True))


def aged(bottle: Bottle, seconds: int, task: str, **counters: Any) -> Bottle:
    """As if it had been started before, with this task and these numbers."""
    bottle.lease.update(started=time.time_ns() - seconds * SECOND, task=task)
    for name, value in counters.items():
        setattr(bottle.counters, name, value)
    return bottle


def request(host: str, path: str, method: str = "POST", body: int = 0, kind: str = "", **more: Any) -> Wanted:
    headers = ("content-type", "user-agent", "x-run") if body else ("accept", "user-agent")
    return Wanted(
        Target("https", host, 443), method, path, headers=headers, body_bytes=body, content_type=kind,
        body_digest="7c1e" + "5" * 56 + "a90b" if body else "", **more,
    )  # fmt: skip


def busy(stage: Stage) -> list[Bottle]:
    """Four bottles with asks that wait, one frozen, three that ended; the oldest ask is the most interesting."""
    bottle_file(stage, "shop", BOTTLE)
    Path(stage.home.settings).write_text(SETTINGS)
    stage.ended("fix-login-417", rows=traffic(160, 2), ago=9000)
    stage.ended("deps-weekly-30", rows=traffic(90, 3), ago=7000, agent="codex")
    stage.ended(
        "spike-wasm-2",
        rows=(*traffic(60, 4), denied("169.254.169.254", "/latest/meta-data/")),
        ago=5000,
        agent="aider",
    )
    fix = stage.running("fix-login-422", rows=spread(traffic(200, 1), 1080), ago=1080)
    deps = stage.running("deps-weekly-31", agent="codex", rows=spread(traffic(90, 5), 360), ago=360)
    triage = stage.running("triage-509", rows=spread(traffic(30, 6), 190), ago=190)
    docs = stage.running("docs-typos-88", agent="aider", rows=spread(traffic(40, 8), 2500), ago=2520)
    hosts = {"api.model.example": 214, "npm.acme.example": 96, "forge.lan": 18, "docs.python.example": 9}
    aged(
        fix,
        1080,
        "Fix the login redirect loop, web/shop #422",
        allowed=406,
        asked=2,
        denied=4,
        bytes_up=1_200_000,
        bytes_down=115_000_000,
        hosts=hosts,
    )
    aged(
        deps,
        360,
        "Update dependencies, open one pull request",
        allowed=188,
        asked=1,
        denied=0,
        bytes_up=84_000,
        bytes_down=212_000_000,
        hosts={"npm.acme.example": 188},
        denied_hosts={},
    )
    aged(
        triage,
        190,
        "Find the cause of the 502s on checkout",
        allowed=41,
        asked=1,
        denied=0,
        bytes_up=212_000,
        bytes_down=3_100_000,
        denied_hosts={},
    )
    aged(
        docs,
        2520,
        "Proof-read docs/, no code",
        allowed=96,
        asked=0,
        denied=41,
        bytes_up=640_000,
        bytes_down=2_400_000,
    )
    docs.frozen = "asked by mara: 41 denials in 2 min"
    docs.lease.update(frozen=docs.frozen)
    stage.ask(fix, what=request("hooks.relaybin.dev", "/t/9f31c2/in", body=2100, kind="application/json"), body=CODE, wait=600, ago=348,
              says="Webhook to confirm that the login callback works end to end.")  # fmt: skip
    for number in range(12):
        stage.ask(deps, what=request("npm.jsr.io", f"/@std/part{number}", "GET"), wait=600, ago=60, body=b"")
    stage.ask(
        triage,
        what=request("sentry.example", "/api/0/projects/shop/web/events/", "GET", secrets=("SENTRY_TOKEN",)),
        wait=600,
        ago=30,
        body=b"",
    )
    stage.ask(
        fix,
        what=request("paste.example", "/", body=880, kind="text/plain", findings=("placeholder of FORGE_TOKEN",)),
        wait=600,
        ago=5,
        body=b"token = forge_pat_00000000000000000000 and some more text",
    )
    stage.ask(docs, AskState.EXPIRED, request("vale.example", "/styles.zip", "GET"), ago=900, wait=300, body=b"")
    stage.ask(fix, AskState.ALLOWED, request("cdn.playwright.example", "/chromium.zip", "GET"), ago=800, body=b"")
    stage.ask(
        fix,
        AskState.DENIED,
        request("telemetry.metrics.example", "/v2/batch", body=400, kind="application/json"),
        ago=700,
    )
    stage.grant(fix)
    return [fix, deps, triage, docs]


def crowd(stage: Stage, bottle: Bottle, count: int) -> list[Ask]:
    """Many asks that no card can batch: each of its own host."""
    return [
        stage.ask(
            bottle,
            what=request(f"h{number:03}.example", f"/p/{number}", body=100 + number, kind="application/json"),
            wait=3000,
            ago=count - number,
        )
        for number in range(count)
    ]


def strangers(stage: Stage) -> Bottle:
    """Every text that a bottle chooses is hostile: in asks, records, words of the agent, held bytes, a task."""
    bottle = stage.running("strangers", rows=(*traffic(20, 1), *hostile()))
    aged(bottle, 60, HOSTILE[0])
    for text in HOSTILE:
        what = Wanted(
            Target("https", text, 443), text[:40], text, query=text, headers=(text,), body_bytes=9, body_digest=text,
            content_type=text, secrets=(text,), findings=(text,), methods=(text,),
        )  # fmt: skip
        stage.ask(bottle, what=what, says=text, body=text.encode("utf-8", "surrogatepass"), wait=2000, rule=text)
        stage.ask(bottle, AskState.EXPIRED, msgspec.structs.replace(what, body_digest=f"{text}2"), says=text)
    return bottle


LONG_LABEL = "refactor-the-payment-service-and-its-tests-for-issue-12345"
LONG_HOST = "a-subdomain-that-somebody-chose.with-more-of-it.eu-central-1.compute.services-of-a-company-with-a-long-name.example"
LONG_PATH = "/api/v2/organisations/9f3b2c1d/projects/the-project-with-a-long-name/artifacts/2026-11-25/package-1.24.0-py3-none-any.whl"


def lengthy(stage: Stage) -> Bottle:
    """One bottle, one run of before and their asks with the longest names that pages must bear, and large numbers."""
    secrets = ("A_SECRET_WITH_A_VERY_LONG_NAME_FOR_THE_REGISTRY", "FORGE_TOKEN")
    rows = [*traffic(20, 1), *(denied(LONG_HOST, LONG_PATH) for _ in range(3))]
    for number in range(6):
        said = {"target": f"https://n{number}.{LONG_HOST}:443", "method": "PROPFIND", "path": LONG_PATH}
        rule = {"verdict": "allow", "rule": "a-bottle-with-a-long-name/and-a-route-with-a-long-name-too"}
        more = {"address": "203.0.113.7:443", "status": 200, "up": 123_456_789, "down": 900_000_000_000, "ms": 12.5}
        rows += [{"kind": "intent", "secrets": secrets, **said, **rule}]
        rows += [{"kind": "outcome", "secrets": secrets, **said, **rule, **more}]
    stage.ended(f"{LONG_LABEL}-once", rows=tuple(rows), ago=5000)
    bottle = stage.running(LONG_LABEL, rows=tuple(rows))
    aged(
        bottle,
        400_000,
        f"A task that says a lot, with https://{LONG_HOST}{LONG_PATH} in it, and goes on for some more words",
        allowed=1_234_567,
        asked=12_345,
        denied=98_765,
        bytes_up=123_456_789_000,
        bytes_down=999_000_000_000,
        hosts={LONG_HOST: 12},
    )
    what = request(LONG_HOST, LONG_PATH, "PROPFIND", 123_456_789, "application/vnd.long+json", secrets=secrets[:1])
    stage.ask(bottle, what=what, wait=36_000, body=b"x" * 3000, says="some words " * 40)
    stage.ask(bottle, AskState.EXPIRED, what, says="some words " * 40)
    stage.grant(bottle)
    return bottle
