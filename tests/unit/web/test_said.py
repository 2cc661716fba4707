"""What the pages say is what happened: reached, purged, frozen, allowed."""

import json
import re
from typing import Any

from bot_bottle.policy.hosts import INSIDE
from web_stage import Inside, Stage


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
