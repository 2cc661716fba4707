"""bottles.manifests: who may bring what, and that a broken file stops only what uses it."""

import dataclasses
import os
from pathlib import Path

import pytest

from bot_bottle.base.errors import ManifestFault, OperatorFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles.manifests import SHIPPED, Library
from bot_bottle.bottles.trust import TrustFile

HARNESSES = ("claude", "codex", "command")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    for folder in ("home/bottles", "home/agents", "home/skills", "person", "repo/.bot-bottle/agents"):
        (tmp_path / folder).mkdir(parents=True)
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    return Library(home, str(tmp_path / "person"), str(tmp_path / "repo"), HARNESSES)


def write(path: str | Path, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def front(text: str, body: str = "") -> str:
    return f"---\n{text}\n---\n{body}"


def test_shipped_bottles_are_in_order_and_read_only(library: Library) -> None:
    assert library.bottle_names() == ["default", "github-read"]
    assert library.resolve([]).routes == ()
    merged = library.resolve(["github-read"])
    assert merged.names == ("default", "github-read") and len(merged.routes) == 5
    for route in merged.routes:
        assert route.action == "allow" and route.auth is None
        assert {method for match in route.matches for method in match.methods} == {"GET", "HEAD"}
        assert all(match.methods for match in route.matches) and route.matches


def test_a_bottle_of_the_home_takes_the_place_of_a_shipped_one(library: Library) -> None:
    write(f"{library.home.bottles}/default.md", front("egress: {routes: [{host: a.com}]}"))
    assert [route.host for route in library.resolve([]).routes] == ["a.com"]


def test_a_broken_file_stops_only_what_uses_it(library: Library) -> None:
    write(f"{library.home.bottles}/broken.md", front("nonsense: 1"))
    write(f"{library.home.bottles}/good.md", front("limits: {pids: 100}"))
    write(f"{library.home.bottles}/user.md", front("extends: [broken]"))
    write(f"{library.home.agents}/bad.md", front("harness: 1x"))
    assert library.resolve(["good"]).bottle.limits.pids == 100
    for name in ("broken", "user"):
        with pytest.raises(ManifestFault, match="unknown key nonsense"):
            library.resolve([name])
    assert library.agent("claude").harness == "claude"
    broken = {one.name for one in library.check_all() if one.problems}
    assert broken == {"broken", "user", "bad"}


def test_overlays_in_their_order(library: Library) -> None:
    write(f"{library.home.bottles}/a.md", front("env: {X: a, Y: a}"))
    write(f"{library.home.bottles}/b.md", front("extends: [a]\nenv: {X: b}"))
    assert library.resolve(["a", "b"]).bottle.env == {"X": "b", "Y": "a"}
    assert library.resolve(["b", "a"]).bottle.env == {"X": "a", "Y": "a"}


@pytest.mark.parametrize("name", ["gone", "../agents/x", "Default", "", "github_read"])
def test_an_unknown_bottle_names_the_known_ones(library: Library, name: str) -> None:
    with pytest.raises(UsageFault) as caught:
        library.bottle(name)
    assert caught.value.slug == "bottle.unknown" and caught.value.hint


def test_an_authority_is_read_beside_its_bottle(library: Library) -> None:
    write(f"{library.home.bottles}/a.md", front("egress: {routes: [{host: a.com, tls: {ca: ca.pem}}]}"))
    with pytest.raises(ManifestFault, match=r"a\.md:2: tls\.ca 'ca\.pem' does not exist: .*/bottles/ca\.pem"):
        library.bottle("a")
    pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
    write(f"{library.home.bottles}/ca.pem", pem + "-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(ManifestFault, match="certificates only"):
        library.bottle("a")
    write(f"{library.home.bottles}/ca.pem", pem)
    assert library.resolve(["a"]).routes[0].ca == pem


def test_a_file_that_others_can_write_is_not_believed(library: Library) -> None:
    path = Path(library.home.bottles) / "a.md"
    write(path, front("version: 1"))
    path.chmod(0o666)
    with pytest.raises(OperatorFault, match="other users"):
        library.bottle("a")


def test_special_files_and_large_files_never_hang_or_fill_memory(library: Library) -> None:
    os.mkfifo(f"{library.home.bottles}/pipe.md")
    with pytest.raises(ManifestFault, match="regular"):
        library.bottle("pipe")
    os.mkfifo(f"{library.repository}/.bot-bottle/agents/pipe.md")
    with pytest.raises(ManifestFault, match="regular"):
        library.agent("pipe")
    write(f"{library.home.bottles}/big.md", "x" * 300_000)
    with pytest.raises(ManifestFault, match="256 KB"):
        library.bottle("big")


# ---- agents


def test_an_agent_of_the_home(library: Library) -> None:
    write(f"{library.home.root}/skills/review/SKILL.md", "how")
    write(
        f"{library.home.agents}/dev.md",
        front(
            "harness: codex\nbottle: [default]\nskills: [review]\nmodel: m-1\ngit: {name: A, email: a@b.c}",
            "You build.",
        ),
    )
    agent = library.agent("dev")
    assert (agent.source, agent.harness, agent.prompt, agent.model) == ("home", "codex", "You build.", "m-1")
    assert agent.bottles == ("default",) and agent.git_user == ("A", "a@b.c") and not agent.needs_confirmation
    assert [skill.name for skill in agent.skills] == ["review"]
    before = agent.digest
    write(f"{library.home.root}/skills/review/more.md", "x")
    assert library.agent("dev").digest != before


def test_one_bottle_needs_no_list(library: Library) -> None:
    write(f"{library.home.agents}/dev.md", front("bottle: work"))
    assert library.agent("dev").bottles == ("work",)
    write(f"{library.home.agents}/dev.md", front("bottle: {a: b}"))
    with pytest.raises(ManifestFault, match="bottle must be"):
        library.agent("dev")


def test_claude_skills_of_the_person_are_found_too(library: Library) -> None:
    write(f"{library.user_home}/.claude/skills/review/SKILL.md", "how")
    write(f"{library.home.agents}/dev.md", front("skills: [review]"))
    assert library.agent("dev").skills[0].source.endswith("/person/.claude/skills/review")
    write(f"{library.home.agents}/other.md", front("skills: [gone]"))
    with pytest.raises(ManifestFault, match="no skill 'gone'"):
        library.agent("other")


def test_a_bare_harness_is_the_agent_with_an_empty_prompt(library: Library) -> None:
    agent = library.agent("claude")
    assert (agent.source, agent.prompt, agent.digest) == ("harness", "", "")


def test_an_unknown_agent_has_a_hint(library: Library) -> None:
    with pytest.raises(UsageFault) as caught:
        library.agent("cluade")
    assert caught.value.hint == "did you mean claude?"


def test_a_repository_agent_asks_at_first_use_and_after_each_change(library: Library, tmp_path: Path) -> None:
    path = f"{library.repository}/.bot-bottle/agents/reviewer.md"
    write(path, front("name: reviewer\ndescription: x\nmodel: m", "Review."))
    trusted = TrustFile(str(tmp_path / "home/trusted-agents.json"))
    agent = library.agent("reviewer")
    assert agent.needs_confirmation and not trusted.is_confirmed(library.repository, "reviewer", agent.digest)
    trusted.confirm(library.repository, "reviewer", agent.digest)
    assert trusted.is_confirmed(library.repository, "reviewer", library.agent("reviewer").digest)
    assert not trusted.is_confirmed("/elsewhere", "reviewer", agent.digest)
    write(path, front("name: reviewer\ndescription: x\nmodel: m", "Review!"))
    assert not trusted.is_confirmed(library.repository, "reviewer", library.agent("reviewer").digest)
    assert not trusted.is_confirmed(library.repository, "reviewer", "")
    assert os.stat(trusted.path).st_mode & 0o077 == 0


def test_a_broken_trust_file_is_an_error_not_a_yes(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text("{")
    with pytest.raises(OperatorFault, match="JSON"):
        TrustFile(str(path)).is_confirmed("/r", "a", "d")


def test_shipped_bottles_are_package_data() -> None:
    assert sorted(os.listdir(SHIPPED)) == ["default.md", "github-read.md"]


@pytest.mark.parametrize("place", ["/", "person", ""])
def test_the_policy_can_be_asked_from_a_directory_that_holds_the_home(tmp_path: Path, place: str) -> None:
    home = Home(str(tmp_path / "person/.bot-bottle"), str(tmp_path / "run"))
    write(f"{home.bottles}/mine.md", front("egress: {routes: [{host: a.example}]}"))
    library = Library(home, str(tmp_path / "person"), str(tmp_path / place) if place != "/" else "/", HARNESSES)
    assert library.resolve(["mine"]).routes


def test_shipped_bottles_work_in_the_checkout_of_the_program(library: Library) -> None:
    """The first thing a newcomer does after `git clone` and `cd`; the program itself lies there as well."""
    here = dataclasses.replace(library, repository=os.path.dirname(SHIPPED))
    assert here.resolve(["github-read"]).routes
