"""bottles.planner: golden plans, and what no bottle file may ask for. Regenerate with BOT_BOTTLE_GOLDEN=write."""

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bot_bottle.base.errors import OperatorFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles.manifests import FoundAgent
from bot_bottle.bottles.plan import Mount, Plan, Skill, Workspace
from bot_bottle.bottles.plan_text import as_json, as_text
from bot_bottle.bottles.planner import Facts, Wanted, plan_run, wanted_secrets
from bot_bottle.bottles.registries import Registries, Registry
from bot_bottle.harnesses.load import Loaded, parse
from bot_bottle.policy.merge import merge
from unit.policy.make import bottle

GOLDEN = Path(__file__).parent / "golden"
HOME = Home("/home/me/.bot-bottle", "/run/user/1000/bot-bottle")
HARNESS = parse(
    """format = 1
name = "tester"
title = "Tester"
skills = ".tester/skills"
mask = [".tester"]
[headless]
argv = ["{entry}", "-p", "{model}", "{instructions}", "{argv}", "{prompt}"]
[interactive]
argv = ["{entry}", "{argv}"]
[env]
QUIET = "1"
[[files]]
path = ".tester.json"
content = '{"dir": {json:workspace}}'
[[routes]]
name = "model"
host = "model.example"
error = "openai"
matches = [{paths = [{type = "exact", value = "/v1/chat"}], methods = ["POST"]}]
[[credentials]]
secret = "tester"
title = "key"
placeholder = {prefix = "tk-", length = 20}
inject = [{route = "model"}]
env = {TESTER_KEY = "{placeholder:tester}"}
[success]
events = "none"
""",
    "tester.toml",
)
BOTTLE = """env: {EDITOR: vi, TZ: {from_host: TZ}, GONE: {from_host: GONE}, TOKEN: {secret: example}, REAL: {secret: shown, visible: true}}
workspace: {keep: [.env], mounts: [{source: ~/.pyenv}, {source: /srv/data, target: /data, mode: rw}], caches: [pip]}
limits: {memory: 2GB, cpus: 2, wall_clock: 1h}
egress:
  log: full
  sync: each
  routes:
    - {name: api, host: api.example.com, auth: {scheme: 'header:x-key', secret: example}, matches: [{methods: [GET], paths: [{type: prefix, value: /v1/}]}]}
    - {name: near, host: near.example.com, address: '127.0.0.1:8443', protocols: [websocket]}
    - {host: '*.cdn.example', action: deny}"""
AGENT = FoundAgent(
    "dev", "home", "tester", "/home/me/.bot-bottle/agents/dev.md", "d" * 64, "You build.", "m-1",
    skills=(Skill("review", "/home/me/.bot-bottle/skills/review", "", "e" * 64),), git_user=("A", "a@b.c"),
)  # fmt: skip


def wanted(front: str = BOTTLE, agent: FoundAgent = AGENT, **more: object) -> Wanted:
    names = {"label": "dev", "bottle": "work", "prompt": "Fix it.", **more}
    return Wanted(agent=agent, bottles=merge([bottle(front, "work")]), harness=Loaded(HARNESS, "shipped"), **names)  # pyright: ignore[reportArgumentType]


def facts(asked: Wanted, **more: object) -> Facts:
    known = {
        "home": HOME,
        "user_home": "/home/me",
        "environ": {
            "PATH": "/home/me/.pyenv/shims:/home/me/secret:/usr/bin",
            "TZ": "UTC",
            "AWS_KEY": "x",
            "TERM": "tmux",
        },
        "workspace": Workspace(
            "/home/me/project", "copy", (".env.local",), (".env",), "", ("2 files look like credentials",)
        ),
        "placeholders": {name: f"ph-{name}" for name in wanted_secrets(asked, ())},
        "existing": ("tester", "example"),
        "registries": Registries((Registry("pypi", "https", "mirror.example", 443, "pip config"),), ("a warning",)),
        "capabilities": {"memory": "watched", "pids": "enforced", "disk": "watched", "wall_clock": "watched"},
        "entry": ("/opt/harness/tester/run",),
        "path": ("/opt/harness/tester/bin",),
        "mounts": (Mount("/home/me/.bot-bottle/harnesses/tester/1", "/opt/harness/tester", "ro", "harness"),),
        **more,
    }
    return Facts(**known)  # pyright: ignore[reportArgumentType]


def planned(front: str = BOTTLE, **more: object) -> Plan:
    asked = wanted(front, **more)
    return plan_run(asked, facts(asked))


def golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("BOT_BOTTLE_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


def test_the_plan_of_a_full_bottle() -> None:
    plan = planned()
    golden("plan.txt", as_text(plan))
    golden("plan.json", as_json(plan).decode() + "\n")
    assert msgspec.json.decode(as_json(plan), type=Plan) == plan


def test_the_plan_of_an_empty_bottle() -> None:
    agent = FoundAgent("tester", "harness", "tester")
    golden(
        "plan-empty.txt", as_text(planned("version: 1", agent=agent, mode="interactive", terminal=True, prompt=""))
    )


def test_a_plan_without_a_command_is_refused() -> None:
    asked = wanted()
    empty = msgspec.structs.replace(HARNESS, headless=msgspec.structs.replace(HARNESS.headless, argv=("{argv}",)))
    with pytest.raises(UsageFault, match="runs a command"):
        plan_run(replace(asked, harness=Loaded(empty, "x")), facts(asked))


def test_the_plan_is_pure() -> None:
    assert planned() == planned()


def test_nothing_of_the_persons_environment_comes_along() -> None:
    """B47: only what the bottle names; the placeholder stands where a secret is meant, the visible one is not here."""
    plan = planned()
    assert "AWS_KEY" not in plan.env and "GONE" not in plan.env and "REAL" not in plan.env
    assert plan.env["TOKEN"] == "ph-example" and plan.env["TESTER_KEY"] == "ph-tester" and plan.env["TZ"] == "UTC"
    assert plan.visible == {"shown": "REAL"} and plan.env["TERM"] == "dumb"
    assert (
        plan.env["PATH"]
        == "/opt/harness/tester/bin:/home/me/.pyenv/shims:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bot-bottle/bin"
    )


def test_every_secret_that_is_needed_has_a_shape() -> None:
    assert wanted_secrets(wanted(), ()) == {"example": "", "shown": "", "tester": "tk-{20:base62}"}
    assert planned().secrets == ("example", "shown", "tester")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("/dev/sda", "/data"),
        ("/proc", "/data"),
        ("/run/docker.sock", "/data"),
        ("/var/run/docker.sock", "/data"),
        ("/var", "/data"),
        ("~/.ssh", "/data"),
        ("~/.bot-bottle", "/data"),
        ("~/.bot-bottle/secrets", "/data"),
        ("/home", "/data"),
        ("/run/user/1000/bot-bottle", "/data"),
        ("/tmp", "/data"),
        ("~/x", "/usr/bin"),
        ("~/x", "/etc/ssl/certs"),
        ("~/x", "/etc"),
        ("~/x", "/proc/self"),
        ("~/x", "/tmp"),
        ("~/x", "/home"),
        ("~/x", "/home/me"),
        ("~/x", "/home/me/project"),
        ("~/x", "/home/me/.bot-bottle/keys"),
    ],
)
def test_b61_a_mount_shows_no_secret_and_covers_no_part_of_the_seal(source: str, target: str) -> None:
    with pytest.raises(OperatorFault, match="The mount"):
        planned(f"workspace: {{mounts: [{{source: {source}, target: {target}}}]}}")
    assert planned("workspace: {mounts: [{source: ~/x, target: /home/me/x}]}").mounts[-1].target == "/home/me/x"


def test_overlays_whose_routes_tie_are_warned_about() -> None:
    one, two = (
        bottle(f"egress: {{routes: [{{name: {name}, host: a.com, auth: {{scheme: bearer, secret: {name}}}}}]}}", name)
        for name in ("one", "two")
    )
    asked = replace(wanted(), bottles=merge([one, two]))
    plan = plan_run(asked, facts(asked))
    assert "one/one and two/two match the same requests with different power: those are refused" in plan.warnings
    assert not [warning for warning in planned().warnings if "different power" in warning]


def test_a_mount_that_is_not_there_is_named() -> None:
    asked = wanted()
    with pytest.raises(OperatorFault, match="mounts /srv/data, which is not there"):
        plan_run(asked, facts(asked, exists=lambda path: path != "/srv/data"))


def test_a_harness_without_skills_refuses_them() -> None:
    asked = wanted()
    bare = msgspec.structs.replace(HARNESS, skills="")
    with pytest.raises(OperatorFault, match="reads none"):
        plan_run(
            Wanted(**{**{n: getattr(asked, n) for n in Wanted.__slots__}, "harness": Loaded(bare, "x")}), facts(asked)
        )


def test_the_bottle_that_takes_the_models_route_away_is_warned_about() -> None:
    plan = planned("egress: {routes: [{host: model.example}]}")
    assert any("none of them gives its key" in warning for warning in plan.warnings)
    assert plan.policy.notes
    assert [route.rule[:5] for route in plan.policy.routes if route.host == "model.example"] == ["work/"]


def test_a_limit_that_this_host_cannot_hold_is_said() -> None:
    asked = wanted()
    plan = plan_run(asked, facts(asked, capabilities={}))
    assert {limit.how for limit in plan.limits} == {"not enforced"}
    assert any("cannot enforce memory, pids, disk, cpus, wall_clock" in warning for warning in plan.warnings)
    assert planned(wall_clock=60.0).wall_clock == 60.0
