"""The host's own copy of a harness: what of it must be visible inside a bottle, and how it is started there."""

import os
import re
import shutil
import subprocess

import msgspec

from bot_bottle.base.errors import HostFault
from bot_bottle.harnesses.model import Harness
from bot_bottle.harnesses.placement import HOST_CHOICE, HostChoice

_VERSION = re.compile(r"\d+\.\d+\.\d+[\w.-]*")


def choose(harnesses: str, harness: Harness, search: str) -> HostChoice:
    """Finds the command on `search` (a PATH), writes the choice and returns it. Raises HostFault."""
    command = harness.install.command
    found = shutil.which(command, path=search) if command else None
    if not found:
        raise HostFault(
            "harness.no-host-copy",
            f"There is no {command or harness.name} on the PATH of this host.",
            f"Install the pinned version instead: bot-bottle harness install {harness.name}",
        )
    choice = describe(os.path.realpath(found), search)
    folder = os.path.join(harnesses, harness.name)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    temporary = os.path.join(folder, f".{HOST_CHOICE}.new")
    with open(temporary, "wb") as file:
        file.write(msgspec.json.encode(choice))
    os.replace(temporary, os.path.join(folder, HOST_CHOICE))
    return choice


def describe(program: str, search: str) -> HostChoice:
    """A native program is shown by itself, a script with its interpreter and the tree that it imports from."""
    with open(program, "rb") as file:
        first = file.readline(512)
    if not first.startswith(b"#!"):
        return HostChoice((program,), _outside_usr([program]), _version(program))
    line = first[2:].decode("utf-8", "replace").split()
    name = line[1] if os.path.basename(line[0]) == "env" and len(line) > 1 else line[0]
    interpreter = shutil.which(name, path=search)
    if interpreter is None:
        raise HostFault("harness.no-interpreter", f"{program} needs {name}, which is not on the PATH.", "Install it.")
    if os.path.basename(name).startswith("node"):
        real = os.path.realpath(interpreter)
        return HostChoice((real, program), _outside_usr([real, _modules(program)]), _version(program))
    return HostChoice((interpreter, program), _outside_usr(_python(interpreter, program)), _version(program))


def _modules(program: str) -> str:
    """The outermost node_modules folder above a script, else the folder of the script."""
    parts = program.split("/")
    if "node_modules" in parts:
        return "/".join(parts[: parts.index("node_modules") + 1])
    return os.path.dirname(program)


def _python(interpreter: str, program: str) -> list[str]:
    """The script, its virtual environment, and the Python that this is made of."""
    real = os.path.realpath(interpreter)
    venv = os.path.dirname(os.path.dirname(interpreter))
    found = [program, os.path.dirname(os.path.dirname(real))]
    return [*found, venv] if os.path.exists(os.path.join(venv, "pyvenv.cfg")) else found


def _outside_usr(paths: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in paths if path != "/usr" and not path.startswith("/usr/")))


def _version(program: str) -> str:
    """What the program says about itself; run with no environment, in /."""
    try:
        done = subprocess.run(
            [program, "--version"],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"},
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search(done.stdout)
    return match[0] if match else ""
