"""Toolchains of the person that `init` offers as read-only mounts: they lie in HOME, and PATH leads into them.

Only directories without credentials are offered: of ~/.cargo the programs, not its credentials file (D07).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

KNOWN = (
    ("pyenv", (".pyenv",)),
    ("nvm", (".nvm",)),
    ("fnm", (".local/share/fnm",)),
    ("volta", (".volta/bin", ".volta/tools")),
    ("rust", (".cargo/bin", ".rustup")),
    ("go", ("go/bin", "sdk")),
    ("bun", (".bun/bin",)),
    ("deno", (".deno/bin",)),
    ("rbenv", (".rbenv",)),
    ("sdkman", (".sdkman/candidates",)),
    ("mise", (".local/share/mise/installs", ".local/share/mise/shims")),
    ("asdf", (".asdf",)),
    (
        "uv and pipx",
        (".local/bin", ".local/lib", ".local/share/uv/python", ".local/share/uv/tools", ".local/share/pipx"),
    ),
)
"""Name -> directories of HOME. The first one is what PATH must lead into."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """One toolchain. mounts: paths that start with ~/, all of which exist."""

    name: str
    mounts: tuple[str, ...]


def found(environ: Mapping[str, str]) -> tuple[Toolchain, ...]:
    """Toolchains in HOME that PATH leads into."""
    home = environ.get("HOME", "").rstrip("/")
    entries = [entry for entry in environ.get("PATH", "").split(":") if entry.startswith(f"{home}/")]
    out: list[Toolchain] = []
    for name, places in KNOWN:
        first = f"{home}/{places[0]}"
        if any(entry == first or entry.startswith(first + "/") for entry in entries):
            out.append(Toolchain(name, tuple(f"~/{one}" for one in places if os.path.isdir(f"{home}/{one}"))))
    return tuple(one for one in out if one.mounts)


def bottle_file(mounts: tuple[str, ...], registries: tuple[str, ...] = ()) -> str:
    """The text of a bottle file with these read-only mounts."""
    lines = ["---", "version: 1"]
    if mounts:
        lines += ["workspace:", "  mounts:", *(f"    - {{source: {_quoted(one)}, mode: ro}}" for one in mounts)]
    if registries:
        lines += ["egress:", f"  registries: [{', '.join(registries)}]"]
    lines += ["---", "Written by `bot-bottle init`. The keys: bot-bottle manifest schema --markdown", ""]
    return "\n".join(lines)


def _quoted(path: str) -> str:
    return path if path.replace("/", "").replace(".", "").replace("-", "").replace("~", "").isalnum() else f"'{path}'"
