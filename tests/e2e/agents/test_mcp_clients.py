"""Contract: the clients of the MCP project itself speak to the gateway, with a handshake and without one."""

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from bot_bottle.egress.mcp.catalogue import ARGUMENTS
from gateway_stand import Authority, Setup, Stand
from mcp_stand import URL, Keeper
from node_clients import NODE, NPM

pytestmark = [pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(300)]
CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="module")
def clients(cache: Path) -> Path:
    """Our scripts beside the two SDKs, which npm installs once, without their scripts."""
    folder = cache / "mcp-clients"
    folder.mkdir(exist_ok=True)
    for path in CLIENTS.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    if not (folder / "node_modules" / ".package-lock.json").exists():
        env = {**os.environ, "npm_config_update_notifier": "false"}
        argv = [*NPM, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_project_s_own_client_asks_and_gets_its_answer(clients: Path, tmp_path: Path, era: str) -> None:
    stand = Stand(tmp_path, Setup(), Authority("upstream"))
    try:
        keeper = Keeper(stand)
        answering = threading.Thread(target=lambda: keeper.yes(keeper.open()))
        answering.start()
        argv = [*NODE, str(clients / f"{era}.mjs"), URL, f"http://127.0.0.1:{stand.port('forward')}"]
        done = subprocess.run(argv, cwd=clients, capture_output=True, text=True, timeout=100)
        answering.join()
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["tools"] == list(ARGUMENTS) and found["listed"]["state"] == found["done"]["state"] == "ok"
        assert found["asked"]["ask"] == "ask-1" and found["checked"]["state"] == "allowed" and found["wrong"] is True
    finally:
        stand.close()
