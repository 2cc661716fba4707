"""Chooses the concrete parts: home, backend, harness, placeholders; reads the files and facts that a plan needs.

The plan itself is pure (bottles/planner.py); everything that is read from this host for it is read here.
"""

import os
import pwd
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import UNSET

from bot_bottle.api.request import Request
from bot_bottle.base.errors import OperatorFault, UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.ids import RunId, is_label, run_id
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.crew import Crew
from bot_bottle.bottles.plan import Mount, Plan, Workspace
from bot_bottle.bottles.ports import Backend

if TYPE_CHECKING:
    from bot_bottle.bottles import planner
    from bot_bottle.bottles.registries import Registries
    from bot_bottle.policy import model

Confirm = Callable[[str], bool]
_LONG = 5000  # files: from here on a person waits for the copy


@dataclass(slots=True)
class Host:
    """This host and this person. environ: variables; confirm: asks a yes/no question, no by default.
    say: one line for the person, at the end of a run. terminal: descriptor of theirs, -1 for none."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    confirm: Confirm = lambda _question: False
    say: Callable[[str], None] = lambda _line: None
    terminal: int = -1
    home: Home = field(init=False)

    def __post_init__(self) -> None:
        where = locate(self.environ)
        root = os.path.abspath(where.root)
        runtime = where.runtime if where.runtime.startswith("/") else os.path.abspath(where.runtime)
        self.home = Home(root, runtime)

    @property
    def user_home(self) -> str:
        return self.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir


def new_run() -> RunId:
    return run_id(int(time.time()), secrets.token_bytes(6))


def choose_backend(name: str = "bubblewrap") -> Backend:
    """The backend of this name, from the one list. Raises UsageFault for an unknown one."""
    from bot_bottle.bottles.backends import backend

    return backend(name)


def make_plan(host: Host, request: Request, crew: Crew, backend: Backend, survey: bool = False) -> Plan:
    """The effective plan. survey: ask which secrets exist also where the plan would not change by it (dry run)."""
    from bot_bottle.bottles import planner

    wanted = _wanted(host, request)  # 1 what the files of the person and the repository say
    asks = survey or len(wanted.harness.harness.credentials) > 1
    existing = crew.survey(host.home) if asks else tuple(planner.wanted_secrets(wanted, ()))  # 2
    facts = _facts(host, request, backend, wanted, existing, start=not survey)  # 3
    return planner.plan_run(wanted, facts)  # 4


def _wanted(host: Host, request: Request) -> "planner.Wanted":
    from bot_bottle.bottles import planner
    from bot_bottle.bottles.manifests import Library
    from bot_bottle.harnesses import load

    catalogue = load.load_all(host.home.root)
    library = Library(host.home, host.user_home, request.workspace, tuple(catalogue.harnesses))
    agent = library.agent(request.agent)
    if agent.needs_confirmation:
        confirm_agent(host, request.workspace, agent.name, agent.digest)
    names = request.bottles or agent.bottles
    merged, loaded = library.resolve(names), catalogue.get(agent.harness)
    label = request.label or leases.free_label(host.home, request.base or agent.name)
    if not is_label(label):
        hint = "Use lower-case letters, digits, dots and hyphens."
        raise UsageFault("label.bad", f"{label!r} is no label.", hint)
    return planner.Wanted(
        label=label, agent=agent, bottles=merged, bottle="+".join(names) or "default", harness=loaded,
        mode=request.mode, prompt=request.prompt, model=request.model, argv=request.argv,
        terminal=request.terminal, wall_clock=request.wall_clock,
    )  # fmt: skip


def _facts(
    host: Host, request: Request, backend: Backend, wanted: "planner.Wanted", existing: tuple[str, ...], start: bool
) -> "planner.Facts":
    from bot_bottle.bottles import planner
    from bot_bottle.harnesses.placement import place

    placement, bottle = place(host.home.harnesses, wanted.harness.harness), wanted.bottles.bottle
    return planner.Facts(
        home=host.home,
        user_home=host.user_home,
        environ=host.environ,
        workspace=workspace(host, request, bottle.workspace, start),
        placeholders=placeholders(planner.wanted_secrets(wanted, existing)),
        existing=existing,
        registries=registries(tuple(bottle.egress.registries), host, request.workspace),
        capabilities=backend.capabilities(),
        entry=placement.entry,
        path=placement.path,
        mounts=tuple(Mount(source, target, "ro", "harness") for source, target in placement.mounts),
        git_user=git_user(host),
        backend=backend.name,
        exists=os.path.exists,
        now=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def confirm_agent(host: Host, repository: str, name: str, digest: str) -> None:
    """D21: an agent that a repository brings is run after a person said yes to this very digest."""
    from bot_bottle.bottles.trust import TrustFile

    trusted = TrustFile(f"{host.home.root}/trusted-agents.json")
    if trusted.is_confirmed(repository, name, digest):
        return
    known = "has changed since you confirmed it" if trusted.digest(repository, name) else "is new to you"
    if not host.confirm(f"The agent {name} of this repository {known}. Use it?"):
        raise OperatorFault(
            "agent.unconfirmed",
            f"The agent {name} comes from the repository and {known}.",
            "Read .bot-bottle/agents, then start it once at a terminal and say yes.",
        )
    trusted.confirm(repository, name, digest)


def workspace(host: Host, request: Request, said: "model.Workspace", start: bool = True) -> Workspace:
    """What the source is and how it will be shown. start: it will be made now; a person who waits for it is told."""
    if not request.workspace:
        return Workspace("", "none")
    from bot_bottle.bottles.workspace.facts import inspect_source

    facts = inspect_source(request.workspace, tuple(said.keep), host.home.root, host.home.runtime)
    shown = facts.workspace(said.mode if said.mode is not UNSET else "copy")
    if start and shown.mode == "copy" and facts.files > _LONG and os.isatty(2):
        host.say(f"bot-bottle: copying {facts.files:,} files ...")
    return shown


def placeholders(wanted: Mapping[str, str]) -> dict[str, str]:
    """A fresh lookalike for each secret of the plan."""
    if not wanted:
        return {}
    from bot_bottle.custody.placeholders import generic, placeholder

    make = secrets.token_bytes
    return {name: placeholder(shape, make) if shape else generic(name, make) for name, shape in wanted.items()}


def registries(kinds: tuple[str, ...], host: Host, source: str) -> "Registries":
    """Where this host's own package clients download from."""
    from bot_bottle.bottles.registries import Registries, discover

    return discover(kinds, host.environ, source) if kinds else Registries()


def git_user(host: Host) -> tuple[str, str]:
    """The person's name and address for commits inside. git is asked outside of any repository (D05, D06)."""
    path = os.path.join(host.user_home, ".gitconfig")
    if not os.path.exists(path) and not os.path.exists(os.path.join(host.user_home, ".config/git/config")):
        return "", ""
    environ = {"HOME": host.user_home, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    argv = ["git", "config", "--global", "--get-regexp", r"^user\.(name|email)$"]
    try:
        done = subprocess.run(argv, capture_output=True, env=environ, cwd="/", timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "", ""
    lines = [line.partition(" ") for line in done.stdout.decode("utf-8", "replace").splitlines()]
    found = {name: value for name, _, value in lines}
    return found.get("user.name", ""), found.get("user.email", "")
