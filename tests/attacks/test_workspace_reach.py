"""Attacks on whoever reads, writes or removes a tree that a bottle wrote (D22)."""

import contextlib
import os
import shutil
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from attacks.workspace_stage import ROOT, Stage, as_user, repository, stage
from bot_bottle.base.errors import AgentFault, OperatorFault
from bot_bottle.bottles.workspace import reach
from bot_bottle.bottles.workspace.copying import copy_tree
from bot_bottle.bottles.workspace.discard import discard
from bot_bottle.bottles.workspace.reach import Limits, Tree, open_beneath
from bot_bottle.bottles.workspace.removal import remove

SECRET = b"outside"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with links of every kind to a secret beside it."""
    (tmp_path / "outside").write_bytes(SECRET)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(SECRET)
    made = tmp_path / "tree"
    (made / "dir").mkdir(parents=True)
    (made / "dir" / "file").write_bytes(b"inside")
    (made / "link").symlink_to(tmp_path / "outside")
    (made / "relative").symlink_to("../outside")
    (made / "linked").symlink_to(tmp_path / "elsewhere")
    (made / "magic").symlink_to("/proc/self/root/etc/passwd")
    (made / "self").symlink_to("dir/file")
    return made


@pytest.fixture(params=["openat2", "by component"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the system call, and as on a kernel or in a container without it."""
    if request.param == "by component":
        monkeypatch.setattr(reach, "_has_openat2", lambda: False)
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "path", ["link", "relative", "linked/file", "magic", "self", "../outside", "dir/../../outside"]
)
def test_d22_b65_reading_follows_no_link(tree: Path, path: str) -> None:
    assert (tree / path).read_bytes(), "control: a plain open goes there"
    with Tree(str(tree)) as opened:
        with pytest.raises((OSError, AgentFault)):
            opened.read(path, 100)
        assert opened.read("dir/file", 100) == b"inside"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("path", ["/etc/passwd", "", ".", "a/./b", "a//b", "a/", "a\0b"])
def test_d22_only_plain_relative_paths_are_opened(tree: Path, path: str) -> None:
    with Tree(str(tree)) as opened, pytest.raises(AgentFault):
        open_beneath(opened.fd, path, os.O_RDONLY)


@pytest.mark.usefixtures("way")
def test_d22_a_swapped_directory_never_leads_out(tree: Path) -> None:
    """A program of the bottle swaps a directory for a link while the host reads: 0 of all reads come from outside."""
    stop = threading.Event()
    (tree / "swap").symlink_to(tree.parent / "elsewhere")

    def swap() -> None:
        while not stop.is_set():
            os.rename(tree / "dir", tree / "hold")
            os.rename(tree / "swap", tree / "dir")
            os.rename(tree / "dir", tree / "swap")
            os.rename(tree / "hold", tree / "dir")

    thread = threading.Thread(target=swap)
    thread.start()
    careful, careless = set[bytes](), set[bytes]()
    until = time.monotonic() + 20
    try:
        with Tree(str(tree)) as opened:
            for _ in range(1500):
                with contextlib.suppress(OSError):
                    careful.add(opened.read("dir/file", 100))
            while SECRET not in careless and time.monotonic() < until:
                with contextlib.suppress(OSError):
                    careless.add((tree / "dir" / "file").read_bytes())
    finally:
        stop.set()
        thread.join()
    assert SECRET not in careful
    assert SECRET in careless, "control: a plain open is led out"


def test_d22_fifos_sockets_and_devices_do_not_hang(tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    if ROOT:
        os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(tree / "tty", stat.S_IFCHR | 0o666, os.makedev(5, 0))
    with socket.socket(socket.AF_UNIX) as server, Tree(str(tree)) as opened:
        server.bind(str(tree / "sock"))
        names = [e.path for e in opened.walk() if e.kind in ("fifo", "socket", "device")]
        assert {"fifo", "sock"} <= set(names)
        began = time.monotonic()
        for name in names:
            with pytest.raises((AgentFault, OSError)):
                opened.read(name, 10)
        assert time.monotonic() - began < 5
    hung = threading.Thread(target=lambda: (tree / "fifo").read_bytes(), daemon=True)
    hung.start()
    hung.join(0.2)
    assert hung.is_alive(), "control: a plain open waits for a writer"
    os.close(os.open(tree / "fifo", os.O_WRONLY | os.O_NONBLOCK))
    hung.join()


def test_d22_walks_are_bounded(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"f{number}").touch()
    (tmp_path / "f0").write_bytes(bytes(2000))
    deep = tmp_path / "d" / "d" / "d" / "d"
    deep.mkdir(parents=True)
    with Tree(str(tmp_path)) as tree:
        assert len(list(tree.walk())) == 54, "control"
        for limits in (Limits(entries=20), Limits(depth=2)):
            with pytest.raises(AgentFault):
                list(tree.walk(limits))
        with pytest.raises(AgentFault):
            tree.read("f0", 1999)


def test_d22_a_slow_walk_ends(tmp_path: Path) -> None:
    for number in range(1100):
        (tmp_path / f"f{number}").touch()
    with Tree(str(tmp_path)) as tree, pytest.raises(AgentFault, match="longer"):
        list(tree.walk(Limits(seconds=-1)))


def test_d22_removal_follows_no_link(tree: Path) -> None:
    (tree / "dir" / "up").symlink_to("../..")
    remove(str(tree))
    assert not tree.exists()
    assert (tree.parent / "outside").read_bytes() == SECRET
    assert os.listdir(tree.parent / "elsewhere") == ["file"]


def test_d22_removing_a_link_removes_the_link(tree: Path) -> None:
    remove(str(tree / "linked"))
    assert not os.path.lexists(tree / "linked") and os.listdir(tree.parent / "elsewhere") == ["file"]


@pytest.mark.parametrize("act", ["remove", "walk"])
def test_d22_a_link_swapped_in_after_the_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    """The worst moment, made certain: the directory becomes a link between lstat and open."""
    keep, tree = tmp_path / "keep", tmp_path / "tree"
    keep.mkdir()
    (keep / "f").touch()
    (tree / "d").mkdir(parents=True)
    real = os.stat

    def then_swap(path: object, **more: object) -> os.stat_result:
        found = real(path, **more)  # type: ignore[arg-type]
        if path == "d" and not os.path.islink(tree / "d"):
            os.rename(tree / "d", tree / "e")
            os.symlink(keep, tree / "d")
        return found

    monkeypatch.setattr(reach.os, "stat", then_swap)
    seen: list[str] = []
    with contextlib.suppress(OSError):
        if act == "remove":
            remove(str(tree))
        else:
            with Tree(str(tree)) as opened:
                seen += [entry.path for entry in opened.walk()]
    monkeypatch.undo()
    assert os.path.islink(tree / "d"), "control: the swap took place"
    assert os.listdir(keep) == ["f"] and "d/f" not in seen


def deep(top: Path, levels: int) -> None:
    """A tree deeper than any path can name, as `mkdir x; cd x` in a loop makes it."""
    fd = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_d22_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    deep(top, 3000)
    with Tree(str(top)) as tree, pytest.raises(AgentFault, match="deeper"):
        list(tree.walk())
    with pytest.raises((RecursionError, OSError)):
        shutil.rmtree(top)  # control: the standard way fails on it
    remove(str(top))
    assert os.listdir(tmp_path) == []


def test_d22_directories_without_permissions_are_removed(tmp_path: Path) -> None:
    if ROOT:
        os.chown(tmp_path, 65534, 65534)
        for parent in tmp_path.parents:
            if parent != Path("/tmp"):
                with contextlib.suppress(OSError):
                    os.chmod(parent, os.stat(parent).st_mode | 0o011)
    with as_user():
        work = tmp_path / "work" / "work"
        (work / "in" / "deeper").mkdir(parents=True)
        (work / "in" / "file").touch()
        os.chmod(work / "in" / "deeper", 0)
        os.chmod(work / "in", 0o500)
        os.chmod(work, 0)
        with pytest.raises(PermissionError):
            shutil.rmtree(work)  # control
        with Tree(str(tmp_path)) as tree:
            closed: list[str] = []
            assert len(list(tree.walk(closed=closed))) == 2 and closed == ["work/work"], "a source is not opened up"
        with Tree(str(tmp_path), ours=True) as tree:
            assert len(list(tree.walk())) == 5, "in a tree of ours a walk sees what is in them"
        os.chmod(work, 0)
        remove(str(tmp_path / "work"))
        assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not ROOT, reason="only root meets other owners without being stopped by them")
def test_d22_files_of_other_users_are_removed_by_root(tmp_path: Path) -> None:
    (tmp_path / "t" / "d").mkdir(parents=True)
    (tmp_path / "t" / "d" / "f").touch()
    os.mknod(tmp_path / "t" / "whiteout", stat.S_IFCHR, os.makedev(0, 0))
    for path in (tmp_path / "t" / "d" / "f", tmp_path / "t" / "d"):
        os.chown(path, 0x70000001, 0x70000001)
    os.chmod(tmp_path / "t" / "d", 0)
    remove(str(tmp_path / "t"))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not ROOT, reason="an ordinary user has no second one")
def test_d22_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    from bot_bottle.base.errors import HostFault

    (tmp_path / "t" / "d").mkdir(parents=True)
    (tmp_path / "t" / "d" / "f").touch()
    for parent in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(OSError):
            os.chmod(parent, os.stat(parent).st_mode | 0o055)
    with as_user(), pytest.raises(HostFault, match="Could not remove"):
        remove(str(tmp_path / "t"))


def test_d22_a_source_that_changes_while_it_is_copied(tmp_path: Path) -> None:
    """A file becomes a FIFO or a link between the look and the open: it is left out, nothing hangs or leaks."""
    source, target = tmp_path / "s", tmp_path / "t"
    source.mkdir()
    target.mkdir()
    (tmp_path / "outside").write_bytes(SECRET)
    for name in ("fifo", "link", "plain"):
        (source / name).write_text("x")
    with Tree(str(source)) as tree:

        def swap(entry: reach.Entry) -> bool:
            if entry.path in ("fifo", "link"):
                os.unlink(source / entry.path)
                os.mkfifo(source / "fifo") if entry.path == "fifo" else (source / "link").symlink_to("../outside")
            return False

        done = copy_tree(tree, str(target), skip=swap)
    assert done.left_out == {"fifo": "changed meanwhile", "link": "changed meanwhile"}
    assert os.listdir(target) == ["plain"]


def test_d22_discard_is_safe_and_can_be_repeated(tmp_path: Path) -> None:
    at: Stage = stage(tmp_path)
    repository(at.source)
    prepared = at.prepare()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").touch()
    work = Path(prepared.workspace)
    (work / "l").symlink_to(outside)
    os.mkfifo(work / "fifo")
    (work / "d").mkdir(mode=0)
    (at.state / "changes").symlink_to(outside)
    discard(str(at.state))
    discard(str(at.state))
    assert os.listdir(outside) == ["f"] and os.listdir(at.state) == []
    with pytest.raises(OperatorFault):
        from bot_bottle.bottles.workspace.prepare import load

        load(str(at.state))
