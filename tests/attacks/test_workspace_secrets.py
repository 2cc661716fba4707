"""Real secrets in the files of a workspace (D07): found in every form by the keeper's sieve, hidden in every mode."""

import base64
import os
from pathlib import Path

import pytest

from attacks.workspace_stage import Stage, git, mounts_of, repository, stage
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.workspace import exposed, prepare
from bot_bottle.keeper.sieve import Sieve

SECRET = "zq7Lw0Kp3Vx9Rt5Yb1Nd8Hf2"
OTHER = "hT4mC6jU2sE8gA0oI5pQ7vX1"


@pytest.fixture
def at(tmp_path: Path) -> Stage:
    return stage(tmp_path)


def asked(**values: str) -> exposed.Ask:
    """The keeper's end, with descriptors of its own as a socket would give them."""
    sieve = Sieve(lambda: {name: value.encode() for name, value in values.items()})
    return lambda fds: sieve.look([os.dup(fd) for fd in fds])


def seen(at: Stage, prepared: prepare.Prepared, path: str) -> str:
    """What the bottle finds at this path; a mask shows an empty file."""
    if prepared.mode == "copy":
        place = Path(prepared.workspace) / path
        return place.read_text() if place.exists() else ""
    place = at.source / path
    return "" if str(place) in prepared.masks else place.read_text()


def project(at: Stage) -> None:
    repository(at.source, **{"a.txt": "one\n", "deep/conf.py": f"KEY = '{SECRET}'\n"})
    (at.source / "notes").write_text(base64.b64encode(b"user:" + SECRET.encode()).decode())
    (at.source / "plain").write_text(f"nothing of {SECRET[:-1]}\n")
    (at.source / "late").write_text("x" * 3_000_000 + OTHER)


@pytest.mark.parametrize("mode", ["copy", "overlay", "bind"])
def test_d07_a_custody_value_in_the_workspace_is_masked(at: Stage, mode: str) -> None:
    project(at)
    before = at.prepare(mode)
    assert SECRET in seen(at, before, "deep/conf.py"), "control: without the look it is there"
    ask = asked(example=SECRET, other=OTHER)
    prepared, said = exposed.conceal(before, (), ask)
    for path in ("deep/conf.py", "notes", "late"):
        assert seen(at, prepared, path) == "", path
        assert path in prepared.masked
    assert seen(at, prepared, "plain") and seen(at, prepared, "a.txt")
    assert "deep/conf.py holds the secret example and is hidden" in said
    assert "late holds the secret other and is hidden" in said
    assert SECRET not in "".join(said) and len(said) == 3
    assert prepare.load(prepared.state) == prepared
    assert (at.source / "deep/conf.py").exists(), "the person's own file stays"


@pytest.mark.bottle
def test_d07_a_hidden_file_is_no_change_and_git_does_not_miss_it(at: Stage) -> None:
    project(at)
    prepared, _ = exposed.conceal(at.prepare("copy"), (), asked(example=SECRET, other=OTHER))
    assert "deep/conf.py" not in git(prepared.workspace, "status", "--short")
    (Path(prepared.workspace) / "new").write_text("n")
    assert [c.path for c in at.collect(prepared).changes] == ["new"]
    assert SECRET not in Path(prepared.base, "a.txt").read_text() and not Path(prepared.base, "deep/conf.py").exists()


@pytest.mark.bottle
def test_d07_a_bound_bottle_reads_nothing_there(at: Stage) -> None:
    project(at)
    before = at.prepare("bind")
    attack = ("/bin/sh", "-c", f"grep -rqF {SECRET} .")
    assert run_sealed(attack, mounts_of(before, at.top), cwd=str(at.source)).status == 0, "control"
    prepared, _ = exposed.conceal(before, (), asked(example=SECRET, other=OTHER))
    attack = ("/bin/sh", "-c", f"grep -rqF --exclude-dir=.git {SECRET} .")
    assert run_sealed(attack, mounts_of(prepared, at.top), cwd=str(at.source)).status == 1


def test_d07_what_is_not_looked_into_is_said(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (at.source / "big").write_bytes(b"\0" * (exposed.MOST + 1))
    (at.source / "kept").write_text(SECRET)
    prepared, said = exposed.conceal(at.prepare("copy"), ("kept",), asked(example=SECRET))
    assert said == (
        "kept holds the secret example and stays visible, because the bottle keeps it",
        "not looked into for secrets, larger than 5.0 MB: big",
    )
    assert seen(at, prepared, "kept") == SECRET
    for number in range(200):
        (at.source / f"f{number:03}").write_text("x")
    monkeypatch.setattr(exposed, "SECONDS", 0.0)
    _, said = exposed.conceal(at.prepare("copy"), (), asked(example=SECRET))
    assert "ended after 0 s; the rest was not looked into" in said[-1]


def test_d07_an_empty_workspace_asks_nobody(at: Stage) -> None:
    def nobody(_fds: tuple[int, ...]) -> dict[int, str]:
        raise AssertionError("asked")

    assert exposed.conceal(at.prepare("copy"), (), nobody)[1] == ()


def test_d07_the_sieve_reads_regular_files_only_and_closes_all(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").write_text("é" + SECRET.encode().hex())
    fds = [os.open(tmp_path / name, os.O_RDONLY | os.O_NONBLOCK) for name in ("fifo", "file")]
    assert Sieve(lambda: {"example": SECRET.encode()}).look(fds) == {1: "example"}
    for fd in fds:
        with pytest.raises(OSError):
            os.fstat(fd)


BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"


@pytest.mark.skipif(not BUNDLE.exists(), reason="no bundle of authorities on this host")
def test_d07_a_bundle_of_authorities_is_shown_and_one_with_a_key_is_masked(at: Stage) -> None:
    place = at.source / ".venv/lib/python3/site-packages/certifi"
    place.mkdir(parents=True)
    bundle = BUNDLE.read_bytes()
    for name in ("cacert.pem", "ca.crt"):
        (place / name).write_bytes(bundle)
        (at.source / name).write_bytes(bundle + KEY.encode())
    assert set(at.look().masked) == {"cacert.pem", "ca.crt"}
    prepared = at.prepare("copy")
    shown = Path(prepared.workspace) / place.relative_to(at.source)
    assert (shown / "cacert.pem").read_bytes() == (shown / "ca.crt").read_bytes() == bundle
    assert not (Path(prepared.workspace) / "cacert.pem").exists()
