"""Installing: by hashes, without scripts, whole or absent; nothing of the person's environment but the listed."""

import json
import os
import re
import stat
from pathlib import Path

import pytest

from bot_bottle.base.errors import HostFault, OperatorFault, UpstreamFault, UsageFault
from bot_bottle.harnesses import load, node, placement, tree
from bot_bottle.harnesses.hostcopy import choose, describe
from bot_bottle.harnesses.install import Installer
from bot_bottle.harnesses.model import Harness

LOCKS = Path(load.DATA) / "locks"
ADDRESS = re.compile(r"https?://|registry\.|files\.|index-url", re.IGNORECASE)


def locks(kind: str) -> list[Harness]:
    return [harness for harness in load.shipped().values() if harness.install.kind == kind]


@pytest.mark.parametrize("harness", locks("npm"), ids=lambda harness: harness.name)
def test_d20_npm_lists_are_whole_hashed_and_name_no_host(harness: Harness) -> None:
    folder = LOCKS / harness.install.lock
    text = (folder / "package-lock.json").read_text()
    assert not ADDRESS.search(text)
    packages = json.loads(text)["packages"]
    for name, package in packages.items():
        if name:
            assert package["integrity"].startswith("sha512-"), name
            assert "resolved" not in package
    top = packages[f"node_modules/{harness.install.package}"]
    assert top["version"] == harness.install.version
    assert json.loads((folder / "package.json").read_text())["dependencies"] == {
        harness.install.package: harness.install.version
    }


@pytest.mark.parametrize("name", ["mini", "node"])
def test_d20_pypi_lists_are_whole_hashed_and_name_no_host(name: str) -> None:
    text = (LOCKS / f"{name}.txt").read_text()
    assert not ADDRESS.search(text)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==", entry), entry
        assert "--hash=sha256:" in entry, entry
    wanted = {"mini": ("mini-swe-agent", load.shipped()["mini"].install.version), "node": (node.WHEEL, node.VERSION)}
    assert any(entry.startswith("{}=={}".format(*wanted[name])) for entry in entries)


@pytest.mark.parametrize("harness", locks("npm") + locks("pypi"), ids=lambda harness: harness.name)
def test_every_harness_has_an_entry_for_both_platforms(harness: Harness) -> None:
    assert {"linux-x64", "linux-arm64"} <= set(harness.install.entry) or "any" in harness.install.entry


class Double:
    """A package client that writes one file and notes how it was called."""

    sealed = True

    def __init__(self, entry: str = "", status: int = 0) -> None:
        self.entry, self.status = entry, status
        self.calls: list[list[str]] = []
        self.environ: dict[str, str] = {}

    def run(self, argv: list[str], *, cwd: str, env: dict[str, str]) -> tuple[int, str]:
        self.calls.append(argv)
        self.environ = env
        if self.entry:
            path = Path(cwd, self.entry)
            path.parent.mkdir(parents=True)
            path.write_text("#!/bin/sh\n")
            path.chmod(0o775)
        return self.status, "first line\nthe last line\n"


def installer(home: Path, double: Double, **environ: str) -> Installer:
    return Installer(str(home / "harnesses"), {"PATH": os.environ["PATH"], **environ}, double)


def claude() -> tuple[Harness, str]:
    harness = load.shipped()["claude"]
    return harness, placement.entry_file(harness)


def test_d20_npm_runs_without_scripts_and_with_a_listed_environment(home: Path) -> None:
    harness, entry = claude()
    double = Double(entry)
    place = installer(home, double, ANTHROPIC_API_KEY="secret", NODE_OPTIONS="--require=/evil").install(harness)
    argv = double.calls[-1]
    assert argv[-9:-7] == ["ci", "--ignore-scripts"] or "--ignore-scripts" in argv
    assert "ci" in argv and "ANTHROPIC_API_KEY" not in double.environ and "NODE_OPTIONS" not in double.environ
    record = placement.read_record(place)
    assert record and record.sealed and record.digest == tree.digest(place, placement.RECORD)
    assert placement.place(str(home / "harnesses"), harness).entry == (f"/opt/harness/claude/{entry}",)


def test_d20_pip_takes_only_hashed_wheels(home: Path) -> None:
    double = Double("site/minisweagent/__init__.py")
    installer(home, double).install(load.shipped()["mini"])
    argv = double.calls[-1]
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(argv) and argv[1] == "-I"
    place = placement.place(str(home / "harnesses"), load.shipped()["mini"])
    assert place.entry[1:3] == ("-I", "-c") and "minisweagent.run.mini" in place.entry[3]


def test_a_failed_client_leaves_nothing_and_gives_its_last_line(home: Path) -> None:
    harness, entry = claude()
    with pytest.raises(UpstreamFault, match="the last line"):
        installer(home, Double(entry, status=1)).install(harness)
    assert [path for path in (home / "harnesses").rglob("*") if path.is_file()] == [home / "harnesses" / ".lock"]
    with pytest.raises(HostFault, match="is not installed"):
        placement.place(str(home / "harnesses"), harness)


def test_packages_without_the_entry_are_no_installation(home: Path) -> None:
    with pytest.raises(HostFault, match="hold no"):
        installer(home, Double()).install(claude()[0])
    assert not (home / "harnesses" / "claude" / claude()[0].install.version).exists()


def test_a_second_install_does_nothing(home: Path) -> None:
    harness, entry = claude()
    double = Double(entry)
    installer(home, double).install(harness)
    installer(home, double).install(harness)
    assert len(double.calls) == 1


def test_nobody_else_can_write_into_an_installation(home: Path) -> None:
    harness, entry = claude()
    place = installer(home, Double(entry)).install(harness)
    modes = [
        os.lstat(place).st_mode,
        *(info.st_mode for _, info in tree.entries(place) if not stat.S_ISLNK(info.st_mode)),
    ]
    assert all(mode & 0o022 == 0 for mode in modes)


def test_a_changed_byte_is_noticed(home: Path) -> None:
    harness, entry = claude()
    place = installer(home, Double(entry)).install(harness)
    Path(place, entry).write_text("#!/bin/sh\nevil\n")
    record = placement.read_record(place)
    assert record and tree.digest(place, placement.RECORD) != record.digest


def test_the_command_needs_no_installation(home: Path) -> None:
    with pytest.raises(UsageFault):
        installer(home, Double()).install(load.shipped()["command"])
    assert placement.place(str(home / "harnesses"), load.shipped()["command"]).entry == ()


def test_the_hosts_own_copy_is_shown_with_what_it_needs(home: Path, tmp_path: Path) -> None:
    modules = tmp_path / "lib" / "node_modules" / "@openai" / "codex" / "bin"
    modules.mkdir(parents=True)
    script = modules / "codex.js"
    script.write_text("#!/usr/bin/env node\n")
    native = tmp_path / "claude"
    native.write_bytes(b"\x7fELF")
    for path in (script, native):
        path.chmod(0o755)
    choice = describe(str(script), os.environ["PATH"])
    assert str(tmp_path / "lib" / "node_modules") in choice.mounts and choice.entry[1] == str(script)
    choose(str(home / "harnesses"), load.shipped()["claude"], str(tmp_path))
    placed = placement.place(str(home / "harnesses"), load.shipped()["claude"])
    assert (
        placed.entry == (str(native),) and placed.mounts == ((str(native), str(native)),) and placed.origin == "host"
    )
    native.unlink()
    with pytest.raises(OperatorFault, match="is gone"):
        placement.place(str(home / "harnesses"), load.shipped()["claude"])


@pytest.mark.parametrize(
    ("text", "version"), [("v22.19.0\n", (22, 19, 0)), ("22.19", (22, 19, 0)), ("", (0, 0, 0)), ("x", (0, 0, 0))]
)
def test_versions_of_node(text: str, version: tuple[int, int, int]) -> None:
    assert node.version_of(text) == version
