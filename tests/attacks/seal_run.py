"""Runs one attack in one bottle, and takes single defences away: the helper is a fork, so a patched name is enough."""

import contextlib
import json
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from attacks import seal_gate, seal_inside_net
from bot_bottle.bottles import limits_watch
from bot_bottle.bottles.seal import doors, enter, helper, idmap, kernel, layout, seccomp, staging, start
from bot_bottle.bottles.seal.bottle import Bottle, readable
from bot_bottle.bottles.seal.interpreter import interpreter
from bot_bottle.bottles.seal.spec import Content, Spec

ROOT = os.getuid() == 0
HERE = Path(__file__).parent
INSIDE = "/run/bot-bottle/seal_inside.py"
SCRIPTS = tuple(
    Content(f"/run/bot-bottle/{path.name}", path.read_bytes()) for path in sorted(HERE.glob("seal_inside*.py"))
)
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/home/agent"}
MODULES: tuple[ModuleType, ...] = (doors, enter, helper, idmap, kernel, layout, limits_watch, seccomp, staging, start)
NO_FILTER = struct.pack("HBBI", 6, 0, 0, 0x7FFF0000)


def nothing(*_: object, **__: object) -> None:
    """A defence that does nothing."""


@contextlib.contextmanager
def without(**patches: Any) -> Iterator[None]:
    """Takes defences away by name, in every module of the seal that knows the name."""
    saved = [(m, name, getattr(m, name)) for name in patches for m in MODULES if hasattr(m, name)]
    assert {name for _, name, _ in saved} == set(patches), "a defence of this name does not exist"
    for module, name, _ in saved:
        setattr(module, name, patches[name])
    try:
        yield
    finally:
        for module, name, value in saved:
            setattr(module, name, value)


def no_filter() -> contextlib.AbstractContextManager[None]:
    """The bottle without its system call filter."""
    return without(program=lambda: NO_FILTER)


def spec(argv: tuple[str, ...], **fields: Any) -> Spec:
    """A bottle with our interpreter and the agent's side of the attacks in it."""
    ours = interpreter()
    fields["binds"] = (*fields.get("binds", ()), *ours.binds)
    fields["contents"] = (*fields.get("contents", ()), *SCRIPTS)
    return Spec(argv=argv, env=ENV | fields.pop("env", {}), **fields)


def python(name: str, *args: object) -> tuple[str, ...]:
    """argv of one attack of seal_inside.py."""
    return ("/bin/sh", "-c", f'exec env {interpreter().run} {INSIDE} "$@"', "sh", name, *map(str, args))


def code(text: str, *args: str) -> tuple[str, ...]:
    """argv that runs this Python text inside."""
    return ("/bin/sh", "-c", f'exec env {interpreter().run} -c "$@"', "sh", text, *args)


class Run:
    """One bottle with its small gateway."""

    def __init__(self, argv: tuple[str, ...], go: bool = True, **fields: Any) -> None:
        self.bottle = Bottle(start.start(spec(argv, **fields)))
        self.gate = seal_gate.fork(self.bottle)
        self.bottle.wait_ready()
        if go:
            self.bottle.go()

    def line(self, timeout: float = 60) -> Any:
        """The first JSON value that the agent prints; a text that says what came instead."""
        text = b""
        while not text.endswith(b"\n") and readable([self.bottle.stdio[1]], timeout):
            try:
                part = os.read(self.bottle.stdio[1], 65536)
            except OSError:
                break
            if not part:
                break
            text += part
        for answer in text.splitlines():  # after what a terminal may have echoed before it
            with contextlib.suppress(ValueError):
                return json.loads(answer[answer.find(b"{") :] if b"{" in answer else answer)
        raise AssertionError(f"no answer: {text!r} {self.errors()!r}")

    def errors(self) -> bytes:
        fd = self.bottle.stdio[2]
        with contextlib.suppress(OSError):
            return os.read(fd, 4096)[-600:] if readable([fd], 0.3) else b""
        return b""

    def end(self) -> None:
        self.bottle.stop()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.gate[0], 0)
        self.bottle.close()
        start.close_all((*self.bottle.stdio, self.bottle.pidfd, *self.gate[1:]))


@contextlib.contextmanager
def running(argv: tuple[str, ...], **fields: Any) -> Iterator[Run]:
    run = Run(argv, **fields)
    try:
        yield run
    finally:
        run.end()


def inside(name: str, *args: object, **fields: Any) -> Any:
    """What one attack answers from a bottle of its own."""
    with running(python(name, *args), **fields) as run:
        return run.line()


def outside(name: str, *args: object, unshare: int = 0) -> Any:
    """The same attack as a plain process of ours: that it works there shows that the attack is one."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            attack_outside(name, args, writer, unshare)
        finally:
            os._exit(1)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def attack_outside(name: str, args: tuple[object, ...], writer: int, unshare: int) -> None:
    os.dup2(writer, 1)
    if unshare:
        kernel.unshare(unshare)  # an exec would drop the new powers, so the attack is called here
        doors.loopback()
        os.write(1, json.dumps(getattr(seal_inside_net, name)()).encode())
        return
    os.execv(sys.executable, [sys.executable, "-I", str(HERE / "seal_inside.py"), name, *map(str, args)])


def opened(outcomes: dict[str, str]) -> set[str]:
    """The names that an attack found open."""
    return {name for name, outcome in outcomes.items() if outcome == "OPEN"}
