"""Go's golang.org/x/mod/sumdb (note and tlog) accepts our checkpoint, tiles and proofs (acceptance 9)."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from .conftest import Written

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def sumdb(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program, built once; the Go client fetches the module by the hashes in go.sum."""
    place = tmp_path_factory.mktemp("sumdb")
    source = shutil.copytree(Path(__file__).parent / "sumdb", place / "source")
    caches = {"GOCACHE": str(place / "cache"), "GOPATH": str(place / "path")}
    environment = os.environ | {"GOFLAGS": "-mod=readonly -modcacherw", "GOTOOLCHAIN": "local"} | caches
    done = subprocess.run(
        [_go(), "build", "-o", str(place / "program"), "."],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return str(place / "program")


def _go() -> str:
    """The host's Go, else the one that scripts/setup installed from the locked wheel."""
    return shutil.which("go") or str(Path(sysconfig.get_paths()["purelib"], "go/bin/go"))


def _run(sumdb: str, written: Written, **other: object) -> subprocess.CompletedProcess[str]:
    given = {name: other.get(name, getattr(written, name)) for name in written.__dataclass_fields__}
    order = ("directory", "key", "old", "record", "index", "inclusion", "consistency")
    return subprocess.run([sumdb, *(str(given[name]) for name in order)], capture_output=True, text=True)


def test_go_accepts_checkpoint_tiles_and_proofs(sumdb: str, written: Written, tmp_path: Path) -> None:
    done = _run(sumdb, written)
    assert done.stdout == f"accepted 1 {written.index + 2}\n", done.stderr
    wrong = tmp_path / "wrong"
    wrong.write_bytes(written.record.read_bytes().replace(b'"denied"', b'"intent"'))
    assert "refused" in _run(sumdb, written, record=wrong).stderr, "positive control: another record"
    assert "refused" in _run(sumdb, written, index=0).stderr
    checkpoint = Path(written.directory, "checkpoint")
    good = checkpoint.read_bytes()
    checkpoint.write_bytes(good.replace(b"run/2026", b"run/2027"))
    assert "refused" in _run(sumdb, written).stderr
