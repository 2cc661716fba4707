"""Finds and loads agents and bottles, one file at a time: a broken file stops only what uses it.

Power comes from the home and the shipped files only. A repository may bring agents, and they are strangers (D21): a
prompt, a model and its own skills, never a name that exists already, and nothing before a person has confirmed it.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from bot_bottle.base.errors import ManifestFault, Problem, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.ids import is_name
from bot_bottle.bottles.manifest_files import read_beneath, read_home
from bot_bottle.bottles.plan import Skill
from bot_bottle.bottles.skill_files import home_skill, repository_skill
from bot_bottle.policy import merge, model
from bot_bottle.policy.check import AgentFile, BottleFile, check_agent, check_bottle
from bot_bottle.policy.walk import nearest

SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shipped")
DEFAULT_BOTTLE = "default"
DEFAULT_HARNESS = "claude"
_REPOSITORY = (".bot-bottle", "agents")


@dataclass(frozen=True, slots=True)
class FoundAgent:
    """An agent ready for a plan. source: home | repository | harness. file: "" for a bare harness.

    digest: of the file and its skills; what a person confirms. bottles: for when --bottle is not given.
    """

    name: str
    source: str
    harness: str
    file: str = ""
    digest: str = ""
    prompt: str = ""
    model: str = ""
    bottles: tuple[str, ...] = ()
    skills: tuple[Skill, ...] = ()
    git_user: tuple[str, str] = ("", "")

    @property
    def needs_confirmation(self) -> bool:
        """D21: agents of a repository run only after a person has seen this digest."""
        return self.source == "repository"


@dataclass(frozen=True, slots=True)
class Listed:
    """One manifest in a listing. problems: empty when the file is in order."""

    name: str
    file: str
    source: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Library:
    """home: the bot-bottle home. user_home: $HOME, for ~/.claude/skills. repository: the workspace's root, or ""."""

    home: Home
    user_home: str
    repository: str = ""
    harnesses: Collection[str] = ()
    file: str = ""
    """A bottle file elsewhere, which stands for the one of its name: a candidate that is compared, never used."""

    def with_file(self, path: str) -> "Library":
        """The same library with this candidate."""
        return Library(self.home, self.user_home, self.repository, self.harnesses, path)

    def bottle(self, name: str) -> BottleFile:
        """One bottle file, checked, with its authorities read. Raises UsageFault (unknown) or ManifestFault."""
        if self.file and name == os.path.basename(self.file).removesuffix(".md"):
            return self._candidate(name)
        for folder in (self.home.bottles, SHIPPED):
            path = os.path.join(folder, f"{name}.md")
            raw = read_home(path) if is_name(name) else None
            if raw is not None:
                # Who runs the program from its own checkout believes all of it, the shipped files too.
                if folder != SHIPPED:
                    self._check_place(path)
                shown = path if folder != SHIPPED else f"shipped/{name}.md"
                return _with_authorities(check_bottle(raw, name, shown), folder)
        hint = nearest(name, self.bottle_names()) or f"Known: {', '.join(self.bottle_names())}."
        raise UsageFault("bottle.unknown", f"There is no bottle named {name!r}.", hint)

    def _candidate(self, name: str) -> BottleFile:
        raw = read_home(self.file)
        if raw is None:
            raise UsageFault("bottle.unknown", f"There is no file {self.file}.")
        return _with_authorities(check_bottle(raw, name, self.file), os.path.dirname(self.file))

    def resolve(self, names: Sequence[str]) -> merge.Merged:
        """Overlays in their order, each with all that it extends: see policy.merge."""
        return merge.merge(file for name in names or (DEFAULT_BOTTLE,) for file in merge.order(name, self.bottle))

    def agent(self, name: str) -> FoundAgent:
        """The agent of this name: a file of the home, of the repository, or a bare harness."""
        home = os.path.join(self.home.agents, f"{name}.md")
        mine = read_home(home) if is_name(name) else None
        theirs = self._repository_file(name) if is_name(name) else None
        if theirs is not None and (mine is not None or name in self.harnesses):
            owner = home if mine is not None else "a harness"
            what = f"the repository brings an agent {name!r}, but that is the name of {owner}"
            raise ManifestFault([Problem("manifest.name-clash", what, self._repository_path(name))])
        if mine is not None:
            self._check_place(home)
            return self._from_home(check_agent(mine, name, home), mine)
        if theirs is not None:
            return self._from_repository(name, theirs)
        if name in self.harnesses:
            return FoundAgent(name, "harness", name)
        known = sorted({*self.agent_names(), *self.harnesses})
        raise UsageFault(
            "agent.unknown", f"There is no agent or harness named {name!r}.", nearest(name, known) or _known(known)
        )

    def bottle_names(self) -> list[str]:
        """Names of home and shipped bottles, sorted; files are not read."""
        return sorted({*_stems(self.home.bottles), *_stems(SHIPPED)})

    def agent_names(self) -> list[str]:
        """Names of home and repository agents, sorted; files are not read."""
        theirs = _stems(os.path.join(self.repository, *_REPOSITORY)) if self.repository else []
        return sorted({*_stems(self.home.agents), *theirs})

    def check_all(self) -> list[Listed]:
        """Every manifest of the home, the shipped ones and the repository, each with its problems."""
        found = [self._listed(name, "bottle", lambda name: self.resolve([name])) for name in self.bottle_names()]
        return found + [self._listed(name, "agent", self.agent) for name in self.agent_names()]

    def _check_place(self, path: str) -> None:
        """D21: a link from the home into the workspace would let an agent write its own power for the next start.

        A directory that holds the whole home is no workspace (the plan refuses it), only where somebody stands.
        """
        root = os.path.realpath(self.repository).rstrip("/") + "/" if self.repository else ""
        holds_home = (os.path.realpath(self.home.bottles) + "/").startswith(root)
        if root and not holds_home and os.path.realpath(path).startswith(root):
            what = "lies in the workspace, where an agent can change it"
            raise ManifestFault([Problem("manifest.in-workspace", what, path, 0, "copy it to the home")])

    def _listed(self, name: str, kind: str, load: Callable[[str], object]) -> Listed:
        try:
            load(name)
        except ManifestFault as fault:
            return Listed(name, fault.problems[0].file, kind, tuple(fault.problems))
        except UsageFault as fault:
            return Listed(name, "", kind, (Problem(fault.slug, fault.what, "", 0, fault.hint),))
        return Listed(name, "", kind)

    def _from_home(self, file: AgentFile, raw: bytes) -> FoundAgent:
        places = (os.path.join(self.home.root, "skills"), os.path.join(self.user_home, ".claude", "skills"))
        skills = tuple(home_skill(name, places, file.file) for name in file.agent.skills)
        return _found(file, raw, "home", skills)

    def _from_repository(self, name: str, raw: bytes) -> FoundAgent:
        file = check_agent(raw, name, self._repository_path(name), repository=True)
        if file.agent.harness is not UNSET and file.agent.harness not in self.harnesses:
            what = f"an agent of a repository may not use the harness {file.agent.harness!r}"
            raise ManifestFault([Problem("manifest.repository-agent", what, file.file)])
        skills = tuple(repository_skill(one, self.repository, file.file) for one in file.agent.skills)
        return _found(file, raw, "repository", skills)

    def _repository_path(self, name: str) -> str:
        return os.path.join(self.repository, *_REPOSITORY, f"{name}.md")

    def _repository_file(self, name: str) -> bytes | None:
        return read_beneath(self.repository, (*_REPOSITORY, f"{name}.md")) if self.repository else None


def _found(file: AgentFile, raw: bytes, source: str, skills: tuple[Skill, ...]) -> FoundAgent:
    agent = file.agent
    total = hashlib.sha256(raw)
    for skill in skills:
        total.update(f"\0{skill.name}\0{skill.digest}".encode())
    git: model.GitUser | None = agent.git if agent.git is not UNSET else None
    return FoundAgent(
        name=file.name,
        source=source,
        harness=agent.harness if agent.harness is not UNSET else DEFAULT_HARNESS,
        file=file.file,
        digest=total.hexdigest(),
        prompt=file.prompt,
        model=agent.model if agent.model is not UNSET else "",
        bottles=tuple(model.names(agent.bottle)),
        skills=skills,
        git_user=(git.name, git.email) if git else ("", ""),
    )


def _with_authorities(file: BottleFile, folder: str) -> BottleFile:
    """Reads the PEM files that routes name, relative to the bottle's folder."""
    found: dict[str, str] = {}
    for route, line in zip(file.bottle.egress.routes, file.lines, strict=True):
        if route.tls is UNSET or route.tls.ca in found:
            continue
        path = os.path.join(folder, os.path.expanduser(route.tls.ca))
        raw = read_home(path)
        text = (raw or b"").decode("ascii", "replace")
        if "-----BEGIN CERTIFICATE-----" not in text or "PRIVATE KEY" in text:
            fault = "is not a PEM file with certificates only" if raw is not None else f"does not exist: {path}"
            what = f"tls.ca {route.tls.ca!r} {fault}"
            raise ManifestFault([Problem("manifest.bad-ca", what, file.file, line)])
        found[route.tls.ca] = text
    return msgspec.structs.replace(file, authorities=found)


def _stems(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [name[:-3] for name in names if name.endswith(".md") and is_name(name[:-3])]


def _known(names: list[str]) -> str:
    return f"Known: {', '.join(names)}."
