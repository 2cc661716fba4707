"""A notification of the desktop by `notify-send`: an argument list after ``--``, markup escaped, no buttons."""

import html
import os
import shutil
import subprocess

from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.supervise.notify.model import Notice, NotifierConfig, NotifierKind, Secrets

_ENVIRONMENT = ("PATH", "HOME", "LANG", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


class DesktopConfig(NotifierConfig, kw_only=True, frozen=True, tag="desktop", tag_field="kind"):
    """command: another program than `notify-send`, by its absolute path."""

    command: str = ""


class DesktopNotifier:
    """One short process a notice."""

    def __init__(self, config: DesktopConfig) -> None:
        self._command = config.command or "notify-send"

    def send(self, notice: Notice) -> None:
        """Shown, or a SinkFault that says what is missing."""
        program = shutil.which(self._command)
        if program is None:
            raise SinkFault("notify-send is not installed.", "Install libnotify, or choose another notifier.")
        argv = [program, "--app-name=bot-bottle", f"--urgency={'critical' if notice.late else 'normal'}", "--"]
        argv += [notice.title, html.escape(f"{notice.sentence} {notice.link}".strip())]
        env = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            done = subprocess.run(
                argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SinkFault(f"notify-send failed: {type(error).__name__}.") from None
        if done.returncode:
            raise SinkFault("notify-send found no desktop to show it on.")

    def close(self) -> None:
        """Nothing stays open."""


def open_desktop(config: DesktopConfig, _secrets: Secrets, _home: str) -> DesktopNotifier:
    """The notifier of a config that has no problems."""
    return DesktopNotifier(config)


def problems(config: DesktopConfig) -> list[tuple[str, str]]:
    """A program by another name than its path."""
    return [("command", "is no absolute path")] if config.command and not config.command.startswith("/") else []


KIND = NotifierKind("desktop", "notify-send on this machine.", DesktopConfig, open_desktop, problems)
