"""Attacks on our own processes through the environment that a person's shell brings along."""

import os
import socket
import time

import pytest

from bot_bottle.bottles.spawn import listed, spawn

PLANTED = {
    "PYTHONPATH": "/shared/volume",
    "PYTHONSTARTUP": "/shared/volume/addon.py",
    "LD_PRELOAD": "/shared/volume/addon.so",
    "SSLKEYLOGFILE": "/shared/volume/keys",
    "OPENSSL_CONF": "/shared/volume/openssl.cnf",
    "BOT_BOTTLE_ADDON": "/shared/volume/addon.py",
    "HTTPS_PROXY": "http://127.0.0.1:1",
}


def seen(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def environment_of(child_environment: dict[str, str]) -> set[str]:
    """Names that a real keeper process starts with, as the kernel keeps them."""
    ours, theirs = socket.socketpair()
    child = spawn("bot_bottle.keeper.main", [theirs.fileno()], child_environment, quiet=True)
    try:
        theirs.close()
        deadline = time.monotonic() + 20
        while b"bot_bottle.keeper.main" not in seen(child.pid, "cmdline"):  # until the exec
            assert time.monotonic() < deadline
        return {entry.split(b"=")[0].decode() for entry in seen(child.pid, "environ").split(b"\0") if entry}
    finally:
        ours.close()
        child.kill()
        child.reap(5)


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_b60_no_variable_picks_code_or_keys_for_our_processes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """B60: an environment variable chose a proxy addon from a volume that the agent could write."""
    monkeypatch.setenv(name, PLANTED[name])
    assert name not in listed(os.environ)


def test_b60_the_kernel_shows_only_the_listed_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    assert environment_of(listed(os.environ)) & set(PLANTED) == set()
    # the control: with the whole environment passed on, the variable is there
    assert "SSLKEYLOGFILE" in environment_of({**listed(os.environ), "SSLKEYLOGFILE": PLANTED["SSLKEYLOGFILE"]})
