"""`manifest`, `policy`, `init` and `edit`, run as a person runs them: texts, JSON and exit codes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot_bottle.base.errors import BottleError, ManifestFault, OperatorFault, UsageFault
from bot_bottle.cli import edit, init, manifest, policy
from bot_bottle.policy.check import check_bottle


@pytest.fixture
def place(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one bottle and one agent, an empty HOME, and an empty project as the current directory."""
    (home / "bottles").mkdir()
    (home / "agents").mkdir()
    (tmp_path / "person").mkdir()
    (tmp_path / "project").mkdir()
    (home / "bottles/work.md").write_text(
        "---\negress:\n  routes:\n"
        "    - {name: read, host: api.example.com, matches: [{paths: [{type: prefix, value: /v1/}], methods: [GET]}]}\n"
        "    - {name: held, host: ask.example.com, action: ask}\n---\n"
    )
    (home / "agents/dev.md").write_text("---\nharness: claude\nbottle: [work]\n---\nYou build.\n")
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path / "project")
    return home


def run(command: Any, *args: str, fails: type[BottleError] | None = None) -> Result:
    result = CliRunner().invoke(command, args)
    if fails is None:
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    else:
        assert isinstance(result.exception, fails), result
    return result


def test_check_url(place: Path) -> None:
    allowed = run(policy.command, "check", "https://api.example.com/v1/x", "--bottle", "work")
    assert (allowed.exit_code, allowed.stdout) == (0, "allow  work/read\n")
    held = run(policy.command, "check", "https://ask.example.com/", "--bottle", "work")
    assert held.exit_code == 10 and held.stdout.startswith("ask  work/held  policy.needs-approval: ")
    assert held.stderr == f"It is written in {place}/bottles/work.md:5: bot-bottle edit work\n"
    denied = run(
        policy.command, "check", "https://api.example.com/v1/x", "--bottle", "work", "--method", "PUT", "--json"
    )
    assert denied.exit_code == 11
    assert json.loads(denied.stdout)["verdict"]["reason"] == "policy.request-not-allowed"
    assert json.loads(denied.stdout)["place"] == ""


def test_check_with_the_routes_of_an_agents_harness(place: Path) -> None:
    url = "https://api.anthropic.com/v1/messages"
    assert run(policy.command, "check", url, "--bottle", "work", "--method", "POST").exit_code == 11
    found = run(policy.command, "check", url, "--agent", "dev", "--method", "POST")
    assert (found.exit_code, found.stdout) == (0, "allow  claude/messages\n")
    assert run(policy.command, "check", "https://api.example.com/v1/x", "--agent", "dev").exit_code == 0


def test_explain(place: Path) -> None:
    found = run(policy.command, "explain", "PUT", "https://API.example.com./v1/../v2", "--bottle", "work")
    assert found.exit_code == 11
    assert "api.example.com. is api.example.com" in found.stdout and "/v1/../v2 is /v2" in found.stdout
    assert "the path is not prefix /v1/" in found.stdout and f"{place}/bottles/work.md:4" in found.stdout
    assert "would allow it:\n  - {host: api.example.com" in found.stdout
    document = json.loads(run(policy.command, "explain", "api.example.com/v1/x", "--bottle", "work", "--json").stdout)
    assert document["explanation"]["considered"][0]["selected"] is True


def test_show(place: Path) -> None:
    text = run(policy.command, "show", "--agent", "dev").stdout
    assert "work/read: allow, https://api.example.com:443, GET prefix /v1/" in text and "claude/messages" in text
    document = json.loads(run(policy.command, "show", "--bottle", "work", "--json").stdout)
    assert [route["rule"] for route in document["routes"]] == ["work/read", "work/held"]


def test_show_says_what_a_bottle_replaces(place: Path) -> None:
    (place / "bottles/own.md").write_text("---\negress: {routes: [{name: m, host: api.anthropic.com}]}\n---\n")
    text = run(policy.command, "show", "--bottle", "own", "--agent", "claude").stdout
    assert "replaces claude/messages" in text and "api.anthropic.com: own/m replaces claude/messages" in text


@pytest.mark.parametrize("url", ["https://0x7f.1/", "https://a.com/%252e", "ftp://a.com", "https://u:p@a.com/"])
def test_a_request_that_is_refused_before_any_rule(place: Path, url: str) -> None:
    run(policy.command, "check", url, fails=UsageFault)


def test_manifest_check(place: Path) -> None:
    assert run(manifest.command, "check").exit_code == 0
    (place / "bottles/bad.md").write_text("---\nlimit: {}\nenv: [1]\n---\n")
    found = run(manifest.command, "check")
    assert found.exit_code == 3
    assert f"{place}/bottles/bad.md:2: unknown key limit (did you mean limits?)" in found.stderr
    assert f"{place}/bottles/bad.md:3: env must be keys and values, not a list" in found.stderr
    only = json.loads(run(manifest.command, "check", str(place / "bottles/bad.md"), "--json").stdout)
    assert [(one["slug"], one["line"]) for one in only["problems"]] == [
        ("manifest.unknown-key", 2),
        ("manifest.wrong-type", 3),
    ]
    assert run(manifest.command, "check", str(place / "agents/dev.md")).exit_code == 0
    run(manifest.command, "check", "/nowhere.md", fails=UsageFault)
    several = run(manifest.command, "check", str(place / "agents/dev.md"), str(place / "bottles/bad.md"), "work")
    assert several.exit_code == 3 and "bad.md" in several.stderr
    both = run(manifest.command, "check", "work", str(place / "agents/dev.md"))
    assert both.exit_code == 0 and both.stderr.splitlines()[-1] == f"work and {place}/agents/dev.md are in order."


def test_manifest_check_knows_a_repository_agent(place: Path, tmp_path: Path) -> None:
    path = tmp_path / "project/.bot-bottle/agents/x.md"
    path.parent.mkdir(parents=True)
    path.write_text("---\nbottle: [work]\n---\n")
    assert "an agent of a repository may not set bottle" in run(manifest.command, "check", str(path)).stderr


def test_manifest_list_show_schema(place: Path) -> None:
    assert "work" in run(manifest.command, "list").stdout
    rows = json.loads(run(manifest.command, "list", "--json").stdout)["manifests"]
    assert {row["name"] for row in rows} == {"default", "github-read", "work", "dev"} and all(
        row["ok"] for row in rows
    )
    assert "route work/read" in run(manifest.command, "show", "work").stdout
    assert "You build." in run(manifest.command, "show", "dev").stdout
    assert json.loads(run(manifest.command, "show", "work", "--json").stdout)["names"] == ["work"]
    run(manifest.command, "show", "nothing", fails=UsageFault)
    assert json.loads(run(manifest.command, "schema").stdout)["title"] == "bot-bottle bottle"
    assert "`egress.routes[].host`" in run(manifest.command, "schema", "--markdown").stdout


def test_init_writes_a_bottle_that_is_in_order(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "person/.pyenv/shims").mkdir(parents=True)
    (tmp_path / "person/.cargo/bin").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{tmp_path}/person/.pyenv/shims:{tmp_path}/person/.cargo/bin:/usr/bin:/bin")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-not-shown")
    found = run(init.command, "--yes")
    assert (
        "sk-ant-not-shown" not in found.output
        and "printenv ANTHROPIC_API_KEY | bot-bottle secret set anthropic" in found.stdout
    )
    file = check_bottle((place / "bottles/default.md").read_bytes(), "default", "default.md")
    assert [mount.source for mount in file.bottle.workspace.mounts] == ["~/.pyenv", "~/.cargo/bin"]
    assert file.bottle.egress.routes == [] and file.bottle.egress.registries == []
    again = json.loads(run(init.command, "--json").stdout)
    assert again["written"] is False and {one["name"] for one in again["harnesses"]} >= {
        "claude",
        "codex",
        "pi",
        "mini",
    }
    assert run(policy.command, "check", "https://a.com/").exit_code == 11


def test_init_refuses_a_bad_name(place: Path) -> None:
    run(init.command, "--bottle", "../x", fails=UsageFault)


def test_edit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "sed -i s/read/look/")
    assert run(edit.command, "work").exit_code == 0
    assert "name: look" in (place / "bottles/work.md").read_text()
    monkeypatch.setenv("EDITOR", "sed -i s/routes/roots/")
    fault = run(edit.command, "work", fails=ManifestFault)
    assert "roots" in str(fault.exception) and "name: look" in (place / "bottles/work.md").read_text()
    monkeypatch.setenv("EDITOR", "false")
    run(edit.command, "work", fails=UsageFault)
    monkeypatch.setenv("EDITOR", "true")
    assert run(edit.command, "github-read").exit_code == 0 and (place / "bottles/github-read.md").exists()
    assert run(edit.command, "new-one", "--kind", "agent").exit_code == 0 and (place / "agents/new-one.md").exists()
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    run(edit.command, "work", fails=BottleError)
    run(edit.command, "../work", fails=UsageFault)
    assert sorted(os.listdir(place / "bottles")) == ["github-read.md", "work.md"]


def test_a_file_of_two_kinds_must_be_named(place: Path) -> None:
    (place / "agents/work.md").write_text("x")
    run(edit.command, "work", fails=UsageFault)


def test_a_world_writable_bottle_is_an_operators_fault(place: Path) -> None:
    (place / "bottles/work.md").chmod(0o666)
    run(policy.command, "show", "--bottle", "work", fails=OperatorFault)


def test_names_complete(place: Path) -> None:
    from click.shell_completion import ShellComplete

    from bot_bottle.cli.main import group

    complete = ShellComplete(group(), {}, "bot-bottle", "_BOT_BOTTLE_COMPLETE").get_completions
    assert [one.value for one in complete(["policy", "show", "--bottle"], "w")] == ["work"]
    assert [one.value for one in complete(["policy", "show", "--agent"], "d")] == ["dev"]
    assert {one.value for one in complete(["edit"], "")} >= {"work", "dev", "default"}


def test_a_reload_needs_a_running_bottle(place: Path) -> None:
    run(policy.command, "reload", "nobody", fails=UsageFault)


def test_a_reload_gives_the_files_as_they_are_now_and_the_same_credential(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control socket is the keeper's; here it is a list that takes what would be sent."""
    from bot_bottle.bottles import control
    from bot_bottle.bottles.lease import Held
    from bot_bottle.policy.effective import Policy

    sent: list[Policy] = []
    env = {"CLAUDE_CODE_OAUTH_TOKEN": "ph", "TERM": "dumb"}
    held = Held("dev", "r", "work", "dev", "claude", os.getcwd(), 0, env=env)
    monkeypatch.setattr(control, "held", lambda _home, _label: held)
    monkeypatch.setattr(control, "reload", lambda _home, _label, policy: sent.append(policy))
    assert run(policy.command, "reload", "dev", "--json").exit_code == 0
    (place / "bottles/work.md").write_text("---\negress: {routes: [{name: new, host: new.example}]}\n---\n")
    run(policy.command, "reload", "dev")
    assert [[route.rule for route in one.routes] for one in sent] == [
        ["work/read", "work/held", "claude/messages"],
        ["work/new", "claude/messages"],
    ]
    assert sent[0].secrets() == ("anthropic-oauth",) and sent[0].digest != sent[1].digest


def test_a_file_of_the_home_is_checked_with_what_it_extends(place: Path) -> None:
    (place / "bottles/lost.md").write_text("---\nextends: [nothere]\n---\n")
    for asked in (str(place / "bottles/lost.md"), "lost"):
        result = run(manifest.command, "check", asked)
        assert result.exit_code == 3
        assert "nothere" in result.stderr
    assert run(manifest.command, "check", "work").exit_code == 0
    assert run(manifest.command, "check", "dev").exit_code == 0
    run(manifest.command, "check", "nobody", fails=UsageFault)


def test_manifest_check_warns_of_a_header_that_never_arrives_and_does_not_fail(place: Path) -> None:
    path = place / "bottles/work.md"
    control = run(manifest.command, "check", "work")
    assert (control.exit_code, "warning" in control.output) == (0, False)
    path.write_text(
        "---\negress:\n  routes:\n"
        "    - {host: api.example.com, matches: [{headers: [{name: X-Api-Key, type: exact, value: a}]}]}\n---\n"
    )
    for how in (("work",), (str(path),), ()):
        found = run(manifest.command, "check", *how)
        assert found.exit_code == 0
        assert "warning: " in found.output and "x-api-key, but the server never sees it" in found.output
    told = json.loads(run(manifest.command, "check", "--json").stdout)
    assert (told["problems"], [one["line"] for one in told["warnings"]]) == ([], [4])
