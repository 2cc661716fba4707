"""PyPI aics-tlog, in a venv of its own, accepts our checkpoint, tiles, bundles and proofs (acceptance 9)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Written

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
VERSION = "0.2.1"

AUDIT = """
import json, sys
from pathlib import Path
from aics_tlog import FileSystemTileReader, audit_tiles, parse_note, parse_vkey, verify_checkpoint
directory, key = sys.argv[1:]
seen = verify_checkpoint(parse_note(Path(directory, "checkpoint").read_text()), parse_vkey(key))
assert seen.ok, seen
audit_tiles(FileSystemTileReader(directory), seen.size, seen.root)
print(json.dumps({"ok": True, "size": seen.size}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of a fresh venv with aics-tlog; it asks for a newer Python than it needs."""
    place = tmp_path_factory.mktemp("aics")
    subprocess.run([sys.executable, "-I", "-m", "venv", str(place)], check=True)
    inside = str(place / "bin" / "python")
    install = [inside, "-I", "-m", "pip", "install", "-q", "--ignore-requires-python", f"aics-tlog=={VERSION}"]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return inside


def _run(python: str, *arguments: object) -> dict[str, object]:
    call = [python, "-I", "-m", "aics_tlog", *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    return json.loads(done.stdout)


def test_it_accepts_checkpoint_inclusion_and_consistency(python: str, written: Written) -> None:
    size, head = written.index + 2, Path(written.directory, "checkpoint")
    key = ("--log-key", written.key)
    seen = _run(python, "verify-checkpoint", "--note", head, *key)
    assert (seen["ok"], seen["size"]) == (True, size), seen
    tiles = ("--tiles", written.directory)
    leaf = ("--leaf", written.record, "--index", written.index)
    assert_ok(_run(python, "verify-inclusion", *leaf, *tiles, *key))
    proof = ("--size", size, "--root", written.root, "--proof", written.inclusion)
    assert_ok(_run(python, "verify-inclusion", *leaf, *proof))
    assert not _run(python, "verify-inclusion", "--leaf", written.record, "--index", 0, *tiles, *key)["ok"]
    assert_ok(_run(python, "verify-consistency", "--old-checkpoint", written.old, *tiles, *key))
    sizes = ("--old-size", 1, "--new-size", size, "--old-root", written.old_root, "--new-root", written.root)
    assert_ok(_run(python, "verify-consistency", *sizes, "--proof", written.consistency))


def assert_ok(answer: dict[str, object]) -> None:
    assert answer["ok"], answer


def test_it_audits_every_tile_and_bundle(python: str, written: Written, tmp_path: Path) -> None:
    def audit(directory: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python, "-I", "-c", AUDIT, directory, written.key], capture_output=True, text=True)

    assert '"ok": true' in audit(written.directory).stdout
    copy = str(shutil.copytree(written.directory, tmp_path / "copy"))
    bundle = next(Path(copy, "tile/entries").rglob("*[0-9]"))
    bundle = (
        bundle if bundle.is_file() else next(path for path in Path(copy, "tile/entries").rglob("*") if path.is_file())
    )
    data = bytearray(bundle.read_bytes())
    data[40] ^= 1
    bundle.write_bytes(data)
    assert audit(copy).returncode != 0, "positive control: a changed record"
