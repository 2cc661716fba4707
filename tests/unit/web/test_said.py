"""What the pages say is what happened: reached, purged, frozen, allowed."""

import json
import re
import shutil
import urllib.parse
from typing import Any

from bot_bottle.audit.holds import RULE
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.recover import HostClock
from bot_bottle.audit.retention import purge_runs
from bot_bottle.audit.wishes import PurgeWish
from bot_bottle.keeper.messages.control import FreezeBottle
from bot_bottle.policy.hosts import INSIDE
from bot_bottle.web.said import Said
from bot_bottle.web.sessions import csrf
from web_stage import Answered, Inside, Stage


def seen(inside: Inside, path: str, status: int = 200) -> str:
    """The text of a page as a person reads it."""
    reply = inside.raw("GET", path, inside.session())
    assert reply.status == status, (path, reply.status, reply.text[:500])
    return " ".join(re.sub(r"<[^>]*>", " ", reply.text).split())


def api(inside: Inside, path: str) -> Any:
    return json.loads(inside.raw("GET", f"/api/v1{path}", inside.session()).body)


def tried(host: str, **end: Any) -> tuple[dict[str, Any], ...]:
    """An allowed request and how it ended."""
    said = {"target": f"https://{host}:443", "method": "GET", "path": "/x", "verdict": "allow", "rule": "web/docs"}
    return {"kind": "intent", **said}, {"kind": "outcome", **said, **end}


NOWHERE = {"status": 502, "reason": "upstream.unresolved", "ms": 3.5}
THERE = {"status": 200, "address": "203.0.113.7:443", "down": 9}


def test_allowed_is_not_reached(stage: Stage, inside: Inside) -> None:
    run = stage.ended("try", (*tried("nowhere.example", **NOWHERE), *tried("docs.example.org", **THERE)), ago=2).run
    first = {one["host"]: one for one in api(inside, "/hosts/first-seen")["items"]}
    assert [(first[host]["allowed"], first[host]["reached"]) for host in ("nowhere.example", "docs.example.org")] == [
        (True, False),
        (True, True),
    ]
    reach = {one["name"]: one["reached"] for one in api(inside, f"/reach?q=run:{run}")["items"]}
    assert reach == {"nowhere.example": False, "docs.example.org": True}
    for path in ("/", f"/reach?of=run:{run}", "/reach?of=everything:all", f"/bottle/{run}"):
        page = seen(inside, path)
        assert re.search(r"nowhere\.example.{0,120}not reached", page), (path, page)
        assert not re.search(r"docs\. example\.org.(?:(?!nowhere).){0,60}not reached", page), (path, page)


def test_the_bottles_own_name_is_no_host_that_was_seen(stage: Stage, inside: Inside) -> None:
    own = [{"kind": "name", "target": name, "verdict": "allow"} for name in (INSIDE, f"mcp.{INSIDE}")]
    refused = {"kind": "denied", "target": f"http://{INSIDE}:80", "verdict": "deny", "reason": "inside.origin"}
    run = stage.ended("own", (*own, refused, *tried("docs.example.org", **THERE)), ago=2).run
    assert [one["host"] for one in api(inside, "/hosts/first-seen?limit=1")["items"]] == ["docs.example.org"]
    assert [one["host"] for one in api(inside, "/hosts/first-seen")["items"]] == ["docs.example.org"]
    for path in ("/", f"/reach?of=run:{run}", "/reach?of=everything:all"):
        assert "docs. example.org" in (fresh := seen(inside, path).partition("First seen ")[2])
        assert INSIDE not in fresh.replace(". ", "."), path


def test_a_purged_run_keeps_its_name_and_says_who_purged_it(stage: Stage, inside: Inside) -> None:
    run, kept = stage.ended("gone", ago=3600).run, stage.ended("kept", ago=60).run
    wish = PurgeWish((run,), approver="os:0 root", reason="too old")
    assert purge_runs(stage.home, LogKey.open(stage.home.keys), HostClock(), wish).purged == {run: 6}
    found = {one["run"]: one for one in api(inside, "/runs")["items"]}
    assert [found[kept][name] for name in ("label", "purged", "purged_by")] == ["kept", False, ""]
    assert [found[run][name] for name in ("label", "agent", "purged", "purged_by")] == [
        "gone",
        "claude",
        True,
        "os:0 root",
    ]
    assert found[run]["purged_at"] > found[kept]["last"] and found[run]["ended"]
    now = seen(inside, "/").partition("Recent")[2]
    assert re.search(r"gone claude Records purged on [0-9: -]+ by os:0 root", now), now
    assert re.search(r"gone purged 6 Verify gone", seen(inside, "/log")), seen(inside, "/log")
    for which in (run, "gone"):
        page = seen(inside, f"/bottle/{which}")
        assert "gone" in page and run in page
        assert re.search(r"Its records were purged on [0-9: -]+ by os:0 root: “too old”\.", page), page
        assert "nothing yet" not in page
        seen(inside, f"/part/bottle/{which}")
    assert "were purged" in seen(inside, f"/reach?of=run:{run}")
    seen(inside, "/bottle/never-was", 404)


def test_a_note_of_the_web_process_purges_nothing(stage: Stage, inside: Inside) -> None:
    """Only what the keeper wrote of a purge counts, and not one that a hold took back."""
    run = stage.ended("gone", ago=3600).run
    log = HostLog.open(stage.home.host_log, LogKey.open(stage.home.keys))
    said = {"kind": "control", "run": "", "approver": "os:0 eve", "detail": {"what": "purge", "run": run}}
    log.append(stage.record(stage.identity(""), **said))
    log.append(stage.record(stage.identity(""), **said, rule=RULE))
    log.append(
        stage.record(stage.identity(""), **(said | {"detail": {"what": "purge-withdrawn", "run": run}}), rule=RULE)
    )
    log.close()
    assert not api(inside, "/runs")["items"][0]["purged"]
    assert "purged" not in seen(inside, f"/bottle/{run}")


def posted(inside: Inside, path: str) -> Answered:
    headers = inside.session()
    body = urllib.parse.urlencode({"csrf": csrf(headers["cookie"].partition("=")[2])}).encode()
    return inside.raw("POST", path, headers | {"content-type": "application/x-www-form-urlencoded"}, body)


def test_freeze_all_leads_to_a_page_that_says_so_once(stage: Stage, inside: Inside) -> None:
    bottles = [stage.running(f"one-{number}") for number in range(3)]
    assert "Three bottles running." in seen(inside, "/")
    bottles[0].lease.update(frozen="by hand")
    bottles[0].frozen = "by hand"
    assert "Two bottles running, one frozen." in seen(inside, "/")
    reply = posted(inside, "/freeze-all")
    assert reply.status == 303 and reply.headers["location"].startswith("/?said=")
    page = seen(inside, reply.headers["location"])
    assert "Three bottles frozen." in page and "3 bottles are frozen." in page and "running." not in page
    again = seen(inside, reply.headers["location"])
    assert "Three bottles frozen." in again and "3 bottles are frozen." not in again
    loaded = inside.raw("GET", "/freeze-all", inside.session())
    assert (loaded.status, loaded.headers["location"]) == (303, "/")
    assert [type(one) for one in bottles[1].said] == [FreezeBottle]


def test_what_could_not_be_frozen_is_said_after_the_redirect(stage: Stage, inside: Inside) -> None:
    stage.running("well")
    hung = stage.running("hung")
    shutil.rmtree(stage.home.sockets("hung"))
    page = seen(inside, posted(inside, "/freeze-all").headers["location"])
    assert "hung is not frozen." in page and "One bottle running, one frozen." in page
    hung.frozen = ""


def test_notes_are_given_once_and_the_oldest_go() -> None:
    said = Said()
    keys = [said.leave(({"what": str(number)},)) for number in range(65)]
    assert said.take(keys[0]) == () and said.take("nothing") == ()
    assert said.take(keys[64]) == ({"what": "64"},) and said.take(keys[64]) == ()
