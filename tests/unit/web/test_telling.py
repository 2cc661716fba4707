"""web.telling: what a record without a target says, for people: words, times as times, nothing raw."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit.record import VERSION, Kind, Record
from bot_bottle.base.text import visible
from bot_bottle.web.pages.log import why
from bot_bottle.web.rows import row
from bot_bottle.web.telling import told

UNTIL = 1_795_618_761_037_195_127


def record(kind: str, **fields: Any) -> Record:
    return Record(VERSION, kind, "r1", 1, 1, "b", "a", "h", "l", "p", **fields)


def here(ns: int) -> str:
    return datetime.datetime.fromtimestamp(ns // 10**9).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("learn", {"verdict": "begun", "detail": {"seconds": "20", "until": str(UNTIL), "via": "web"}, "approver": "os:0 ann"}, f"begun for 20 s, until {here(UNTIL)}, by os:0 ann"),
        ("learn", {"verdict": "ended", "reason": "time", "approver": "os:0 ann"}, "ended, its time was over"),
        ("learn", {"verdict": "ended", "reason": "asked", "approver": "os:0 ann"}, "ended by os:0 ann"),
        ("learn", {"verdict": "ended", "reason": "reload"}, "ended, the bottle files were read again"),
        ("thaw", {"detail": {"was": ""}}, ""),
        ("thaw", {"detail": {"was": "asked by ann"}}, "it was frozen: asked by ann"),
        ("freeze", {"detail": {"reason": "asked by ann"}}, "asked by ann"),
        ("policy", {"detail": {"revision": "3"}}, "revision 3"),
        ("start", {"detail": {"plan": "ab" * 32, "workspace": "copy", "backend": "bubblewrap", "project": "/work/site", "person": "ann", "harness": "cd" * 32}}, "by ann on /work/site"),
        ("stop", {"detail": {"status": "ok", "exit": "0"}}, "exit status 0"),
        ("stop", {"detail": {"status": "failed", "exit": "-1", "reason": "A limit was exceeded: memory."}}, "A limit was exceeded: memory."),
        ("recovered", {"detail": {"open_intents": "2", "torn": "0", "unreadable": "1"}}, "2 requests without an outcome, 1 line unreadable"),
        ("recovered", {"detail": {"open_intents": "0", "torn": "0", "unreadable": "0"}}, "nothing was left open"),
        ("limited", {"reason": "limit.names", "count": 4}, "names, 4 times"),
        ("limited", {"reason": "limit.names", "count": 1}, "names, once"),
        ("pinned", {"address": "203.0.113.7:443"}, "203.0.113.7:443"),
        ("denied", {"reason": "tls.no-name", "detail": {"what": "No name was sent."}}, "No name was sent."),
        ("report", {"method": "report_done", "detail": {"status": "done", "summary": "all green"}}, "done: “all green”"),
        ("report", {"method": "request_access", "detail": {"url": "https://x/", "methods": "GET", "says": "please"}}, "GET https://x/: “please”"),
        ("control", {"verdict": "froze all", "approver": "os:0 ann", "detail": {"bottles": "one,two", "peer": "0"}}, "froze all: one, two, by os:0 ann"),
        ("control", {"approver": "os:0 root", "reason": "too old", "detail": {"what": "purge", "run": "r7", "size": "6", "root": "ab"}}, "purge: r7, by os:0 root: “too old”"),
        ("control", {"approver": "os:0 root", "detail": {"what": "retention", "days": "30", "purged": "3", "kept": "1"}}, "retention: 30 days, 3 purged, 1 kept, by os:0 root"),
        ("new-kind", {"detail": {"a": "b"}, "reason": "c"}, "c  a: b"),
    ],
)  # fmt: skip
def test_facts_are_said_in_words(kind: str, fields: dict[str, Any], said: str) -> None:
    found = record(kind, **fields)
    assert told(found) == said
    shown = row(found, "r1", 3)
    assert shown.head == said
    assert shown.rule in ("", fields.get("rule", "")), "a reason is said once, and is no rule"
    if kind in ("learn", "thaw", "control", "stop"):
        assert why(found)[1] == said


@given(
    st.sampled_from([kind.value for kind in Kind]),
    st.dictionaries(st.sampled_from(("until", "seconds", "status", "exit", "days", "open_intents", "was", "what")), st.text(max_size=25) | st.integers(-(10**30), 10**30).map(str)),
    st.text(max_size=20),
)  # fmt: skip
def test_b73_whatever_a_record_says_is_one_plain_line(kind: str, detail: dict[str, str], verdict: str) -> None:
    text = told(record(kind, detail=detail, verdict=verdict, reason=verdict, approver=verdict))
    assert len(text) <= 200 * len(r"\u{10ffff}") and visible(text, len(text)) == text
