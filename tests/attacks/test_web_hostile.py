"""B73: markup, ANSI, bidi, a megabyte and script in every field that a bottle can fill, on every page and in the stream."""

import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot_bottle.supervise.model import AskKind, AskState
from web_stage import Inside, Stage, wanted

BAD = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\u202egnp.exe\x1b[2J\u200b\u2028<!--"
LONG = "a" * 1_000_000
HOST = "evil.example"
ROWS: tuple[dict[str, Any], ...] = tuple(
    {
        "kind": kind, "target": f"https://{HOST}{BAD}:443", "method": f"GET{BAD}", "path": f"/{BAD}", "verdict": verdict,
        "rule": BAD, "reason": BAD, "headers": (BAD,), "matched": {BAD: BAD}, "secrets": (BAD,), "findings": (BAD,),
        "query_names": (BAD,), "address": BAD, "entry": BAD, "protocol": BAD, "detail": {BAD: BAD}, "up": 5, "down": 6,
    }
    for kind, verdict in (("intent", "allow"), ("outcome", "allow"), ("denied", "deny"), ("name", "deny"), ("ask", "ask"), ("report", ""))
)  # fmt: skip
PAGES = (
    "/",
    "/inbox",
    "/inbox?tab=missed",
    "/inbox?tab=answered",
    "/live",
    "/live?all=1",
    "/log",
    "/reach",
    "/policy",
    "/settings",
)
HIDDEN = re.compile(r"[\x1b\u202e\u200b\u2028\u2029\u2066-\u2069]")
RAW = re.compile(r"<script>alert|<img src=x|onerror=alert\(2\)>[^&]|\x1b|[\u202e\u200b\u2028\u2029\u2066-\u2069]")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


def hostile(stage: Stage) -> list[str]:
    """A home full of it; paths of pages that show one thing."""
    ended = stage.ended("fix-login", ROWS, agent="claude")
    bottle = stage.running("docs-typo", rows=ROWS)
    what = wanted(
        f"{HOST}{BAD}", f"/{BAD}", f"POST{BAD}", query=BAD, headers=(BAD, "x-" + BAD), content_type=BAD, secrets=(BAD,), findings=(BAD,),
    )  # fmt: skip
    asks = [stage.ask(bottle, state, what, says=BAD, body=BAD.encode("utf-8", "replace")) for state in AskState]
    asks.append(stage.ask(bottle, AskState.WAITING, wanted(f"{LONG}.example", f"/{LONG}"), says=LONG))
    asks.append(
        stage.ask(
            bottle,
            AskState.WAITING,
            wanted("api.example.com", "/", "", methods=(BAD,)),
            says=BAD,
            kind=AskKind.ACCESS,
            rule=BAD,
        )
    )
    paths = [f"/inbox?ask={ask.id}" for ask in asks]
    paths += [f"/bottle/{ended.run}", f"/bottle/{bottle.identity.run}", f"/bottle/{bottle.label}"]
    paths += [
        f"/reach?run={ended.run}",
        f"/log?run={ended.run}",
        f"/live?q=%22{BAD.encode().hex()}%22",
        "/live?q=%3Cscript%3Ealert(1)",
        "/log?q=host%3A%22%3E%3Cscript%3E",
    ]
    paths += [f"/record/{ended.run}/{number}" for number in range(1, 7)]
    return [*PAGES, *paths]


def test_b73_what_a_bottle_wrote_is_text_on_every_page(stage: Stage) -> None:
    paths = hostile(stage)
    with Inside(stage) as web:
        person = web.session()
        seen = 0
        for path in paths:
            reply = web.raw("GET", path, person)
            assert reply.status < 500, path
            text = reply.body.decode()
            found = RAW.search(text)
            assert found is None, (path, text[max(0, found.start() - 80) : found.end() + 40])
            assert len(text) < 3_000_000, path
            seen += "&lt;script&gt;alert(1)" in text or "\\u{202e}" in text
        assert seen > 10  # it was there, as text


def test_b73_it_would_be_markup_without_the_escaping(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: templates without autoescape and without the look at each character."""
    import jinja2

    from bot_bottle.web import look, page

    made = page.environment()
    free = jinja2.Environment(
        loader=made.loader, autoescape=False, undefined=page.Named, trim_blocks=True, lstrip_blocks=True
    )
    free.filters.update(made.filters)
    monkeypatch.setattr(page, "environment", lambda: free)
    monkeypatch.setattr(look, "visible", lambda text, limit=512: text[:limit])
    paths = hostile(stage)
    with Inside(stage) as web:
        person = web.session()
        assert any(RAW.search(web.raw("GET", path, person).body.decode()) for path in paths)


def test_b73_the_stream_and_the_api_carry_it_as_json(stage: Stage) -> None:
    """What the API says is JSON and is never taken for a page; the stream's rows are made visible."""
    hostile(stage)
    with Inside(stage) as web:
        person = web.session()
        for path in ("/api/v1/asks", "/api/v1/records", "/api/v1/reach", "/api/v1/bottles"):
            reply = web.raw("GET", path, person)
            assert reply.status == 200, path
            assert (
                reply.headers["content-type"] == "application/json"
                and reply.headers["x-content-type-options"] == "nosniff"
            )
        link = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
        assert web.raw("GET", "/live", person).status == 200  # from here on the journals are followed
        link.request("GET", "/events?feeds=records", headers=person)
        with link.getresponse() as stream:
            stream.readline()
            time.sleep(0.5)  # it has its place in the journals
            stage.bottles[0].record(request=99, **ROWS[2])
            for _ in range(30):
                line = stream.readline().decode()
                if line.startswith("data:"):
                    assert HIDDEN.search(line) is None  # its script puts markup in as text only
                    break
        link.close()


def test_every_form_of_every_page_needs_the_sessions_token(stage: Stage) -> None:
    """CSRF, for whatever route the pages bring: without the token 403, whatever the body."""
    bottle = stage.running("one")
    ask = stage.ask(bottle)
    with Inside(stage) as web:
        person = web.session() | {"content-type": "application/x-www-form-urlencoded"}
        tried = 0
        for route in web.web.gate.app.routes:  # type: ignore[attr-defined]
            methods = set(getattr(route, "methods", None) or ()) - {"GET", "HEAD"}
            if not methods or route.path == "/csp-report":
                continue
            path = re.sub(r"\{ask[^}]*\}", ask.id, route.path)
            path = re.sub(r"\{label[^}]*\}", "one", path)
            path = re.sub(r"\{[^}]*\}", "0" * 16, path)
            for method in methods:
                for body in (b"", b"csrf=", b"csrf=0&allow=1", f"csrf={'0' * 64}&label=one&ask={ask.id}".encode()):
                    assert web.raw(method, path, person, body).status == 403, (method, path)
                tried += 1
        assert tried > 15 and bottle.said == []
        unchanged = stage.store.ask(ask.id)
        assert unchanged is not None and unchanged.state is AskState.WAITING
