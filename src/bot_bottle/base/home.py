"""Where bot-bottle keeps what: one class, so that no room invents a path of its own.

Pure: paths are built, never looked at; `locate` takes the environment as a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Home:
    """root: absolute path of the home. runtime: directory for control sockets, 0700, never bound into a bottle."""

    root: str
    runtime: str

    @property
    def agents(self) -> str:
        return f"{self.root}/agents"

    @property
    def bottles(self) -> str:
        return f"{self.root}/bottles"

    @property
    def contrib(self) -> str:
        return f"{self.root}/contrib"

    @property
    def harnesses(self) -> str:
        return f"{self.root}/harnesses"

    @property
    def secrets(self) -> str:
        return f"{self.root}/secrets"

    @property
    def keys(self) -> str:
        return f"{self.root}/keys"

    @property
    def host_log(self) -> str:
        return f"{self.root}/log/host"

    @property
    def run_logs(self) -> str:
        return f"{self.root}/log/runs"

    @property
    def states(self) -> str:
        return f"{self.root}/state"

    @property
    def index(self) -> str:
        return f"{self.root}/index/records.sqlite"

    @property
    def approvals(self) -> str:
        """Asks, answers and grants; written by keepers only."""
        return f"{self.root}/approvals/approvals.sqlite"

    @property
    def web(self) -> str:
        """What the web process owns: paired devices, tokens, sessions. No key of the keeper lies here."""
        return f"{self.root}/web"

    @property
    def settings(self) -> str:
        """Notifiers, sinks, retention and how `serve` listens; a person's file, TOML."""
        return f"{self.root}/settings.toml"

    @property
    def forward(self) -> str:
        """How far each sink and each notifier has got; written by `serve` and `log forward`."""
        return f"{self.root}/forward"

    def run_log(self, run: str) -> str:
        return f"{self.run_logs}/{run}"

    def state(self, label: str) -> str:
        return f"{self.states}/{label}"

    def caches(self, bottle: str) -> str:
        return f"{self.root}/caches/{bottle}"

    def sockets(self, label: str) -> str:
        return f"{self.runtime}/{label}"


def locate(environ: Mapping[str, str]) -> Home:
    """The home that BOT_BOTTLE_HOME names, else ~/.bot-bottle; sockets under XDG_RUNTIME_DIR, else in the home.

    A home that was moved keeps its sockets inside, so that two homes of one user never share a label.
    """
    moved = environ.get("BOT_BOTTLE_HOME", "")
    if moved:
        root = moved.rstrip("/") or "/"
        return Home(root, f"{root}/run")
    root = f"{environ.get('HOME', '').rstrip('/')}/.bot-bottle"
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    return Home(root, f"{runtime}/bot-bottle" if runtime.startswith("/") else f"{root}/run")
