"""`settings.toml` in the home: notifiers, sinks, retention, how `serve` listens. A person's file; no secret in it.

Everything that is wrong is said at once, with file, line and the nearest valid key. Credentials are names of secrets;
`Settings.secrets` lists them for the keeper.
"""

import os
import tomllib
from typing import Any

import msgspec

from bot_bottle.api.settings_check import Check
from bot_bottle.audit.sinks.file import FileConfig
from bot_bottle.audit.sinks.model import SinkConfig, secret_names
from bot_bottle.audit.sinks.registry import SINKS
from bot_bottle.base.errors import OperatorFault, Problem
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible
from bot_bottle.supervise.notify.model import NotifierConfig
from bot_bottle.supervise.notify.registry import NOTIFIERS


class Serve(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How `serve` listens. port: of the loopback page, 0 for any free one. names: further host names that a Host
    header may have. phone_port: of the TLS listener for `--phone`. address: of that listener. proxies, public: a
    stated reverse proxy and the URL that it serves."""

    port: int = 0
    names: tuple[str, ...] = ()
    address: str = "0.0.0.0"  # noqa: S104 - only with --phone, TLS and pairing
    phone_port: int = 0
    proxies: tuple[str, ...] = ()
    public: str = ""


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """days: records of runs that ended longer ago are purged by `serve` and by `log purge --expired`; 0 keeps them
    for ever. Under a legal hold they stay, and where a sink has not got them yet. Hashes and checkpoints always stay.
    """

    days: int = 0


class Settings(msgspec.Struct, frozen=True):
    """The whole file. sinks, notifiers: by the names that the person gave them."""

    serve: Serve = Serve()
    retention: Retention = Retention()
    sinks: dict[str, SinkConfig] = {}
    notifiers: dict[str, NotifierConfig] = {}

    def secrets(self) -> tuple[str, ...]:
        """Names of all secrets that it mentions, sorted."""
        configs: list[msgspec.Struct] = [*self.sinks.values(), *self.notifiers.values()]
        return tuple(sorted({name for config in configs for name in secret_names(config)}))


class SettingsFault(OperatorFault):
    """All problems of the settings file together (exit 3)."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(
            "settings.invalid", "\n".join(str(one) for one in problems), "Mend the file, then try again."
        )
        self.problems = problems


def load(home: Home) -> Settings:
    """The settings of a home; the defaults where there is no file. Raises SettingsFault."""
    try:
        with open(home.settings, "rb") as file:
            data = file.read(1 << 20)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise SettingsFault(
            [Problem("settings.unreadable", f"cannot be read: {error.strerror}", home.settings)]
        ) from None
    return parse(data, os.path.basename(home.settings), home.root)


def parse(data: bytes, file: str = "settings.toml", root: str = "") -> Settings:
    """The settings of a file's bytes. file: for messages. root: of the home, into which no sink may write. Raises
    SettingsFault."""
    try:
        text = data.decode()
        tree = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsFault([_syntax(error, file, data.count(b"\n") + 1)]) from None
    check = Check(file, text)
    settings = _settings(check, tree)
    _outside(check, settings, root)
    if check.problems:
        raise SettingsFault(sorted(check.problems, key=lambda one: one.line))
    return settings


def _settings(check: Check, tree: dict[str, Any]) -> Settings:
    check.keys(tree, ("serve", "retention", "sink", "notify"), ())
    serve = check.struct(tree.get("serve", {}), Serve, ("serve",)) or Serve()
    retention = check.struct(tree.get("retention", {}), Retention, ("retention",)) or Retention()
    _ranges(check, serve, retention)
    return Settings(
        serve,
        retention,
        check.kinds(tree.get("sink", {}), SINKS, ("sink",)),
        check.kinds(tree.get("notify", {}), NOTIFIERS, ("notify",)),
    )


def _outside(check: Check, settings: Settings, root: str) -> None:
    """A file sink in a folder of the home would write into what it reads, or beside keys."""
    home = os.path.realpath(root) if root else ""
    for name, config in settings.sinks.items():
        if not isinstance(config, FileConfig) or not home:
            continue
        folder = os.path.dirname(os.path.realpath(config.path))
        if folder.startswith(f"{home}/"):
            check.add("bad-value", ("sink", name, "path"), "lies in a folder of the home", "choose a place outside")


def _ranges(check: Check, serve: Serve, retention: Retention) -> None:
    for name in ("port", "phone_port"):
        if not 0 <= getattr(serve, name) <= 65535:
            check.add("bad-value", ("serve", name), "is no port")
    if not 0 <= retention.days <= 36500:
        check.add("bad-value", ("retention", "days"), "is no number of days between 0 and 36500")
    if serve.public and not serve.public.startswith("https://"):
        check.add("bad-value", ("serve", "public"), "is no https URL")


def _syntax(error: Exception, file: str, last: int) -> Problem:
    text = str(error).removesuffix(" (at end of document)")
    line = last if text != str(error) else 0
    if isinstance(error, tomllib.TOMLDecodeError) and "(at line " in text:
        text, _, place = text.partition(" (at line ")
        line = int(place.partition(",")[0]) if place.partition(",")[0].isdigit() else 0
    what = "is no UTF-8" if isinstance(error, UnicodeDecodeError) else f"is no TOML: {visible(text, 200)}"
    return Problem("settings.syntax", what, file, line)
