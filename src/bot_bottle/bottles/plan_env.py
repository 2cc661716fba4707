"""The complete environment of the agent: nothing of the person's own comes along unless a bottle file names it."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import UNSET

from bot_bottle.bottles.ask_command import DIRECTORY
from bot_bottle.bottles.plan import Mount
from bot_bottle.bottles.plan_mounts import within
from bot_bottle.policy import model

PROXY = "http://127.0.0.1:3128"
LOCAL = "localhost,127.0.0.1,::1"
SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", DIRECTORY)
FROM_TERMINAL = ("TERM", "COLORTERM")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY")


class Host(Protocol):
    """The part of `planner.Facts` that matters here."""

    @property
    def user_home(self) -> str: ...
    @property
    def environ(self) -> Mapping[str, str]: ...
    @property
    def placeholders(self) -> dict[str, str]: ...
    @property
    def path(self) -> tuple[str, ...]: ...
    @property
    def user(self) -> str: ...


def environment(
    asked: Mapping[str, str | model.EnvSource],
    host: Host,
    harness: Mapping[str, str],
    mounts: tuple[Mount, ...],
    terminal: bool,
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """(environment, visible secret -> variable, warnings). Later wins: base, harness, bottle file."""
    env = {**_base(host, mounts, terminal), **harness}
    visible: dict[str, str] = {}
    warnings: list[str] = []
    for name, source in asked.items():
        if isinstance(source, str):
            env[name] = source
        elif source.secret is not UNSET:
            if source.visible:
                visible[source.secret] = name
                env.pop(name, None)
            else:
                env[name] = host.placeholders.get(source.secret, "")
        elif source.from_host is not UNSET and source.from_host in host.environ:
            env[name] = host.environ[source.from_host]
        else:
            warnings.append(f"env: {name} is left out, this host has no ${source.from_host}")
    return env, visible, warnings


def search_path(host: Host, mounts: tuple[Mount, ...]) -> str:
    """The harness's directories, those of the person's PATH that are mounted, then the system's."""
    shown = {mount.source: mount.target for mount in mounts}
    own: list[str] = []
    for entry in host.environ.get("PATH", "").split(":"):
        source = next((source for source in shown if entry.startswith("/") and within(entry, source)), "")
        if source:
            own.append(shown[source] + entry[len(source) :])
    return ":".join(dict.fromkeys((*host.path, *own, *SYSTEM_PATH)))


def _base(host: Host, mounts: tuple[Mount, ...], terminal: bool) -> dict[str, str]:
    proxies = {spelled: PROXY for name in _PROXIES for spelled in (name, name.lower())}
    shown = {name: host.environ[name] for name in FROM_TERMINAL if name in host.environ} if terminal else {}
    return {
        "HOME": host.user_home,
        "USER": host.user,
        "LOGNAME": host.user,
        "SHELL": "/bin/bash",
        "PATH": search_path(host, mounts),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color" if terminal else "dumb",
        "TMPDIR": "/tmp",  # noqa: S108  the bottle's own tmpfs
        **shown,
        **proxies,
        "NO_PROXY": LOCAL,
        "no_proxy": LOCAL,
        "BOT_BOTTLE": "1",
    }
