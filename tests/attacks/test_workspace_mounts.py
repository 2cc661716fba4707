"""Mounts of a bottle file (D14, B54, B65): no socket of the host answers in one, and no bottle chooses what the next one sees."""

import socket
from pathlib import Path

import pytest

from attacks.workspace_stage import Stage, plan, stage
from bot_bottle.base.errors import OperatorFault
from bot_bottle.bottles.plan import Mount
from bot_bottle.bottles.seal.interpreter import interpreter
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.workspace import facts, prepare

CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.fixture
def at(tmp_path: Path) -> Stage:
    return stage(tmp_path)


def reached(path: str, mounts: tuple[Mount, ...]) -> bool:
    """Whether a bottle can connect to the socket at this path of its own."""
    ours = interpreter()
    binds = tuple(Mount(bind.source, bind.target) for bind in ours.binds)
    script = f'exec env {ours.run} -c "$1" "$2"'
    return run_sealed(("/bin/sh", "-c", script, "sh", CONNECT, path), (*mounts, *binds)).status == 0


@pytest.mark.bottle
def test_d14_b54_sockets_of_the_host_are_masked_in_mounts(at: Stage) -> None:
    shared = at.top / "shared"
    (shared / "a" / "b" / "c" / "d").mkdir(parents=True)
    mount = Mount(str(shared), "/mnt/x", "ro")
    empty = at.top / "empty"
    empty.touch()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(shared / "a/b/c/d/s"))
        server.listen()
        (shared / "a/b/c/d/s").chmod(0o777)
        inside = "/mnt/x/a/b/c/d/s"
        assert reached(inside, (mount,)), "control: a read-only mount does not stop a connection"
        prepared = prepare.prepare(plan(at.look().workspace(), mounts=(mount,)), str(at.state))
        assert inside in prepared.masks
        assert not reached(inside, (mount, *(Mount(str(empty), path) for path in prepared.masks)))


@pytest.mark.parametrize("part", ["data/in", "data"])
def test_b65_a_bottle_cannot_choose_what_the_next_one_mounts(at: Stage, part: str) -> None:
    private = at.top / "private"
    (private / "in").mkdir(parents=True)
    (at.source / "data" / "in").mkdir(parents=True)
    mounts = (Mount(str(at.source / "data/in"), "/mnt/in", "ro"),)
    facts.check_steady(mounts, str(at.source))
    (at.source / part).rename(at.top / "away")  # what an agent does in a bound workspace
    (at.source / part).symlink_to(private)
    wanted = plan(at.look().workspace("bind"), mounts=mounts)
    with pytest.raises(OperatorFault, match="symbolic link"):
        prepare.prepare(wanted, str(at.state))
    writable = (Mount(str(at.source), "/mnt/rw", "rw"), *mounts)
    with pytest.raises(OperatorFault, match="symbolic link"):
        facts.check_steady(writable, "")


def test_b65_links_above_what_a_bottle_writes_are_the_persons(at: Stage) -> None:
    (at.source / "data").mkdir()
    link = at.top / "link"
    link.symlink_to(at.source)
    facts.check_steady((Mount(str(link / "data"), "/mnt/in", "ro"),), str(link))
    facts.check_steady((Mount(str(link / "data"), "/mnt/in", "ro"),), "")
