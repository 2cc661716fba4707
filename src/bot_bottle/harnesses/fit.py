"""Fits a harness to one run: which credential, which command, environment, seeds and routes. Pure.

The planner calls `fit` and copies the result into its plan; the bottle never gets more than placeholders.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from bot_bottle.base.errors import OperatorFault, UsageFault
from bot_bottle.harnesses.model import Command, Credential, Harness, HarnessRoute, HomeFile, Injection, Mode
from bot_bottle.harnesses.template import fill, splice
from bot_bottle.policy.effective import Route
from bot_bottle.policy.inside import NAME, URL
from bot_bottle.policy.verdict import Auth


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run asks of a harness.

    existing: names of the secrets that custody has. placeholders: secret name -> placeholder. entry: how the
    program is started inside (see `entry`); path: directories for PATH. ca: the bundle inside. argv: the command of
    the harness `command`, or more arguments for the harness. now: ISO time for files that need one.
    """

    mode: Mode
    workspace: str
    home: str
    ca: str
    entry: tuple[str, ...] = ()
    prompt: str = ""
    model: str = ""
    instructions: str = ""
    argv: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    existing: Collection[str] = ()
    placeholders: dict[str, str] = field(default_factory=dict[str, str])
    now: str = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Fitted:
    """Parts of a plan. files: HOME files, filled in. model_hosts: host -> error shape. mask: workspace paths."""

    argv: tuple[str, ...]
    env: dict[str, str]
    files: tuple[HomeFile, ...]
    routes: tuple[Route, ...]
    model_hosts: dict[str, str]
    mask: tuple[str, ...]
    secrets: tuple[str, ...]
    credential: Credential | None


def choose_credential(harness: Harness, mode: Mode, existing: Collection[str]) -> Credential | None:
    """The first credential whose secret exists, else the first that works in this mode, else None."""
    usable = [credential for credential in harness.credentials if mode in credential.modes]
    return next((one for one in usable if one.secret in existing), usable[0] if usable else None)


def fit(harness: Harness, choice: Choice) -> Fitted:
    """All that a plan needs from its harness. Raises UsageFault where the harness has no such mode."""
    command = harness.headless if choice.mode == "headless" else harness.interactive
    if not command.argv:
        raise UsageFault(
            "harness.no-mode",
            f"{harness.title} has no {choice.mode} mode.",
            f"Use the {'interactive' if choice.mode == 'headless' else 'headless'} mode, or another harness.",
        )
    credential = choose_credential(harness, choice.mode, choice.existing)
    filled = _Filled(harness, choice, credential)
    return Fitted(
        argv=filled.argv(command),
        env=filled.env(),
        files=filled.files(),
        routes=routes(harness, choice.mode, credential),
        model_hosts={route.host: route.error for route in harness.routes if route.error},
        mask=harness.mask,
        secrets=(credential.secret,) if credential else (),
        credential=credential,
    )


def routes(harness: Harness, mode: Mode, credential: Credential | None) -> tuple[Route, ...]:
    """The harness's routes as policy, with what this credential injects where."""
    wanted = [route for route in harness.routes if mode in route.modes]
    inject = {one.route: one for one in credential.inject} if credential else {}
    used = _used_by_others(harness, credential)
    return tuple(
        _route(harness.name, route, inject.get(route.name), credential) for route in wanted if route.name not in used
    )


def _used_by_others(harness: Harness, credential: Credential | None) -> set[str]:
    """Routes that only another credential injects into: of no use without it, so they stay closed."""
    mine = {one.route for one in credential.inject} if credential else set[str]()
    other = {one.route for each in harness.credentials if each is not credential for one in each.inject}
    return other - mine


def _route(owner: str, route: HarnessRoute, injection: Injection | None, credential: Credential | None) -> Route:
    auth = Auth(injection.scheme, credential.secret, injection.name) if injection and credential else None
    return Route(
        rule=f"{owner}/{route.name}",
        host=route.host,
        ports=route.ports,
        protocols=route.protocols,
        matches=route.matches,
        auth=auth,
        timeouts=route.timeouts,
        origin=f"harness {owner}",
    )


class _Filled:
    """Fills the templates of one harness for one choice."""

    def __init__(self, harness: Harness, choice: Choice, credential: Credential | None) -> None:
        self.harness = harness
        self.choice = choice
        self.credential = credential
        self.values = {
            "workspace": choice.workspace,
            "home": choice.home,
            "ca": choice.ca,
            "model": choice.model or harness.default_model,
            "prompt": choice.prompt,
            "instructions": choice.instructions,
            "now": choice.now,
            "mcp_name": NAME,
            "mcp_url": URL,
        }
        missing = [credential.secret] if credential and credential.secret not in choice.placeholders else []
        if missing:
            raise OperatorFault("harness.no-placeholder", f"No placeholder was made for the secret {missing[0]!r}.")

    def text(self, text: str) -> str:
        return fill(text, self.values, self.choice.placeholders)

    def argv(self, command: Command) -> tuple[str, ...]:
        """The command with optional parts spliced in where there is something to say."""
        values = self._values(command)
        parts = {
            "entry": self.choice.entry or (self.harness.install.command,),
            "argv": self.choice.argv,
            "prompt": self._part(command.prompt, values, "prompt"),
            "model": self._part(command.model, values, "model"),
            "instructions": self._part(command.instructions, values, "instructions"),
            "credential": tuple(self.text(one) for one in self.credential.argv) if self.credential else (),
            "mcp": tuple(self.text(one) for one in self.harness.mcp.argv),
        }
        own = {name: value for name, value in values.items() if name not in ("prompt", "instructions")}
        base = [fill(one, own, {}) if one[1:-1] not in parts else one for one in command.argv]
        return splice(base, parts)

    def _values(self, command: Command) -> dict[str, str]:
        """The values; an agent's instructions are put before the task where the harness takes none, never dropped."""
        values = self.values
        if command.instructions or not values["instructions"] or "{prompt}" not in command.argv:
            return values
        if not values["prompt"]:
            raise UsageFault(
                "harness.no-instructions",
                f"{self.harness.title} takes an agent's instructions only together with a task.",
                "Give one with --prompt, or use another harness for this agent.",
            )
        return {**values, "prompt": f"{values['instructions']}\n\n{values['prompt']}", "instructions": ""}

    def _part(self, template: tuple[str, ...], values: dict[str, str], name: str) -> tuple[str, ...]:
        return tuple(fill(one, values, self.choice.placeholders) for one in template) if values[name] else ()

    def env(self) -> dict[str, str]:
        """Variables of the harness: CA bundle, its own, its mode's, and the credential's placeholder."""
        mode = self.harness.headless_env if self.choice.mode == "headless" else self.harness.interactive_env
        credential = self.credential.env if self.credential else {}
        merged = {**dict.fromkeys(self.harness.ca, "{ca}"), **self.harness.env, **mode, **credential}
        return {name: self.text(value) for name, value in merged.items()}

    def files(self) -> tuple[HomeFile, ...]:
        """Files for HOME; a credential's file of the same path replaces the harness's."""
        every = (*self.harness.files, *(self.credential.files if self.credential else ()))
        every = (*every, self.harness.mcp.file) if self.harness.mcp.file else every
        last = {one.path: one for one in every if self.choice.mode in one.modes}
        return tuple(HomeFile(one.path, self.text(one.content), one.executable, one.modes) for one in last.values())
