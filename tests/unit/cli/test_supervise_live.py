"""Which scopes the live list offers: by the rules of answering, from what the lease of the bottle says."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot_bottle.base.home import Home
from bot_bottle.bottles import lease as leases
from bot_bottle.cli import supervise_live
from bot_bottle.cli.supervise_view import Facts
from bot_bottle.supervise.model import AskState, Scope
from unit.cli.test_supervise_view import ask
from web_stage import Stage, until, wanted

ALL = tuple(Scope)
NARROW = (Scope.ONCE, Scope.RUN, Scope.BOTTLE, Scope.PROJECT)


@pytest.mark.parametrize(
    ("leaf", "values", "wanted", "scopes"),
    [
        ("/home/ana/b.md", {}, {}, ALL),
        ("", {}, {}, NARROW),
        ("/home/ana/b.md", {"rule": "b/up"}, {}, NARROW),
        ("/home/ana/b.md", {"project": ""}, {}, (Scope.ONCE, Scope.RUN, Scope.BOTTLE, Scope.ALWAYS)),
        ("/home/ana/b.md", {}, {"secrets": ("key",)}, (Scope.ONCE,)),
        ("/home/ana/b.md", {"state": AskState.EXPIRED}, {}, (Scope.ONCE,)),
        ("/home/ana/b.md", {"run": "gone"}, {}, (Scope.ONCE,)),
    ],
)
def test_what_is_offered_is_what_counts(
    home: Any, tmp_path: Any, leaf: str, values: dict[str, Any], wanted: dict[str, Any], scopes: tuple[Scope, ...]
) -> None:
    place = Home(str(home), str(tmp_path / "run"))
    one = ask()
    held = leases.Held(one.label, one.run, one.bottle, "claude", "claude", "/work", 1, "running", leaf=leaf)
    lease = leases.take(place, held)
    try:
        asked = msgspec.structs.replace(one, wanted=msgspec.structs.replace(one.wanted, **wanted), **values)
        assert supervise_live.deeds(place).scopes(asked) == scopes
    finally:
        lease.release()


def test_the_detail_has_the_last_requests_of_the_run_and_what_a_rule_would_have_let_through(tmp_path: Path) -> None:
    """The same as the page has, from the same records."""
    hook = {"kind": "intent", "verdict": "allow", "method": "POST", "target": "https://hooks.example.net:443"}
    with Stage(tmp_path) as stage:
        stage.ended("before", (hook | {"path": "/in"}, hook | {"path": "/other"}))
        asked = stage.ask(stage.running("now"), what=wanted(path="/in"))
        records = supervise_live.Records(stage.home)
        until(lambda: bool(records.add(Facts(), asked).also))
        found = records.add(Facts(), asked)
        assert found.also == "Would also have allowed 1 past request."
        assert 0 < len(found.last) <= 5 and all("https://" in line for line in found.last)
