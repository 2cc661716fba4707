"""A program of the host opens a socket in the bound workspace of a running bottle: it is frozen (D14)."""

import json
import socket
import time
from collections.abc import Callable

import pytest

from e2e.lifecycle.world import World

LOOP = "while :; do echo x >> ticks; sleep 0.05; done"


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.bottle
def test_d14_a_host_socket_in_a_bound_workspace_freezes_the_bottle(world: World) -> None:
    world.bottle("workspace: {mode: bind}\n")
    done = world.cli("start", "command", "--detach", "--bottle", "b", "--label", "one", "--", "sh", "-c", LOOP)
    assert done.returncode == 0, done.stderr
    ticks = world.project / "ticks"
    until(ticks.exists)

    def frozen() -> str:
        return json.loads(world.cli("info", "one", "--json").stdout)["frozen"]

    assert frozen() == "", "control: nothing there, nothing frozen"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(world.project / "late"))
        server.listen()
        until(lambda: f"opened the socket {world.project}/late" in frozen())
        size = ticks.stat().st_size
        time.sleep(0.3)
        assert ticks.stat().st_size == size, "its processes stand still"
        assert world.cli("thaw", "one").returncode == 0
        until(lambda: ticks.stat().st_size > size + 60)
        assert frozen() == "", "a person's thaw accepts it"
    world.cli("stop", "one")
    assert [record["kind"] for record in world.records()].count("freeze") == 1
