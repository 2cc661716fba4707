"""Mounts that a bottle file asks for, made absolute; what would undo the seal or show secrets is refused (B61)."""

import posixpath
from collections.abc import Callable

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.home import Home
from bot_bottle.bottles.plan import Mount
from bot_bottle.policy import merge, model
from bot_bottle.policy.inside import COMMAND

_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr")
SEALED = (*_SYSTEM, "/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/var", "/opt/bot-bottle")
"""Targets in these belong to the seal; the rest of /opt, /srv, /home and the person's own are free."""
UNSAFE_SOURCES = ("/dev", "/proc", "/run", "/sys", "/var/run", "/var/lib/docker", "/var/lib/containers")
_SHARED = ("/", "/tmp")  # noqa: S108  never as a whole: host sockets lie there, and the bottle has its own


def mounts(
    asked: list[model.Mount], user_home: str, home: Home, workspace: str = ""
) -> tuple[tuple[Mount, ...], list[str]]:
    """Checked mounts and warnings. Raises OperatorFault for what no bottle may see or cover."""
    out: list[Mount] = []
    warnings: list[str] = []
    for one in asked:
        source, target = _absolute(one.source, user_home), _absolute(merge.mount_target(one), user_home)
        _check_source(source, user_home, home)
        _check_target(target, user_home, home, workspace)
        out.append(Mount(source, target, one.mode, "bottle file"))
        if one.mode == "rw":
            warnings.append(f"mounts: the agent can change {source} of this host")
    return tuple(out), warnings


def require(asked: tuple[Mount, ...], exists: Callable[[str], bool]) -> None:
    """Raises OperatorFault for the first mount whose source is not there."""
    gone = next((mount.source for mount in asked if not exists(mount.source)), "")
    if gone:
        raise OperatorFault(
            "plan.mount-missing",
            f"The bottle file mounts {gone}, which is not there.",
            "Create it, or take the mount out of the bottle file.",
        )


def _absolute(path: str, user_home: str) -> str:
    full = posixpath.join(user_home, path[2:]) if path.startswith("~/") else path
    return posixpath.normpath(full).replace("//", "/")


def _check_source(source: str, user_home: str, home: Home) -> None:
    private = (home.root, home.runtime, f"{user_home}/.ssh", f"{user_home}/.gnupg", f"{user_home}/.aws")
    for place in (*UNSAFE_SOURCES, *private):
        if within(source, place) or within(place, source):
            raise _refused(source, f"would show {place}")
    if source in _SHARED:
        raise _refused(source, "would show what other programs share")


def _check_target(target: str, user_home: str, home: Home, workspace: str) -> None:
    if target in _SHARED or any(within(target, place) for place in SEALED):
        raise _refused(target, "would cover a part of the seal")
    if within(user_home, target) or within(target, home.root):
        raise _refused(target, "would cover HOME or the bot-bottle home")
    if within(COMMAND, target):
        raise _refused(target, "would cover the bottle's own command")
    if workspace and within(workspace, target):
        raise _refused(target, "would cover the workspace")


def within(path: str, outer: str) -> bool:
    """Whether an absolute, normal path is `outer` or lies in it."""
    return path == outer or path.startswith(outer.rstrip("/") + "/")


def _refused(path: str, why: str) -> OperatorFault:
    return OperatorFault("plan.mount-refused", f"The mount {path} {why}.", "Mount a narrower directory.")
