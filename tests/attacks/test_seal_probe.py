"""The seal probe runs before the agent and finds each way out; a way out means that nothing starts (S08, D01, D03)."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from attacks.seal_run import no_filter, nothing, without
from bot_bottle.base.errors import BottleError, SealFault
from bot_bottle.bottles.backends.bubblewrap import Bubblewrap
from bot_bottle.bottles.limits_cgroup import Place
from bot_bottle.bottles.plan import Plan, Workspace
from bot_bottle.bottles.ports import Layout
from bot_bottle.bottles.seal import doors, layout, probe
from bot_bottle.policy.effective import Policy, Route

pytestmark = pytest.mark.bottle
VIEWS = layout.kernel_views
SPACES = layout.namespaces


def plan(*argv: str, **fields: Any) -> Plan:
    """The smallest plan."""
    values: dict[str, Any] = {
        "label": "probe", "bottle": "default", "agent": "command", "harness": "command", "harness_digest": "",
        "argv": argv or ("/bin/true",), "env": {"PATH": "/usr/bin:/bin", "HOME": "/home/agent"}, "cwd": "/home/agent",
        "home": "/home/agent", "policy": Policy("default", (Route("default/x", "example.com", ports=(443, 8443)),)),
        "workspace": Workspace("/work", "none"),
    }  # fmt: skip
    return Plan(**values | fields)


def places(top: Path) -> Layout:
    home = top / "home"
    home.mkdir(exist_ok=True)
    return Layout(state=str(top), home=str(home))


def ways_out(top: Path, **fields: Any) -> list[str]:
    """What the probe of one bottle finds."""
    started = Bubblewrap(place=Place()).start(plan(**fields), places(top))
    try:
        return started.probe()
    finally:
        started.abandon()


def test_s08_d03_b78_a_sealed_bottle_has_no_way_out(tmp_path: Path) -> None:
    assert ways_out(tmp_path) == []
    assert ways_out(tmp_path, terminal=True) == []
    assert probe.CANARY not in os.environ


def test_d01_the_probe_finds_inherited_descriptors(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)
        root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
        os.set_inheritable(root, True)
        try:
            with without(close_others=nothing):
                found = ways_out(tmp_path)
        finally:
            os.close(root)
    assert any("is socket:" in way for way in found)
    assert any("descriptor" in way and "is /" in way for way in found)


def test_d03_the_probe_finds_the_launchers_environment(tmp_path: Path) -> None:
    views = VIEWS()
    with without(bwrap_environment=lambda: dict(os.environ), kernel_views=lambda: views[: views.index("--perms")]):
        found = ways_out(tmp_path)
    assert any("environ shows" in way for way in found)
    assert any("mem shows" in way for way in found)


def test_b11_b54_s04_the_probe_finds_the_hosts_network(tmp_path: Path) -> None:
    with without(NEWNET=0, loopback=nothing, listeners=lambda named: []):
        found = ways_out(tmp_path)
    for way in ("namespace is the host's", "loopback is reachable", "abstract unix socket", "host's socket"):
        assert any(way in one for one in found), way


def test_b18_b22_the_probe_finds_addresses_that_are_not_the_gateways(tmp_path: Path) -> None:
    with without(every_address_is_local=nothing):
        found = ways_out(tmp_path)
    assert any("169.254.169.254 port 80" in way for way in found)
    assert any("fd00:ec2::254 port 80" in way for way in found)


def test_b12_the_probe_finds_a_missing_v6_door(tmp_path: Path) -> None:
    real = doors.listeners
    with without(listeners=lambda named: [d for d in real(named) if d[1].family == socket.AF_INET]):
        assert any("fd00:ec2::254" in way for way in ways_out(tmp_path))


def test_s01_s02_s09_b57_the_probe_finds_a_missing_filter(tmp_path: Path) -> None:
    with no_filter():
        found = ways_out(tmp_path)
    for way in ("vsock socket opens", "io_uring_setup is", "keyctl is", "mptcp socket"):
        assert any(way in one for one in found), way


def test_s03_the_probe_finds_capabilities(tmp_path: Path) -> None:
    with without(namespaces=lambda: [*SPACES(), "--cap-add", "ALL"]):
        assert any("CapEff" in way for way in ways_out(tmp_path))


def test_d16_the_probe_finds_a_writable_root(tmp_path: Path) -> None:
    real = layout.options
    with without(options=lambda *args: real(*args)[:-2]):
        assert "/ is writable" in ways_out(tmp_path)


def test_s05_b54_the_probe_finds_the_hosts_sockets(tmp_path: Path) -> None:
    (tmp_path / "docker.sock").touch()
    real = layout.options

    def with_socket(*args: Any) -> list[str]:
        return [*real(*args)[:-2], "--dir", "/run/dbus", "--remount-ro", "/"]

    with without(options=with_socket):
        assert "/run/dbus is visible" in ways_out(tmp_path)


def test_d23_a_probe_that_does_not_end_well_is_a_fault(tmp_path: Path) -> None:
    failing = b"echo ready >&4; read word <&3; echo failed >&4; read word <&3\n"
    with without(init_script=lambda spec: failing), pytest.raises(SealFault, match="did not run to its end"):
        ways_out(tmp_path)


def test_d23_the_probe_is_our_interpreter_without_installed_packages(tmp_path: Path) -> None:
    """It shows no package of the host, and nothing in the workspace or home can stand in for it."""
    ours = probe.content()
    assert ours.target == "/run/bot-bottle/probe.py"
    script = "cat /run/bot-bottle/probe.py; ls -A /run/bot-bottle/python/lib/python3*/site-packages 2>/dev/null; true"
    started = Bubblewrap(place=Place()).start(plan("/bin/sh", "-c", script), places(tmp_path))
    try:
        assert started.probe() == []
        started.go()
        text = b""
        while part := os.read(started.stdio[1], 65536):
            text += part
        assert text == ours.data
    finally:
        started.abandon()


def test_b62_b69_a_backend_that_cannot_hold_a_limit_says_so_and_never_weakens() -> None:
    from bot_bottle.bottles.backends import backend

    with pytest.raises(BottleError, match="no backend"):
        backend("podman-without-seal")
    weak = Bubblewrap(place=Place()).capabilities()
    assert weak["memory"] == "watched" and weak["cpus"] == "not enforced"
    assert weak["network"] == weak["filter"] == "enforced"
