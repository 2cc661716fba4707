"""Copies, snapshots, merges and writes with real files; the property: apply(copy, edits) is the edited tree."""

import os
import random
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attacks.workspace_stage import Stage, git, repository, stage
from bot_bottle.base.errors import BottleError, HostFault, OperatorFault
from bot_bottle.bottles.workspace import bare, hostgit, listing, writing
from bot_bottle.bottles.workspace.apply import apply
from bot_bottle.bottles.workspace.changes import Change, Changes, blob_name
from bot_bottle.bottles.workspace.copying import Copied, copy_file, copy_tree
from bot_bottle.bottles.workspace.keep import keep
from bot_bottle.bottles.workspace.listing import candidates
from bot_bottle.bottles.workspace.merge import merge_file
from bot_bottle.bottles.workspace.prepare import Prepared
from bot_bottle.bottles.workspace.rawdiff import NONE
from bot_bottle.bottles.workspace.reach import Limits, Tree
from bot_bottle.bottles.workspace.snapshot import Snapshot
from bot_bottle.bottles.workspace.writing import Write, write_all


@pytest.fixture
def at(tmp_path: Path) -> Stage:
    return stage(tmp_path)


SMALL = Limits(entries=1000)
Picture = dict[str, tuple[str, bytes]]


def picture(root: Path) -> Picture:
    """Every file and link: executable or not, content or target. Empty directories do not exist, as for git."""
    out: Picture = {}
    for place, _, files in os.walk(root):
        links = [n for n in os.listdir(place) if os.path.islink(os.path.join(place, n))]
        for name in {*files, *links}:
            path = os.path.join(place, name)
            relative = os.path.relpath(path, root)
            if os.path.islink(path):
                out[relative] = ("link", os.fsencode(os.readlink(path)))
            else:
                kind = "exe" if os.stat(path).st_mode & 0o100 else "file"
                out[relative] = (kind, Path(path).read_bytes())
    return out


def draw(root: Path, wanted: Picture) -> None:
    """Makes the tree be the picture."""
    for entry in os.listdir(root):
        path = root / entry
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, (kind, data) in wanted.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if kind == "link":
            (root / name).symlink_to(os.fsdecode(data))
        else:
            (root / name).write_bytes(data)
            (root / name).chmod(0o755 if kind == "exe" else 0o644)


def offline(prepared: Prepared) -> Changes:
    """The changes as `collect` gives them, without a second bottle: objects straight into the bare repository."""
    found = candidates(prepared)
    where = prepared.path("repo.git")
    if os.path.exists(where):
        shutil.rmtree(where)
    bare.make_bare(where)

    def side(root: str, marks: dict[str, object], path: str) -> tuple[str, str, bytes]:
        if path not in marks:
            return "000000", NONE, b""
        kind, data = picture_of(Path(root) / path)
        name = hostgit.run(["hash-object", "-w", "--stdin"], where, stdin=data).decode().strip()
        assert name == blob_name(data)
        return {"link": "120000", "exe": "100755", "file": "100644"}[kind], name, data

    out: list[Change] = []
    for path in found.paths():
        old_mode, old, _ = side(prepared.base, dict(found.was), path)
        new_mode, new, data = side(found.root, dict(found.now), path)
        if (old_mode, old) != (new_mode, new):
            status = "A" if old == NONE else "D" if new == NONE else "M"
            out.append(Change(path, status, old_mode, new_mode, old, new, len(data)))
    return Changes("copy", "", tuple(out), where)


def picture_of(path: Path) -> tuple[str, bytes]:
    if path.is_symlink():
        return "link", os.fsencode(os.readlink(path))
    return "exe" if path.stat().st_mode & 0o100 else "file", path.read_bytes()


NAMES = st.sampled_from(["a", "b", "c", "a/x", "a/y", "b/x/z", "b/x", "c/q", "ü", "-n"])
CONTENT = st.sampled_from(
    [b"", b"1\n2\n3\n4\n5\n", b"1\nTWO\n3\n4\n5\n", b"1\n2\n3\n4\nFIVE\n", b"\0\xff", b"no newline"]
)
ENTRY = st.one_of(
    st.tuples(st.just("file"), CONTENT), st.tuples(st.just("exe"), CONTENT),
    st.tuples(st.just("link"), st.sampled_from([b"a", b"../x", b"nowhere"])),
)  # fmt: skip


@st.composite
def pictures(draw_: st.DrawFn) -> Picture:
    """No name is both a file and a directory."""
    out: Picture = {}
    for name, entry in draw_(st.dictionaries(NAMES, ENTRY, max_size=6)).items():
        parents = {"/".join(name.split("/")[:n]) for n in range(1, name.count("/") + 1)}
        if not parents & out.keys() and not any(other.startswith(name + "/") for other in out):
            out[name] = entry
    return out


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(before=pictures(), after=pictures(), theirs=pictures())
def test_apply_of_random_edits_is_the_edited_tree(
    tmp_path_factory: pytest.TempPathFactory, before: Picture, after: Picture, theirs: Picture
) -> None:
    top = stage(tmp_path_factory.mktemp("p"))
    draw(top.source, before)
    prepared = top.prepare()
    assert picture(Path(prepared.workspace)) == before, "a copy is a copy"
    draw(Path(prepared.workspace), after)
    taken = offline(prepared)
    assert {c.path for c in taken.changes} == {
        n for n in before.keys() | after.keys() if before.get(n) != after.get(n)
    }
    draw(top.source, theirs)
    done = apply(prepared, taken, frozenset({"*"}))
    if done.conflicts:
        assert picture(top.source) == theirs, "a conflict writes nothing"
        assert all(before.get(n) != theirs.get(n) or blocked(n, theirs) for n in done.conflicts)
    else:
        now = picture(top.source)
        for name in before.keys() | after.keys() | theirs.keys():
            if before.get(name) == after.get(name):
                assert now.get(name) == theirs.get(name), "what the bottle left alone stays the person's"
            elif before.get(name) == theirs.get(name):
                assert now.get(name) == after.get(name), "what the person left alone becomes the bottle's"
    draw(top.source, before)
    assert not apply(prepared, taken, frozenset({"*"})).conflicts, "an unchanged source never conflicts"
    assert picture(top.source) == after
    assert not list(top.source.rglob(".bot-bottle-*")), "nothing of ours is left in it"


def blocked(name: str, tree: Picture) -> bool:
    """Whether a file or directory of the person's stands where the path needs the other."""
    return any(other.startswith(name + "/") or name.startswith(other + "/") for other in tree)


def test_both_sides_are_merged_line_by_line(at: Stage) -> None:
    (at.source / "f").write_bytes(b"1\n2\n3\n4\n5\n6\n7\n")
    prepared = at.prepare()
    (Path(prepared.workspace) / "f").write_bytes(b"1\nTWO\n3\n4\n5\n6\n7\n")
    (at.source / "f").write_bytes(b"1\n2\n3\n4\n5\nSIX\n7\n")
    (at.source / "f").chmod(0o640)
    done = apply(prepared, offline(prepared))
    assert (done.written, done.merged) == (("f",), ("f",))
    assert (at.source / "f").read_bytes() == b"1\nTWO\n3\n4\n5\nSIX\n7\n"
    assert stat.S_IMODE((at.source / "f").stat().st_mode) == 0o640


@pytest.mark.parametrize("theirs", [b"1\nthree\n", b"\0", None])
def test_conflicts_name_the_file_and_write_nothing(at: Stage, theirs: bytes | None) -> None:
    for name in ("f", "g"):
        (at.source / name).write_bytes(b"1\n2\n")
    prepared = at.prepare()
    for name in ("f", "g", "new"):
        (Path(prepared.workspace) / name).write_bytes(b"1\ntwo\n")
    (at.source / "f").write_bytes(theirs) if theirs else (at.source / "f").unlink()
    before = picture(at.source)
    done = apply(prepared, offline(prepared))
    assert list(done.conflicts) == ["f"] and not done.written
    assert picture(at.source) == before


def test_a_source_that_is_gone(at: Stage) -> None:
    prepared = at.prepare()
    (Path(prepared.workspace) / "f").touch()
    taken = offline(prepared)
    at.source.rmdir()
    with pytest.raises(OperatorFault, match="no directory any more"):
        apply(prepared, taken)


def test_merge_file(tmp_path: Path) -> None:
    assert merge_file(b"a\n", b"a\n", b"b\n", str(tmp_path)) == b"b\n"
    assert merge_file(b"c\n", b"a\n", b"a\n", str(tmp_path)) == b"c\n"
    assert merge_file(b"c\n", b"a\n", b"b\n", str(tmp_path)) is None
    assert merge_file(b"c\0", b"a\0", b"b\0", str(tmp_path)) is None
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", range(6))
def test_a_failure_at_any_step_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    (tmp_path / "d").mkdir()
    for name in ("a", "d/x"):
        (tmp_path / name).write_text("old")
    before = picture(tmp_path)
    with Tree(str(tmp_path)) as tree:
        writes = [
            Write("a", b"new", seen=tree.stat("a")), Write("d/x", None, seen=tree.stat("d/x")), Write("n/o/p", b"new"),
            Write("d", b"a file now"),
        ]  # fmt: skip
        real, count = os.rename, iter(range(100))

        def rename(*arguments: object, **more: object) -> None:
            if next(count) == step:
                raise OSError(28, "No space left on device")
            real(*arguments, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(writing.os, "rename", rename)
        if step < 5:
            with pytest.raises(HostFault, match="nothing is changed"):
                write_all(tree, writes)
        else:
            write_all(tree, writes)
    monkeypatch.undo()
    wanted = {"a": ("file", b"new"), "d": ("file", b"a file now"), "n/o/p": ("file", b"new")}
    assert picture(tmp_path) == (before if step < 5 else wanted)
    assert step >= 5 or not (tmp_path / "n").exists()


def test_b65_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "old").write_text("x")
    tree_path = tmp_path / "tree"
    tree_path.mkdir()
    (tree_path / "link").symlink_to("../outside")
    with Tree(str(tree_path)) as tree:
        for write in (Write("link/new", b"x"), Write("link/old", None), Write("link/deep/er", b"x")):
            with pytest.raises(OperatorFault):
                write_all(tree, [write])
    assert picture(tmp_path / "outside") == {"old": ("file", b"x")}


def test_an_edit_between_decision_and_write_stops_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with Tree(str(tmp_path)) as tree:
        seen = tree.stat("a")
        (tmp_path / "a").write_text("edited meanwhile")
        with pytest.raises(OperatorFault, match="changed while"):
            write_all(tree, [Write("b", b"x"), Write("a", b"new", seen=seen)])
    assert picture(tmp_path) == {"a": ("file", b"edited meanwhile")}


def test_a_copy_keeps_holes_modes_and_times(tmp_path: Path) -> None:
    source, target = tmp_path / "s", tmp_path / "t"
    source.mkdir()
    target.mkdir()
    with open(source / "sparse", "wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
        file.seek(10_000_000)
        file.write(b"middle")
    (source / "run").write_text("x")
    (source / "run").chmod(0o750)
    os.utime(source / "run", ns=(1, 1_234_567_890))
    with Tree(str(source)) as tree:
        done = copy_tree(tree, str(target))
    assert done.size == 50_000_004 and done.files == 2
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (target / "sparse").stat().st_blocks * 512 < 1_000_000, "holes stay holes"
    found = (target / "run").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o750, 1_234_567_890)


def test_a_copy_without_reflink_and_copy_file_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    (tmp_path / "s").write_bytes(os.urandom(3_000_000))
    monkeypatch.setattr(os, "copy_file_range", refuse)
    with open(tmp_path / "s", "rb") as file:
        copy_file(file.fileno(), str(tmp_path / "t"), Copied())
    assert (tmp_path / "t").read_bytes() == (tmp_path / "s").read_bytes()


def test_marks_see_what_mtime_hides(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    tree.mkdir()
    (tree / "same").write_text("x")
    (tree / "edited").write_text("x")
    start = Snapshot.take(str(tree), SMALL)
    start.save(str(tmp_path / "marks"))
    before = (tree / "edited").stat()
    (tree / "edited").write_text("y")
    os.utime(tree / "edited", ns=(before.st_atime_ns, before.st_mtime_ns))
    start = Snapshot.load(str(tmp_path / "marks"))
    assert list(start.changed(Snapshot.take(str(tree), SMALL))) == ["edited"]


def test_names_that_are_no_utf8_survive_the_marks(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/t/\xff\xe9")).write_text("x")
    taken = Snapshot.take(str(tmp_path / "t"), SMALL)
    taken.save(str(tmp_path / "marks"))
    again = Snapshot.load(str(tmp_path / "marks"))
    assert again.marks == taken.marks and again.digest() == taken.digest()


@pytest.fixture
def kept(at: Stage) -> Iterator[tuple[Stage, Prepared]]:
    repository(at.source, **{"a": "1\n", "b": "1\n", "c": "1\n"})
    (at.source / "a").write_text("uncommitted\n")
    (at.source / "untracked").write_text("u\n")
    yield at, at.prepare(git_user=("Agent", "agent@x"))


def test_keep_puts_uncommitted_work_of_touched_files_in_a_commit_of_its_own(kept: tuple[Stage, Prepared]) -> None:
    at, prepared = kept
    tree = Path(prepared.workspace)
    (tree / "a").write_text("uncommitted\nagent\n")
    (tree / "b").unlink()
    (tree / "d").mkdir()
    (tree / "d" / "e").write_text("new\n")
    head = git(at.source, "rev-parse", "HEAD")
    made = keep(prepared, offline(prepared), message="the work")
    log = git(at.source, "log", "--format=%an|%s", made.branch).splitlines()
    assert log == ["Agent|the work", "bot-bottle|Uncommitted work at the start of the bottle", "p|start"]
    assert git(at.source, "diff", "--name-status", f"{made.branch}~1", made.branch).split() == [
        "M",
        "a",
        "D",
        "b",
        "A",
        "d/e",
    ]
    assert git(at.source, "show", f"{made.branch}~1:a") == "uncommitted"
    assert git(at.source, "rev-parse", "HEAD", f"{made.branch}~2").split() == [head, head]
    assert git(at.source, "status", "--short").split() == ["M", "a", "??", "untracked"]
    git(at.source, "fsck", "--strict")


def test_keep_in_a_repository_without_a_commit(at: Stage) -> None:
    git(at.source, "init", "-q")
    (at.source / "a").write_text("1\n")
    prepared = at.prepare()
    (Path(prepared.workspace) / "b").write_text("2\n")
    made = keep(prepared, offline(prepared))
    assert git(at.source, "ls-tree", "--name-only", made.branch) == "b"


def test_keep_needs_a_repository(at: Stage) -> None:
    prepared = at.prepare()
    (Path(prepared.workspace) / "b").write_text("2\n")
    with pytest.raises(BottleError, match="no repository"):
        keep(prepared, offline(prepared))


def test_random_bytes_survive(at: Stage) -> None:
    generator = random.Random(7)
    for number in range(20):
        (at.source / f"f{number}").write_bytes(generator.randbytes(generator.randrange(5000)))
    prepared = at.prepare()
    for number in range(0, 20, 2):
        (Path(prepared.workspace) / f"f{number}").write_bytes(generator.randbytes(5000))
    (Path(prepared.workspace) / "big").write_bytes(generator.randbytes(9_000_000))
    apply(prepared, offline(prepared))
    assert picture(at.source) == picture(Path(prepared.workspace))


def test_d22_a_sparse_file_that_is_left_out_takes_nothing_with_it(at: Stage) -> None:
    def work(root: Path) -> None:
        for name, size in (("a.bin", listing.ALL_BYTES), ("b.bin", listing.FILE_BYTES), ("c.bin", 10)):
            (root / name).touch()
            os.truncate(root / name, size)
        for number in range(4):
            (root / f"d{number}.bin").touch()
            os.truncate(root / f"d{number}.bin", listing.FILE_BYTES)
        (root / "z.txt").write_text("work")

    prepared = at.prepare("copy")
    work(Path(prepared.workspace))
    found = candidates(prepared)
    assert found.left_out == {
        "a.bin": "larger than a gigabyte",
        "d2.bin": "all changes together are too large",
        "d3.bin": "all changes together are too large",
    }
    assert {"b.bin", "c.bin", "z.txt"} <= found.now.keys()
