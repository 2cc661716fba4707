"""Somebody with a HOME, a key, a bottle file, a project and a model server."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bot_bottle.harnesses import load
from e2e.agents.front import Model

KEYS = {
    "anthropic": "sk-ant-api03-REALREALREAL0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN-0123456789ABCDEFGHIJKLMNOPQRSAA",
    "anthropic-oauth": "sk-ant-oat01-REALREALREAL0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN-0123456789ABCDEFGHIJKLMNOPQRSAA",
    "openai": "sk-proj-REALREALREAL0123456789abcdefghijklmnopqrstuvwxyz",
}
MODEL_HOST = {
    "claude": "api.anthropic.com",
    "pi": "api.anthropic.com",
    "codex": "api.openai.com",
    "mini": "api.openai.com",
}
SECRET = {"claude": "anthropic", "pi": "anthropic", "codex": "openai", "mini": "openai"}
PATHS = {"claude": "/v1/messages", "pi": "/v1/messages", "codex": "/v1/responses", "mini": "/v1/chat/completions"}
AUTH = {"anthropic": "header:x-api-key", "anthropic-oauth": "bearer", "openai": "bearer"}
PROGRAM = [sys.executable, "-I", "-m", "bot_bottle.cli.main"]


@dataclass
class Person:
    """Somebody with a HOME, a bot-bottle home that shares the installed agents, a project and a model server."""

    folder: Path
    home: Path
    project: Path
    env: dict[str, str]
    model: Model
    name: str
    secret: str

    @property
    def key(self) -> str:
        return KEYS[self.secret]

    def command(self, *arguments: str) -> list[str]:
        return [*PROGRAM, *arguments]

    def bottle(self, routes: str, name: str = "lab") -> None:
        (self.home / "bottles").mkdir(exist_ok=True)
        (self.home / "bottles" / f"{name}.md").write_text(
            f"---\nversion: 1\negress:\n  routes:\n{routes}---\nTests.\n"
        )

    def route(self, host: str, path: str, extra: str = "", methods: str = "POST") -> str:
        return (
            f"    - {{host: {host}, address: '127.0.0.1:{self.model.port}', tls: {{ca: {self.model.authority}}},\n"
            f"       matches: [{{methods: [{methods}], paths: [{{type: exact, value: {path}}}]}}]{extra}}}\n"
        )

    def model_route(self) -> str:
        auth = f', auth: {{scheme: "{AUTH[self.secret]}", secret: {self.secret}}}'
        return self.route(MODEL_HOST[self.name], PATHS[self.name], auth)

    def own_harness(self, *changes: tuple[str, str]) -> None:
        """The shipped harness file as a person's own, with these texts replaced; each must be there."""
        text = (Path(load.DATA) / f"{self.name}.toml").read_text()
        for old, new in (("format = 1", "format = 1\nreplaces_shipped = true"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        (self.home / "contrib").mkdir()
        (self.home / "contrib" / f"{self.name}.toml").write_text(text)

    def start(self, *options: str, prompt: str, timeout: float = 100) -> subprocess.CompletedProcess[str]:
        """`bot-bottle start NAME --headless` with what is given, in the project."""
        argv = self.command("start", self.name, "--bottle", "lab", "--headless", "--prompt", prompt, *options)
        return subprocess.run(
            argv,
            cwd=self.project,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
