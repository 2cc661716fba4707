"""Sets the demo's stage in a temporary folder: a home, a bottle file, the rogue's harness file, a project."""

import os
import secrets
import string
import subprocess
import tomllib
from dataclasses import dataclass

from bot_bottle.harnesses.demo.evidence import Canary, Evidence
from bot_bottle.harnesses.demo.model_server import BOARD, HOST, ModelServer
from bot_bottle.harnesses.install import interpreter
from bot_bottle.harnesses.placement import python_mounts

HERE = os.path.dirname(os.path.abspath(__file__))
SECRET = "demo-model"  # noqa: S105  the name of a secret, not one
NEWS = "Tell the team."
"""The task of the second run, which the dashboard shows: it ends with one request that a person is asked about."""
TASK = "`python3 test_discount.py` fails. Mend discount.py."
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Stage:
    """folder: all of it. home: for BOT_BOTTLE_HOME. project: the workspace. key: the real key of the model."""

    folder: str
    home: str
    project: str
    key: str
    model: ModelServer
    canary: Canary
    evidence: Evidence

    @property
    def neighbour(self) -> str:
        """A file beside the workspace that the agent would like to read."""
        return os.path.join(self.folder, "work", "host-diary.txt")

    def close(self) -> None:
        self.model.close()
        self.canary.close()


def build(folder: str) -> Stage:
    """Writes everything below `folder`, which is ours and private."""
    home, project = os.path.join(folder, "home"), os.path.join(folder, "work", "shop")
    for part in (os.path.join(home, "contrib"), os.path.join(home, "bottles"), project):
        os.makedirs(part, mode=0o700)
    python, evidence = interpreter(), Evidence()
    key = "sk-demo-" + "".join(secrets.choice(_LETTERS) for _ in range(40))
    stage = Stage(
        folder,
        home,
        project,
        key,
        ModelServer(folder, key, python, evidence),
        Canary(evidence, f"bot-bottle-canary-{secrets.token_hex(8)}"),
        evidence,
    )
    for name, text in project_files().items():
        _write(os.path.join(project, name), text)
    _write(stage.neighbour, "Dear diary, nobody else reads this.\n")
    _write(os.path.join(home, "contrib", "rogue.toml"), harness_file(python))
    _write(os.path.join(home, "bottles", "demo.md"), bottle_file(stage, python))
    _commit(project)
    return stage


def harness_file(python: str) -> str:
    """The rogue's harness with its program appended as a file for HOME."""
    with open(os.path.join(HERE, "rogue.toml"), encoding="utf-8") as file:
        head = file.read().replace("@PYTHON@", python)
    with open(os.path.join(HERE, "rogue.py"), encoding="utf-8") as file:
        program = file.read()
    if "'''" in program:
        raise ValueError("the rogue's program cannot stand in a TOML literal")
    return f"{head}\n[[files]]\npath = \".rogue/agent.py\"\ncontent = '''\n{program}'''\n"


def project_files() -> dict[str, str]:
    """Name -> content of the project's files."""
    with open(os.path.join(HERE, "project.toml"), "rb") as file:
        return {one["path"]: one["content"] for one in tomllib.load(file)["file"]}


def bottle_file(stage: Stage, python: str) -> str:
    """POST of one path with the owner's key; another that a person is asked about; and where the canaries wait."""
    mounts = "".join(
        f"    - {{source: {source}, target: {target}, mode: ro}}\n" for source, target in python_mounts(python)
    )
    workspace = f"workspace:\n  mounts:\n{mounts}" if mounts else ""
    return f"""---
version: 1
env: {{CANARY_PORT: "{stage.canary.port}", CANARY_SOCKET: "{stage.canary.name}"}}
{workspace}egress:
  ask_wait: 30m
  routes:
    - name: model
      host: {HOST}
      address: 127.0.0.1:{stage.model.port}
      tls: {{ca: {stage.model.authority}}}
      matches: [{{methods: [POST], paths: [{{type: exact, value: /v1/messages}}]}}]
      auth: {{scheme: "header:x-api-key", secret: {SECRET}}}
    - name: board
      action: ask
      host: {BOARD}
      address: 127.0.0.1:{stage.model.port}
      tls: {{ca: {stage.model.authority}}}
      matches: [{{methods: [POST], paths: [{{type: exact, value: /notes}}]}}]
---
The demo's bottle: the model, the team's board after a person said yes, and nothing else.
"""


def _commit(project: str) -> None:
    """The project as a repository with one commit; git runs on our own files, with no configuration of anybody's."""
    env = {
        "PATH": os.environ.get("PATH", ""),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": "/",
    }
    who = ["-c", "user.name=shop", "-c", "user.email=shop@example.com", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "The shop, with a bug"]):
        subprocess.run(["git", *who, *command], cwd=project, env=env, check=True, capture_output=True)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
