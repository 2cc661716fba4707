"""Mounts that a manifest asks for: none may cover what makes a bottle safe, or show what it must not see (B61)."""

import os

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.plan import Mount

# Targets: our own files and the kernel's views lie here; /run holds the probe and the init, /etc names and CA.
TARGETS = (
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/boot",
)
# Sources: sockets of daemons, the kernel's views, other processes; B-rows of docker.sock, S05.
SOURCES = (
    "/run",
    "/var/run",
    "/proc",
    "/sys",
    "/dev",
    "/boot",
    "/var/lib/docker",
    "/var/lib/containers",
    "/tmp/.X11-unix",  # noqa: S108 - compared, never opened
)
SECRET = (".ssh", ".gnupg", ".aws", ".kube", ".docker", ".config/gcloud", ".config/gh", ".password-store", ".mozilla")


def check_mounts(mounts: tuple[Mount, ...], workspace: str, inside_home: str, home: str, runtime_dir: str) -> None:
    """home: the bot-bottle home. Raises OperatorFault for the first mount that cannot be."""
    for mount in mounts:
        why = _target_fault(mount, workspace, inside_home) or _source_fault(mount, home, runtime_dir)
        if why:
            raise OperatorFault(
                "workspace.mount", f"The mount {visible(mount.source)} -> {visible(mount.target)} {why}.",
                "Mount a directory that holds only what the agent may see.",
            )  # fmt: skip


def _target_fault(mount: Mount, workspace: str, inside_home: str) -> str:
    target = mount.target
    if not target.startswith("/") or os.path.normpath(target) != target or target == "/":
        return "has no plain absolute target"
    if any(_within(target, place) for place in TARGETS):
        return "would cover the bottle's own system files"
    if any(place and _within(place, target) for place in (workspace, inside_home)):
        return "would cover the workspace or the home directory"
    return ""


def _source_fault(mount: Mount, home: str, runtime_dir: str) -> str:
    source = os.path.realpath(mount.source)
    if mount.mode not in ("ro", "rw"):
        return "has a mode that is neither ro nor rw"
    if not os.path.exists(source):
        return "has a source that does not exist"
    if not (os.path.isdir(source) or os.path.isfile(source)):
        return "has a source that is no file or directory"
    person = os.path.realpath(os.path.expanduser("~"))
    for place in (home, runtime_dir, *(os.path.join(person, name) for name in SECRET)):
        real = os.path.realpath(place) if place else ""
        if real and (_within(source, real) or _within(real, source)) and not _is_install(source, home):
            return f"would show {place}"
    whole = source in ("/", "/var", "/etc", "/tmp", person)  # noqa: S108 - compared, never opened
    if whole or any(_within(source, place) for place in SOURCES):
        return "would show more of the host than a bottle may see"
    return ""


def _is_install(source: str, home: str) -> bool:
    """Harnesses are installed in the home and are mounted from there, caches too."""
    real = os.path.realpath(home)
    return any(_within(source, os.path.join(real, name)) for name in ("harnesses", "caches"))


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
