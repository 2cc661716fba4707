"""Toolchains of the person that a project needs inside: found on PATH, offered by `init` as read-only mounts.

Read-only binds of pyenv, nvm, cargo, ~/.local and the like at their own paths; the credentials that lie in them
(~/.cargo/credentials.toml) are masked.
"""

import os
from dataclasses import dataclass

from bot_bottle.bottles.plan import Mount
from bot_bottle.bottles.workspace import names
from bot_bottle.bottles.workspace.reach import Limits, Tree

# directory below HOME -> name; the first match of a PATH entry counts, so the narrower stands first
KNOWN = {
    ".pyenv": "pyenv", ".nvm": "nvm", ".volta": "volta", ".asdf": "asdf", ".local/share/mise": "mise", ".fnm": "fnm",
    ".local/share/fnm": "fnm", ".rustup": "rustup", ".cargo/bin": "cargo", ".cargo": "cargo", ".rbenv": "rbenv",
    ".sdkman": "sdkman", ".deno": "deno", ".bun": "bun", "go/bin": "go", ".local/pipx": "pipx",
    ".local/share/pipx": "pipx", ".local/share/uv": "uv",
    ".local/bin": "local programs", ".local/lib": "local programs",
    ".nix-profile": "nix",
}  # fmt: skip
_COMPANIONS = {".cargo/bin": (".rustup",), ".local/bin": (".local/lib", ".local/share/pipx", ".local/share/uv")}
NEVER = (".ssh", ".gnupg", ".aws", ".config", ".kube", ".docker", ".bot-bottle")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """name for people; mount: read-only, at its own path; masked: absolute paths in it that are hidden."""

    name: str
    mount: Mount
    masked: tuple[str, ...]


def find(path_variable: str, home: str) -> tuple[Toolchain, ...]:
    """Toolchains of `home` (the person's HOME) that PATH leads into, outermost directory once."""
    person = os.path.realpath(home)
    found: dict[str, str] = {}
    for part in path_variable.split(os.pathsep):
        if not os.path.isabs(part):
            continue
        for place in (os.path.normpath(part), os.path.realpath(part)):
            for below, name in KNOWN.items():
                root = os.path.join(person, below)
                if _within(place, root) and os.path.isdir(root):
                    found.setdefault(root, name)
                    for extra in _COMPANIONS.get(below, ()):
                        if os.path.isdir(os.path.join(person, extra)):
                            found.setdefault(os.path.join(person, extra), KNOWN[extra])
                    break
    outer = [root for root in found if not any(_within(root, other) and root != other for other in found)]
    return tuple(
        _toolchain(root, found[root], person) for root in sorted(outer) if not _is_secret_place(root, person)
    )


def _toolchain(root: str, name: str, person: str) -> Toolchain:
    where = os.path.relpath(root, person)
    return Toolchain(name, Mount(root, root, "ro", f"{name} (~/{where})"), credentials(root))


def credentials(root: str) -> tuple[str, ...]:
    """Absolute paths of files in a directory whose names say credential; looked for in its upper levels only."""
    prefix = os.path.basename(root)
    with Tree(root) as tree:
        return tuple(
            os.path.join(root, entry.path)
            for entry in tree.walk(Limits(entries=200_000), enter=lambda e: e.path.count("/") < 2)
            if entry.kind in ("file", "link") and names.looks_secret(f"{prefix}/{entry.path}")
            and not entry.path.lower().endswith(".pem")
        )  # fmt: skip


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


def _is_secret_place(root: str, person: str) -> bool:
    real = os.path.realpath(root)
    return any(_within(real, os.path.join(person, name)) for name in NEVER) or not _within(real, person)
