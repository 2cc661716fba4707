"""The only way in which the host runs git (D05, F19-F22): no configuration but ours, no hook, no protocol, no pager.

It is run in our fresh bare repository, or in the person's own repository for `keep`; never with a tree or a git
directory that an agent wrote as work-tree, GIT_DIR, remote or cwd.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, cast

from bot_bottle.base.errors import AgentFault, HostFault
from bot_bottle.base.text import visible

SECONDS = 300
NEUTRAL = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null", "core.pager=cat", "core.sshCommand=false", "core.alternateRefsCommand=",
    "core.untrackedCache=false", "protocol.allow=never", "credential.helper=", "commit.gpgSign=false",
    "tag.gpgSign=false", "gc.auto=0", "maintenance.auto=false", "diff.external=", "submodule.recurse=false",
    "transfer.fsckObjects=true", "fetch.fsckObjects=true", "receive.fsckObjects=true",
    "safe.bareRepository=explicit", "advice.detachedHead=false",
)  # fmt: skip


def program() -> str:
    """Absolute path of git. Raises HostFault."""
    found = shutil.which("git", path="/usr/bin:/bin:/usr/local/bin") or shutil.which("git")
    if not found:
        raise HostFault("host.no-git", "There is no git on this machine.", "Install it: apt-get install git.")
    return os.path.abspath(found)


def environment(git_dir: str = "", extra: dict[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a git child: nothing of the person's, no system or global configuration."""
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C", "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_ALLOW_PROTOCOL": "", "GIT_LITERAL_PATHSPECS": "1", "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ASKPASS": "/bin/false", "SSH_ASKPASS": "/bin/false", "GIT_EDITOR": "false", "GIT_PAGER": "cat",
        "GIT_AUTHOR_NAME": "bot-bottle", "GIT_AUTHOR_EMAIL": "bot-bottle@localhost",
        "GIT_COMMITTER_NAME": "bot-bottle", "GIT_COMMITTER_EMAIL": "bot-bottle@localhost",
    }  # fmt: skip
    if git_dir:
        env["GIT_DIR"] = git_dir
    return env | (extra or {})


def run(
    arguments: Sequence[str],
    git_dir: str = "",
    *,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    accept: tuple[int, ...] = (0,),
) -> bytes:
    """Standard output of one git command with cwd ``/``. Raises HostFault with git's first line."""
    done = _start(arguments, git_dir, env, {"input": stdin, "stdout": subprocess.PIPE})
    if done.returncode not in accept:
        raise _failed(arguments, done)
    return done.stdout


def run_to(arguments: Sequence[str], git_dir: str, output: int, stdin: bytes = b"") -> None:
    """Like `run`, with standard output into a descriptor."""
    done = _start(arguments, git_dir, None, {"input": stdin, "stdout": output})
    if done.returncode:
        raise _failed(arguments, done)


def feed(arguments: Sequence[str], git_dir: str, source: int | None, what: str) -> None:
    """Checks bytes that come from a bottle: a failure is the bottle's fault (AgentFault)."""
    stdin = subprocess.DEVNULL if source is None else source
    done = _start(arguments, git_dir, None, {"stdin": stdin, "stdout": subprocess.DEVNULL})
    if done.returncode:
        raise AgentFault(
            "workspace.refused-objects",
            f"git does not accept {what}: {_first_line(done.stderr)}.",
            "Nothing was taken; the bottle's tree is kept.",
        )


def _start(
    arguments: Sequence[str], git_dir: str, env: dict[str, str] | None, streams: dict[str, Any]
) -> subprocess.CompletedProcess[bytes]:
    full = [program(), *(word for setting in NEUTRAL for word in ("-c", setting)), *arguments]
    settings: dict[str, Any] = {"cwd": "/", "env": environment(git_dir, env), "stderr": subprocess.PIPE, **streams}
    try:
        return cast("subprocess.CompletedProcess[bytes]", subprocess.run(full, timeout=SECONDS, **settings))  # noqa: PLW1510
    except subprocess.TimeoutExpired:
        raise HostFault("workspace.git-time", f"git {arguments[0]} took longer than {SECONDS} s.") from None


def _failed(arguments: Sequence[str], done: subprocess.CompletedProcess[bytes]) -> HostFault:
    return HostFault("workspace.git", f"git {arguments[0]} failed: {_first_line(done.stderr) or done.returncode}.")


def _first_line(data: bytes) -> str:
    lines = data.decode("utf-8", "replace").strip().splitlines()
    return visible(lines[0], 200) if lines else ""
