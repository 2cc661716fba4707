"""Runs with believable records, and hostile ones, for tests of Live, Reach, Policy and Log; a browser that is signed in."""

import contextlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from web_stage import Inside, Stage

SITES: tuple[tuple[str, str, str, tuple[str, ...], int], ...] = (
    ("api.model.example", "/v1/messages", "POST", ("MODEL_KEY",), 9),
    ("npm.acme.example", "/@playwright/test", "GET", (), 5),
    ("files.acme.example", "/packages/2d/1f/6a0c4be8d11f9b/pytest-8.4.1-py3-none-any.whl", "GET", (), 2),
    ("forge.lan", "/web/shop.git/git-upload-pack", "POST", ("FORGE_TOKEN",), 2),
    ("docs.python.example", "/3/library/http.cookies.html", "GET", (), 1),
)
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
HOSTILE: tuple[str, ...] = (
    SCRIPT, "\x1b]0;owned\x07\x1b[31mred", "\u202egnp.exe\u2066", "a\u200b\u00adb\ufeff", "{{7*7}}{% raw %}", "x" * 20_000,
    "javascript:document.title='owned'", "' OR 1=1 --", "\r\ndata: owned\r\n\r\nevent: signed-out\r\n", "\u2028]]>-->",
)  # fmt: skip
BOTTLE = """---
version: 1
egress:
  default: ask
  routes:
    - {name: docs, host: docs.example.org}
    - {name: github, host: '*.github.com'}
    - {name: gh-api, host: api.github.com, matches: [{paths: [{type: prefix, value: /repos}], methods: [GET]}]}
    - {name: hooks, host: hooks.example.net, action: ask}
    - {name: no-telemetry, host: '*.metrics.example', action: deny}
---
"""


def traffic(count: int, seed: int) -> tuple[dict[str, Any], ...]:
    """Records of `count` requests: mostly allowed, some denied, one held."""
    chance = random.Random(seed)
    pool = [site for site in SITES for _ in range(site[4])]
    made: list[dict[str, Any]] = []
    for _ in range(count):
        if chance.random() < 0.06:
            made.append(denied("telemetry.metrics.example", "/v2/batch", rule="shop/no-telemetry"))
            continue
        host, path, method, keys, _weight = chance.choice(pool)
        said = {
            "target": f"https://{host}:443",
            "method": method,
            "path": path,
            "verdict": "allow",
            "rule": f"shop/{host.partition('.')[0]}",
        }
        made.append({"kind": "intent", "secrets": keys, **said})
        more = {"status": 200, "up": chance.randrange(4000), "down": chance.randrange(900_000), "ms": 12.5}
        made.append({"kind": "outcome", "secrets": keys, "address": "203.0.113.7:443", **said, **more})
    held = {"target": "https://hooks.example.net:443", "method": "POST", "path": "/t/9f31c2/in", "verdict": "ask"}
    return (*made, {"kind": "ask", "rule": "shop/hooks", "ask": "a-12", **held})


def denied(host: str, path: str = "/", rule: str = "", **more: Any) -> dict[str, Any]:
    reason = "policy.denied-by-rule" if rule else "policy.host-not-allowed"
    said = {
        "target": f"https://{host}:443",
        "method": "POST",
        "path": path,
        "verdict": "deny",
        "rule": rule,
        "reason": reason,
    }
    return {"kind": "denied", **said, **more}


def hostile() -> tuple[dict[str, Any], ...]:
    """One denied record for each hostile text, with it in every field that a bottle or a taken-over gateway writes."""
    return tuple(
        denied(
            text, text, rule=text, method=text, reason=text, secrets=(text,), findings=(text,), headers=(text,),
            query_names=(text,), matched={text: text}, protocol=text, entry=text, address=text, ask=text, grant=text,
            approver=text, detail={text: text},
        )
        for text in HOSTILE
    )  # fmt: skip


def bottle_file(stage: Stage, name: str = "shop", text: str = BOTTLE) -> None:
    Path(stage.home.bottles, f"{name}.md").write_text(text)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield made
        made.close()


@contextmanager
def signed_in(browser: Browser, web: Inside, **more: Any) -> Iterator[Page]:
    """A page of a signed-in person. Fails at the end when a script failed or the browser reported a violation."""
    context = browser.new_context(viewport=more.pop("viewport", {"width": 1280, "height": 900}), **more)
    name, _, value = web.session()["cookie"].partition("=")
    context.add_cookies([{"name": name, "value": value, "url": web.url, "httpOnly": True, "sameSite": "Strict"}])
    page = context.new_page()
    page.set_default_timeout(30_000)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("dialog", lambda dialog: failed.append(f"dialog: {dialog.message}"))
    yield page
    with contextlib.suppress(PlaywrightError):
        page.goto("about:blank")  # a context that is closed amid a navigation may wait for ever
    context.close()
    assert not failed, failed
    assert not web.reports, web.reports
