"""Attacks on the host by what a bottle leaves: the diff, the import, apply and keep (D05, D13, F19-F25)."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attacks.workspace_stage import Stage, git, repository, shell, stage
from bot_bottle.base.errors import AgentFault, BottleError, OperatorFault
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.workspace import bare, choice, hostgit, review
from bot_bottle.bottles.workspace.apply import apply
from bot_bottle.bottles.workspace.keep import check_branch, keep

pytestmark = pytest.mark.bottle
ALL = frozenset({"*"})


@pytest.fixture
def at(tmp_path: Path) -> Stage:
    made = stage(tmp_path)
    repository(made.source, **{"a.txt": "one\ntwo\nthree\n", "sub/b.txt": "b\n", ".gitignore": "build/\n"})
    return made


def traps(tree: Path, mark: Path) -> None:
    """Everything by which git on this tree would run something."""
    shell(
        tree,
        f"""
        git config core.fsmonitor 'touch {mark}; false'
        git config core.hooksPath .git/hooks
        git config filter.x.clean 'touch {mark}; cat'
        git config filter.x.smudge 'touch {mark}; cat'
        git config diff.x.textconv 'touch {mark}; cat'
        git config diff.external 'touch {mark}; true'
        git config merge.x.driver 'touch {mark}; true'
        git config core.pager 'touch {mark}; cat'
        for h in post-index-change pre-commit post-checkout reference-transaction post-commit; do
            mkdir -p .git/hooks; printf '#!/bin/sh\\ntouch {mark}\\n' > .git/hooks/$h; chmod +x .git/hooks/$h
        done
        mkdir nested; cp -r .git nested/.git; echo n > nested/n.txt
        printf '* filter=x diff=x merge=x text=auto eol=crlf working-tree-encoding=UTF-16\\n' > .gitattributes
        printf 'one\\nTWO\\nthree\\n' > a.txt
        """,
    )


def test_d05_f19_f20_f21_nothing_of_the_tree_runs_on_the_host(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = at.top / "mark"
    prepared = at.prepare()
    tree = Path(prepared.workspace)
    traps(tree, mark)
    mark.unlink(missing_ok=True)
    calls: list[tuple[str, str]] = []
    real = subprocess.run

    def spy(arguments: list[str], **more: Any) -> Any:
        calls.append(
            (str(more.get("cwd")), " ".join([*arguments, *(f"{k}={v}" for k, v in more.get("env", {}).items())]))
        )
        return real(arguments, **more)

    monkeypatch.setattr(hostgit.subprocess, "run", spy)
    taken = at.collect(prepared)
    monkeypatch.undo()
    assert calls and all(cwd == "/" and str(tree) not in said for cwd, said in calls)
    assert {c.path for c in taken.changes} == {".gitattributes", "a.txt", "nested/n.txt"}
    kept = keep(prepared, taken, accept=ALL)
    apply(prepared, taken, ALL)
    assert not mark.exists()
    assert (at.source / "a.txt").read_text() == "one\nTWO\nthree\n", "no filter, line end or encoding touched a byte"
    assert git(at.source, "show", f"{kept.branch}:a.txt") == "one\nTWO\nthree"
    git(tree, "status", check=False)
    assert mark.exists(), "control: one careless git on the tree runs the trap"


def test_d05_the_global_filters_of_the_person_do_not_run(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    mark, person = at.top / "mark", at.top / "person"
    person.mkdir()
    (person / ".gitconfig").write_text(
        f'[filter "lfs"]\n\tclean = "touch {mark}; cat"\n\tsmudge = "touch {mark}; cat"\n'
    )
    monkeypatch.setenv("HOME", str(person))
    monkeypatch.setenv("GIT_DIR", str(at.source / ".git"))

    def work(tree: Path) -> None:
        (tree / ".gitattributes").write_text("* filter=lfs\n")
        (tree / "big").write_text("x")

    prepared, taken = at.worked(work)
    keep(prepared, taken, accept=ALL)
    apply(prepared, taken, ALL)
    assert not mark.exists()
    monkeypatch.delenv("GIT_DIR")
    subprocess.run(
        ["git", "add", "-A"], cwd=at.source, env={"PATH": "/usr/bin:/bin", "HOME": str(person)}, check=True
    )
    assert mark.exists(), "control: the person's own git runs it"


@pytest.mark.parametrize("link", ["gitfile", "alternates", "commondir"])
def test_d05_no_other_repository_is_imported(at: Stage, link: str) -> None:
    private = repository(at.top / "private", **{"secret.txt": "not for anybody\n"})
    blob = git(private, "rev-parse", "HEAD:secret.txt")

    def work(tree: Path) -> None:
        if link == "gitfile":
            shutil.rmtree(tree / ".git")
            (tree / ".git").write_text(f"gitdir: {private}/.git\n")
        elif link == "alternates":
            (tree / ".git/objects/info").mkdir(exist_ok=True)
            (tree / ".git/objects/info/alternates").write_text(f"{private}/.git/objects\n")
        else:
            (tree / ".git/commondir").write_text(f"{private}/.git\n")
        assert "anybody" in git(tree, "cat-file", "blob", blob), (
            "control: git on the tree finds the other one's objects"
        )
        (tree / "a.txt").write_text("changed\n")

    prepared, taken = at.worked(work)
    assert [c.path for c in taken.changes] == ["a.txt"]
    kept = keep(prepared, taken)
    for where in (taken.repository, str(at.source)):
        assert blob not in git(where, "cat-file", "--batch-all-objects", "--batch-check")
    assert git(at.source, "show", f"{kept.branch}:a.txt") == "changed"


def forged(change: Callable[[Path], str]) -> Callable[..., Any]:
    """A second bottle that lies: after the true run `change` alters its output directory and may name other trees."""

    def run(argv: Any, mounts: Any = (), *more: Any, **options: Any) -> Any:
        done = run_sealed(argv, mounts, *more, **options)
        out = [m.source for m in mounts if m.target == "/out"]
        if not out:
            return done
        said = change(Path(out[0]))
        return type(done)(0, said.encode() or done.stdout, b"")

    return run


def pack(out: Path, *objects: str) -> None:
    listed = "\n".join(objects) + "\n"
    where = out / "repo.git"
    done = subprocess.run(
        ["git", "--git-dir", where, "pack-objects", "--stdout", "-q"],
        input=listed.encode(),
        capture_output=True,
        check=True,
    )
    (out / "pack").write_bytes(done.stdout)


def mktree(out: Path, *entries: str) -> str:
    where = out / "repo.git"
    done = subprocess.run(
        ["git", "--git-dir", where, "mktree", "--missing", "-z"],
        input="".join(e + "\0" for e in entries).encode(), capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


def put(out: Path, data: bytes, kind: str = "blob") -> str:
    where = out / "repo.git"
    command = ["git", "--git-dir", where, "hash-object", "-w", "--stdin", "-t", kind, "--literally"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode().strip()


EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def one_file(name: str, mode: str = "100644", data: bytes = b"x") -> Callable[[Path], str]:
    def change(out: Path) -> str:
        blob = put(out, data)
        tree = put(out, f"{mode} {name}\0".encode() + bytes.fromhex(blob), "tree")
        put(out, b"", "tree")
        pack(out, blob, tree, EMPTY)
        return f"{EMPTY} {tree}\n"

    return change


def missing(out: Path) -> str:
    tree = mktree(out, f"100644 blob {'1' * 40}\tx")
    put(out, b"", "tree")
    pack(out, tree, EMPTY)
    return f"{EMPTY} {tree}\n"


def borrowed(source: Path) -> Callable[[Path], str]:
    """Names an object that is in the person's repository but not in the pack."""

    def change(out: Path) -> str:
        tree = mktree(out, f"100644 blob {git(source, 'rev-parse', 'HEAD:a.txt')}\tx")
        put(out, b"", "tree")
        pack(out, tree, EMPTY)
        return f"{EMPTY} {tree}\n"

    return change


def garbage(out: Path) -> str:
    (out / "pack").write_bytes(b"PACK" + bytes(40))
    return ""


def link_pack(out: Path) -> str:
    (out / "pack").unlink()
    (out / "pack").symlink_to("/etc/passwd")
    return ""


def no_trees(_: Path) -> str:
    return "--upload-pack=touch /tmp/x\n"


@pytest.mark.parametrize(
    "change",
    [
        one_file(".git"), one_file(".GIT"), one_file("git~1"), one_file("..")
        , one_file("a/b"), one_file(".gitmodules", data=b'[submodule "a"]\n\tpath = -x\n\turl = --upload-pack=x\n'),
        missing, garbage, link_pack, no_trees,
    ],
    ids=[".git", ".GIT", "git~1", "dotdot", "slash", "gitmodules", "missing", "garbage", "link", "option"],
)  # fmt: skip
def test_d05_f22_f24_a_lying_second_bottle_is_refused(at: Stage, change: Callable[[Path], str]) -> None:
    prepared = at.prepare()
    (Path(prepared.workspace) / "a.txt").write_text("changed\n")
    with pytest.raises(BottleError):
        at.collect(prepared, forged(change))
    assert at.collect(prepared, forged(lambda _: "")).changes, "control: the true output is taken"


def test_d05_control_without_the_checks_hostile_objects_come_in(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    real = hostgit.feed

    def lax(arguments: list[str], *more: Any) -> None:
        if arguments[0] == "index-pack":
            real(["index-pack", "--stdin"], *more)

    def unchecked() -> tuple[str, ...]:
        return tuple(setting for setting in hostgit.NEUTRAL if "fsck" not in setting.lower())

    monkeypatch.setattr(hostgit, "NEUTRAL", unchecked())
    monkeypatch.setattr(hostgit, "feed", lax)
    prepared = at.prepare()
    (Path(prepared.workspace) / "a.txt").write_text("changed\n")
    hostile = one_file(".gitmodules", data=b'[submodule "a"]\n\tpath = -x\n\turl = --upload-pack=x\n')
    assert at.collect(prepared, forged(hostile)).changes[0].path == ".gitmodules"


def test_d05_only_objects_of_the_pack_count(at: Stage) -> None:
    prepared = at.prepare()
    (Path(prepared.workspace) / "a.txt").write_text("changed\n")
    with pytest.raises(AgentFault):
        at.collect(prepared, forged(borrowed(at.source)))


def test_d05_a_forged_start_is_found(at: Stage) -> None:
    """The bottle claims that the source was what it is now: apply would overwrite the person's edit."""
    prepared = at.prepare()
    (Path(prepared.workspace) / "a.txt").write_text("the agent's\n")
    (at.source / "a.txt").write_text("the person's\n")

    def change(out: Path) -> str:
        blobs = put(out, b"the person's\n"), put(out, b"the agent's\n")
        trees = [mktree(out, f"100644 blob {blob}\ta.txt") for blob in blobs]
        pack(out, *blobs, *trees)
        return " ".join(trees) + "\n"

    with pytest.raises(AgentFault, match="misreported"):
        at.collect(prepared, forged(change))
    taken = at.collect(prepared)
    assert apply(prepared, taken).conflicts and (at.source / "a.txt").read_text() == "the person's\n"


def test_d05_hostile_names_do_not_stop_the_rest(at: Stage) -> None:
    def work(tree: Path) -> None:
        for name in (
            b".GIT",
            b"git~1",
            b"latin\xe9",
            b"new\nline",
            b"sub/.git\xe2\x80\x8c",
            b"tab\t",
            b"back\\slash",
        ):
            (Path(os.fsdecode(os.fsencode(tree) + b"/" + name))).write_text("x")
        (tree / "sub" / ".git").write_text("gitdir: /elsewhere\n")
        (tree / ":(glob)magic").write_text("x")
        (tree / "-rf").write_text("x")
        (tree / "good").write_text("x")

    _, taken = at.worked(work)
    assert {c.path for c in taken.changes} == {":(glob)magic", "-rf", "good"}
    assert len(taken.left_out) == 8


def test_b47_d03_the_second_bottle_gets_nothing_of_the_environment(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary-value")
    seen: list[Any] = []

    def run(argv: Any, mounts: Any = (), stdin: bytes = b"", timeout: float = 60, **options: Any) -> Any:
        seen.append((argv, stdin, options["env"]))
        more = run_sealed(("/bin/sh", "-c", "env; cat /proc/1/environ"), mounts, env=options["env"])
        assert b"canary" not in more.stdout
        return run_sealed(argv, mounts, stdin, timeout, **options)

    real, environments = subprocess.run, list[Any]()

    def spy(arguments: list[str], **more: Any) -> Any:
        environments.append(more["env"])
        return real(arguments, **more)

    monkeypatch.setattr(hostgit.subprocess, "run", spy)
    prepared = at.prepare()
    (Path(prepared.workspace) / "new").write_text("x")
    assert at.collect(prepared, run).changes
    monkeypatch.setattr(hostgit.subprocess, "run", real)
    assert len(seen) == 2 and "canary-value" not in repr(seen)
    assert len(environments) > 5 and "canary-value" not in repr(environments)
    for environment in environments:  # F20: each of these alone keeps the person's configuration out
        assert environment["GIT_CONFIG_NOSYSTEM"] == "1" and environment["GIT_CONFIG_GLOBAL"] == "/dev/null"
        assert not os.path.exists(environment["HOME"])
    assert b"canary" in subprocess.run(["env"], capture_output=True, check=True).stdout, "control"


# D13


TRUSTED = [
    ".husky/pre-commit", ".vscode/tasks.json", "pkg/.vscode/settings.json", ".claude/settings.json", ".mcp.json",
    ".pre-commit-config.yaml", ".envrc", ".github/workflows/ci.yml", ".gitlab-ci.yml", "Jenkinsfile",
    ".bot-bottle/agents/x.md", ".gitattributes", ".gitmodules", ".lfsconfig", "package.json", ".idea/runConfigurations/x.xml",
    ".devcontainer/devcontainer.json", "AGENTS.md", "CLAUDE.md", ".npmrc", "mise.toml", ".cargo/config.toml", "x.pth",
    ".opencode/plugins/x.js", ".githooks/pre-push", ".ENVRC", ".Claude/Settings.json", ".ci/run",
]  # fmt: skip


def test_d13_f23_trusted_files_need_a_look_and_stop_a_headless_run(at: Stage) -> None:
    def work(tree: Path) -> None:
        for name in (*TRUSTED, "plain.py", "sub/c.txt"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text("echo pwned\n")

    prepared, taken = at.worked(work)
    looked = review.review(taken)
    assert {c.path for c in looked.concerns if c.kind == "trusted"} == set(TRUSTED)
    assert looked.plain == ("plain.py", "sub/c.txt"), "control: the others pass"
    for wish in ("apply", "keep"):
        done = choice.conclude(prepared, taken, wish, lambda _: True, lambda _: None)
        assert done.done == "waiting" and "need a look" in done.notes[0] and os.path.exists(done.patch)
    assert git(at.source, "status", "--short") == "" and git(at.source, "branch") == "* main"
    said: list[str] = []
    choice.conclude(prepared, taken, "keep", lambda _: False, said.append)
    assert any(".husky/pre-commit (trusted): husky runs it" in line for line in said)
    with pytest.raises(OperatorFault):
        apply(prepared, taken, frozenset(TRUSTED[1:]))
    done = apply(prepared, taken, skip=True)
    assert sorted(done.written) == ["plain.py", "sub/c.txt"] and len(done.skipped) == len(TRUSTED)
    assert len(apply(prepared, taken, frozenset(TRUSTED)).written) == len(TRUSTED), "control: a person may take them"


def test_d13_modes_links_and_sizes_need_a_look(at: Stage) -> None:
    def work(tree: Path) -> None:
        (tree / "tool").write_text("x")
        (tree / "tool").chmod(0o755)
        (tree / "a.txt").chmod(0o755)
        (tree / "huge").write_bytes(os.urandom(1000) * 21_000)
        for name, target in {
            "out": "../../x", "abs": "/etc/passwd", "git": ".git/hooks", "sub/up": "../../x", "inside": "sub/b.txt",
        }.items():  # fmt: skip
            (tree / name).symlink_to(target)
        (tree / ".env.new").write_text("x")

    prepared, taken = at.worked(work)
    found = {(c.path, c.kind) for c in review.review(taken).concerns}
    assert found == {
        ("tool", "executable"), ("a.txt", "executable"), ("huge", "large"), ("out", "link"), ("abs", "link"),
        ("git", "link"), ("sub/up", "link"), (".env.new", "hidden"), (".env.new", "trusted"),
    }  # fmt: skip
    assert review.review(taken).plain == ("inside",)
    with pytest.raises(OperatorFault):
        keep(prepared, taken)
    apply(prepared, taken, ALL)
    assert os.readlink(at.source / "out") == "../../x" and os.access(at.source / "tool", os.X_OK)
    assert (at.source / "huge").stat().st_size == 21_000_000


def test_d13_f22_a_submodule_in_the_pack_needs_a_look(at: Stage) -> None:
    def change(out: Path) -> str:
        tree = mktree(out, f"160000 commit {'2' * 40}\tmodule")
        put(out, b"", "tree")
        pack(out, tree, EMPTY)
        return f"{EMPTY} {tree}\n"

    prepared = at.prepare()
    (Path(prepared.workspace) / "a.txt").write_text("changed\n")
    taken = at.collect(prepared, forged(change))
    assert [c.kind for c in review.review(taken).concerns] == ["submodule"]
    with pytest.raises(OperatorFault):
        apply(prepared, taken)


def test_d13_a_checked_patch_is_applied_not_the_tree(at: Stage) -> None:
    """What the tree says after the changes were taken does not matter."""
    prepared, taken = at.worked(lambda tree: (tree / "new").write_text("looked at"))
    (Path(prepared.workspace) / "new").write_text("swapped")
    (Path(prepared.workspace) / "other").write_text("swapped")
    apply(prepared, taken)
    assert (at.source / "new").read_text() == "looked at" and not (at.source / "other").exists()


# B65, D22 on the person's side


def test_b65_d22_apply_does_not_write_through_links_of_the_source(at: Stage) -> None:
    outside = at.top / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("b\n")

    def work(tree: Path) -> None:
        (tree / "sub/b.txt").write_text("changed\n")
        (tree / "sub/new").write_text("new\n")

    prepared, taken = at.worked(work)
    shutil.rmtree(at.source / "sub")
    (at.source / "sub").symlink_to(outside)
    (at.source / "sub/control").write_text("x")
    assert (outside / "control").exists(), "control: a plain open goes through"
    done = apply(prepared, taken)
    assert set(done.conflicts) == {"sub/b.txt", "sub/new"}
    assert (outside / "b.txt").read_text() == "b\n" and not (outside / "new").exists()


def test_b65_d22_apply_replaces_a_link_never_its_target(at: Stage) -> None:
    outside = at.top / "outside"
    outside.write_text("b\n")
    (at.source / "l").symlink_to(outside)

    def work(tree: Path) -> None:
        (tree / "l").unlink()
        (tree / "l").write_text("a file now\n")

    prepared, taken = at.worked(work)
    apply(prepared, taken, ALL)
    assert outside.read_text() == "b\n" and not (at.source / "l").is_symlink()


def test_b67_d05_paths_out_of_the_tree_are_never_written(at: Stage) -> None:
    prepared = at.prepare()
    (Path(prepared.workspace) / "a.txt").write_text("changed\n")
    for name in ("..", "../up", "/etc/x", "a//b", "./x"):
        with pytest.raises(BottleError):
            at.collect(prepared, forged(one_file(name)))
    assert sorted(os.listdir(at.top)) == ["home", "source"]


# F19, F25 on the person's repository


def test_f19_keep_runs_no_hook_of_the_repository(at: Stage) -> None:
    mark = at.top / "mark"
    hook = at.source / ".git/hooks/reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    git(at.source, "config", "core.fsmonitor", f"touch {mark}; false")
    prepared, taken = at.worked(lambda tree: (tree / "new").write_text("x"))
    keep(prepared, taken)
    assert not mark.exists()
    git(at.source, "branch", "other")
    assert mark.exists(), "control: plain git runs it"


@pytest.mark.parametrize(
    "name",
    ["--upload-pack=x", "-x", "$(id)", "a;b", "a..b", "a@{1}", "a.lock", "a\x1bb", "", "/a", "a/", "a//b", "a b", ".a",
     "a/.b", "HEAD~1", "a:b", "a^", "é", "a" * 300, "a."],
)  # fmt: skip
def test_f25_hostile_branch_names_are_refused(name: str) -> None:
    with pytest.raises(OperatorFault):
        check_branch(name)
    check_branch("feature/x-1.2_b")


def test_f25_a_branch_is_never_moved(at: Stage) -> None:
    prepared, taken = at.worked(lambda tree: (tree / "new").write_text("x"))
    before = git(at.source, "rev-parse", "main")
    with pytest.raises(OperatorFault, match="already"):
        keep(prepared, taken, "main")
    assert keep(prepared, taken).branch == "bot-bottle/demo"
    assert keep(prepared, taken).branch == "bot-bottle/demo-2"
    assert git(at.source, "rev-parse", "main") == before
    assert git(at.source, "status", "--short") == "", "the index and the files of the person are untouched"


def test_f21_lfs_files_are_not_broken_by_keep(at: Stage) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 5\n"
    (at.source / "big.bin").write_text(pointer)
    git(at.source, "add", "big.bin")
    git(at.source, "commit", "-qm", "lfs")
    (at.source / "big.bin").write_text("12345")  # as smudged

    def work(tree: Path) -> None:
        (tree / "big.bin").write_text("other content")
        (tree / "a.txt").write_text("changed\n")

    prepared, taken = at.worked(work)
    kept = keep(prepared, taken)
    assert kept.skipped == {"big.bin": "git-lfs stores it elsewhere"}
    assert git(at.source, "show", f"{kept.branch}:big.bin") == pointer.strip()


def test_bare_repositories_have_no_hook_and_no_configuration_but_ours(at: Stage) -> None:
    bare.make_bare(str(at.top / "r.git"))
    assert sorted(os.listdir(at.top / "r.git")) == ["HEAD", "config", "info", "objects", "refs"]
    assert git(at.top / "r.git", "fsck", "--strict") == ""
