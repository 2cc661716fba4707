"""A harness fitted to a run: commands, environment, seeds and routes, with placeholders only."""

import json
import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.errors import UsageFault
from bot_bottle.harnesses import load
from bot_bottle.harnesses.fit import Choice, choose_credential, fit
from bot_bottle.harnesses.model import CA_VARIABLES

PLACEHOLDERS = {
    "anthropic": "sk-ant-api03-" + "p" * 95,
    "anthropic-oauth": "sk-ant-oat01-" + "q" * 95,
    "openai": "sk-proj-r",
}
CHOICE = Choice("headless", "/w", "/home/me", "/ca.pem", ("/opt/x",), "do it", placeholders=PLACEHOLDERS)
AGENTS = ("claude", "codex", "pi", "mini")


@pytest.mark.parametrize("name", AGENTS)
def test_routes_name_host_method_and_path(name: str) -> None:
    for route in fit(load.shipped()[name], CHOICE).routes:
        assert route.auth and "*" not in route.host
        assert all(match.methods and match.paths for match in route.matches)
        assert all(path.type == "exact" for match in route.matches for path in match.paths)


def test_b36_a_file_api_of_the_model_host_is_no_route() -> None:
    """B36: the vendor's other paths (files, telemetry) would store what the agent sends."""
    paths = [
        path.value
        for route in fit(load.shipped()["claude"], CHOICE).routes
        for m in route.matches
        for path in m.paths
    ]
    assert paths == ["/v1/messages", "/v1/messages/count_tokens"]


@pytest.mark.parametrize("name", AGENTS)
@given(prompt=st.text(min_size=1, max_size=30))
def test_a_prompt_is_one_argument_and_never_an_option(name: str, prompt: str) -> None:
    """F26 in advance: a prompt that looks like a flag, a template or a file reference stays a prompt."""
    argv = fit(load.shipped()[name], replace(CHOICE, prompt=prompt)).argv
    wanted = f" {prompt}" if name == "pi" else prompt
    assert argv[-1] == wanted and argv[-2] in ("--", "-t")


def test_optional_parts_are_dropped_or_spliced() -> None:
    claude = load.shipped()["claude"]
    assert "--model" not in fit(claude, CHOICE).argv
    full = fit(claude, replace(CHOICE, model="m1", instructions="be brief", argv=("--effort", "low"))).argv
    text = " ".join(full)
    assert "--model m1" in text and "--append-system-prompt be brief" in text and "--effort low --" in text


def test_the_credential_follows_the_secret_that_exists() -> None:
    claude = load.shipped()["claude"]
    for existing, chosen in (
        ((), "anthropic"),
        (("anthropic-oauth",), "anthropic-oauth"),
        (("anthropic-oauth", "anthropic"), "anthropic"),
    ):
        credential = choose_credential(claude, "headless", existing)
        assert credential and credential.secret == chosen
    fitted = fit(claude, replace(CHOICE, existing=("anthropic-oauth",)))
    assert (
        "ANTHROPIC_API_KEY" not in fitted.env
        and fitted.env["CLAUDE_CODE_OAUTH_TOKEN"] == PLACEHOLDERS["anthropic-oauth"]
    )
    assert fitted.routes[0].auth and fitted.routes[0].auth.scheme == "bearer"


@pytest.mark.parametrize("name", [*AGENTS, "command"])
def test_every_ca_variable_is_set(name: str) -> None:
    env = fit(load.shipped()[name], replace(CHOICE, argv=("true",))).env
    assert {variable: env[variable] for variable in CA_VARIABLES} == dict.fromkeys(CA_VARIABLES, "/ca.pem")


@given(
    workspace=st.text(st.characters(codec="utf-8", exclude_characters="\0\x7f"), min_size=1).map(
        lambda text: "/" + text
    )
)
def test_seeds_stay_well_formed_whatever_the_workspace_is_called(workspace: str) -> None:
    interactive = replace(CHOICE, mode="interactive", workspace=workspace)
    claude = {one.path: one.content for one in fit(load.shipped()["claude"], interactive).files}
    assert list(json.loads(claude[".claude.json"])["projects"]) == [workspace]
    codex = {one.path: one.content for one in fit(load.shipped()["codex"], interactive).files}
    assert list(tomllib.loads(codex[".codex/config.toml"])["projects"]) == [workspace]


def test_the_end_of_the_placeholder_is_approved() -> None:
    seed = fit(load.shipped()["claude"], CHOICE).files[0]
    assert json.loads(seed.content)["customApiKeyResponses"]["approved"] == [PLACEHOLDERS["anthropic"][-20:]]


def test_a_missing_mode_is_one_sentence() -> None:
    text = 'format = 1\nname = "x"\ntitle = "X"\n[headless]\nargv = ["{entry}"]\n[interactive]\n'
    with pytest.raises(UsageFault, match="X has no interactive mode"):
        fit(load.parse(text, "x"), replace(CHOICE, mode="interactive"))


def test_b70_mcp_and_hooks_of_a_repository_are_switched_off_in_every_mode() -> None:
    for mode in ("headless", "interactive"):
        claude = fit(load.shipped()["claude"], replace(CHOICE, mode=mode)).argv
        assert "--strict-mcp-config" in claude and claude[claude.index("--setting-sources") + 1] == "user"
        pi = fit(load.shipped()["pi"], replace(CHOICE, mode=mode)).argv
        assert {"--no-approve", "-nc", "-ne"} <= set(pi)
        assert ".codex" in fit(load.shipped()["codex"], replace(CHOICE, mode=mode)).mask


def test_codex_names_its_provider_on_the_command_line() -> None:
    """The built-in provider would send the key to chatgpt.com and retry a refusal for 14 s."""
    argv = fit(load.shipped()["codex"], CHOICE).argv
    settings = [argv[at + 1] for at, one in enumerate(argv) if one == "-c"]
    provider = next(one for one in settings if one.startswith("model_providers.bottle="))
    table = tomllib.loads(provider)["model_providers"]["bottle"]
    assert table["base_url"] == "https://api.openai.com/v1" and table["supports_websockets"] is False
    assert "model_provider=bottle" in settings


def test_an_agents_instructions_are_never_dropped() -> None:
    for name in AGENTS:
        argv = fit(load.shipped()[name], replace(CHOICE, instructions='be "brief"')).argv
        assert any("brief" in one for one in argv), name
    assert fit(load.shipped()["mini"], replace(CHOICE, instructions="be brief")).argv[-1] == "be brief\n\ndo it"
    with pytest.raises(UsageFault, match="only together with a task"):
        fit(load.shipped()["mini"], replace(CHOICE, mode="interactive", prompt="", instructions="be brief"))


def test_a_template_word_in_a_prompt_stays_text() -> None:
    argv = fit(load.shipped()["claude"], replace(CHOICE, prompt="{placeholder:anthropic} {workspace}")).argv
    assert argv[-1] == "{placeholder:anthropic} {workspace}"
