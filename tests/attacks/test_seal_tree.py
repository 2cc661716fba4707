"""What the agent sees of the host's files, and what its writes reach: sockets, links, masks, mount targets."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.seal_run import ROOT, code, inside, opened, outside, running, without
from bot_bottle.base.errors import HostFault, OperatorFault
from bot_bottle.bottles.seal import places
from bot_bottle.bottles.seal.bottle import readable
from bot_bottle.bottles.seal.spec import Bind, Overlay

pytestmark = pytest.mark.bottle


@contextlib.contextmanager
def source(top: Path) -> Iterator[tuple[Path, socket.socket]]:
    """A tree with a hard link into a store, a name to delete, a socket and a pipe that somebody reads."""
    tree = top / "ws"
    (tree / "dir").mkdir(parents=True)
    for name in ("ws/gone", "store", "ws/dir/f"):
        (top / name).write_text("precious")
    os.link(top / "store", tree / "linked")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tree / "dev.sock"))
        server.listen()
        reader = os.open(tree / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        yield tree, server
        os.close(reader)


def overlay(top: Path, tree: Path) -> Overlay:
    for name in ("up", "wk"):
        (top / "state" / name).mkdir(parents=True)
    return Overlay("/work", str(tree), str(top / "state/up"), str(top / "state/wk"))


def test_d14_s05_an_overlay_keeps_links_sockets_and_pipes_of_the_source_out_of_reach(tmp_path: Path) -> None:
    with source(tmp_path) as (tree, server):
        sealed = inside("workspace", cwd="/work", overlay=overlay(tmp_path, tree))
        assert (tmp_path / "store").read_text() == "precious"
        assert (tree / "gone").exists() and not (tree / "new").exists()
        assert sealed["unix"] != "OPEN" and sealed["fifo"] != "OPEN"
        assert readable([server.fileno()], 0) == []
        assert sorted(os.listdir(tmp_path / "state/up")) == ["gone", "linked", "new"]


def test_d14_the_same_tree_bound_plainly_is_open(tmp_path: Path) -> None:
    """The control: why a bound workspace needs masks and link checks (workspace room)."""
    with source(tmp_path) as (tree, _):
        control = inside("workspace", cwd="/work", binds=(Bind(str(tree), "/work", writable=True),))
        assert opened(control) == {"append", "unlink", "unix", "fifo"}
        assert (tmp_path / "store").read_text() == "preciousevil"


def test_d14_masks_cover_sockets_files_and_directories(tmp_path: Path) -> None:
    with source(tmp_path) as (tree, _):
        (tree / ".env").write_text("TOKEN=precious")
        masks = tuple(f"/work/{name}" for name in ("dev.sock", "fifo", ".env", "dir", "absent"))
        text = "import os, json; print(json.dumps({'env': open('.env').read(), 'dir': os.listdir('dir')}))"
        bind = Bind(str(tree), "/work", writable=True)
        assert inside("workspace", cwd="/work", binds=(bind,), masks=masks)["unix"] != "OPEN"
        (tree / "new").rmdir()
        with running(code(text), cwd="/work", binds=(bind,), masks=masks) as run:
            assert run.line() == {"env": "", "dir": []}
        assert (tree / ".env").read_text() == "TOKEN=precious"


@pytest.mark.parametrize("place", ["/run", "/tmp"])
def test_s05_b54_b55_nothing_of_the_hosts_run_and_tmp(place: str, tmp_path: Path) -> None:
    """docker.sock and the session bus are pathname sockets: no network namespace stops a connect to them."""
    del tmp_path
    directory = Path(place if os.access(place, os.W_OK) else "/tmp") / f"seal-bait-{os.getpid()}"
    directory.mkdir()
    try:
        with socket.socket(socket.AF_UNIX) as server:
            path = str(directory / "docker.sock")
            server.bind(path)
            server.listen(8)
            os.chmod(path, 0o777)
            sealed = inside("host_services", path)
            assert opened(sealed) == set()
            assert sealed["sockets found"] == "none"
            assert outside("host_services", path)[path] == "OPEN"
            shown = Bind(str(directory), "/mnt/run", mapped=False)
            assert inside("host_services", "/mnt/run/docker.sock", binds=(shown,))["/mnt/run/docker.sock"] == "OPEN"
    finally:
        (directory / "docker.sock").unlink()
        directory.rmdir()


def test_s05_b59_the_agent_sees_neither_host_files_nor_control_sockets(tmp_path: Path) -> None:
    sealed = inside("looks", str(tmp_path), str(Path.home() / ".bot-bottle"))
    assert sealed["pids"] <= 3
    assert sealed["visible"] == []
    assert sealed["run"] == ["bot-bottle"]
    assert sealed["home"] == ["/home/agent"]
    assert sealed["interfaces"] == ["no /sys"]
    assert sealed["resolv"].startswith("nameserver 127.0.0.1\n")
    assert set(sealed["root"]) <= {"bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "run"} | {
        "sbin", "tmp", "usr"
    }  # fmt: skip
    assert str(tmp_path) in outside("looks", str(tmp_path))["visible"]


@pytest.mark.parametrize(
    "target",
    ["/", "/etc", "/etc/resolv.conf", "/etc/hosts", "/etc/passwd/x", "/proc/1", "/dev", "/run/bot-bottle/init", "/run",
     "/usr", "/home", "/work/../etc", "work", "/etc/ssl", "/etc/gitconfig", "/run/bot-bottle"],
)  # fmt: skip
def test_b61_a_mount_cannot_shadow_a_part_of_the_seal(target: str) -> None:
    with pytest.raises(OperatorFault, match="Nothing can be mounted"):
        places.check(target)


def test_b61_ordinary_targets_are_fine(tmp_path: Path) -> None:
    for target in ("/work", str(tmp_path), "/home/agent/.cache", "/opt/tools", "/etc/claude-code/settings.json"):
        places.check(target)


def test_b61_a_bind_over_the_resolver_would_work_without_the_check(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 8.8.8.8\n")
    bind = Bind(str(tmp_path), "/etc")
    assert inside("looks", binds=(bind,))["resolv"] == "nameserver 8.8.8.8\n"


def no_map(tree: int, table: int) -> None:
    raise OSError(errno.EINVAL, "Invalid argument")


def no_power(path: str) -> int:
    raise OSError(errno.EPERM, f"open_tree {path}: Operation not permitted")


WITHOUT = {
    "a file system without idmapped mounts": {"map_owner": no_map},
    "no CAP_SYS_ADMIN": {"clone_tree": no_power},
}


@pytest.mark.parametrize("way", ["idmapped", *WITHOUT])
def test_s03_files_of_a_mapped_tree_belong_to_the_agent_inside_and_to_the_owner_outside(
    way: str, tmp_path: Path
) -> None:
    (tmp_path / "old").write_text("x")
    text = (
        "import os, json; os.mkdir('new'); open('old', 'a').write('y'); print(os.stat('old').st_uid == os.getuid())"
    )
    bind = Bind(str(tmp_path), "/work", writable=True, ours=way in WITHOUT)
    argv = code(text.replace("print(", "print(json.dumps(") + ")")

    with without(**WITHOUT.get(way, {})), running(argv, cwd="/work", binds=(bind,)) as run:
        assert run.line() is True
    assert (tmp_path / "old").read_text() == "xy"
    owner = (tmp_path / "new").stat().st_uid
    assert owner == os.getuid() or (ROOT and way in WITHOUT and owner >= 0x70000000)


@pytest.mark.parametrize("way", WITHOUT)
@pytest.mark.parametrize("kind", ["writable", "lower layer", "closed to others"])
def test_s03_a_persons_tree_that_cannot_be_mapped_is_refused_not_given_away(
    kind: str, way: str, tmp_path: Path
) -> None:
    tree, cow = tmp_path / "tree", tmp_path / "cow"
    tree.mkdir(0o700 if kind == "closed to others" else 0o755)
    for name in ("", "upper", "work"):
        (cow / name).mkdir()
    if kind == "lower layer":
        shown = {"overlay": Overlay("/work", str(tree), str(cow / "upper"), str(cow / "work"))}
    else:
        shown = {"binds": (Bind(str(tree), "/work", writable=kind == "writable"),)}
    with without(**WITHOUT[way]):
        if ROOT:
            with pytest.raises(HostFault, match=r"The agent cannot (read|write)"):
                inside("status", **shown)
        else:  # an ordinary user is the owner; there is nothing to map
            assert inside("status", **shown)["uid"] == os.getuid()
    assert tree.stat().st_uid == os.getuid()
