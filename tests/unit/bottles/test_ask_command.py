"""bottles.bottle-ask.sh: every verb with every client that a bottle may have, and what its exit status says."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_bottle.bottles import ask_command
from bot_bottle.policy.inside import COMMAND, URL
from gateway_stand import Authority, Setup, Stand
from mcp_stand import Keeper

CLIENTS = ("curl", "python3", "node", "wget", "perl")
NEEDED = ("tr", "sed", "cat")
NEW = "https://new.test/x"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    stand = Stand(tmp_path_factory.mktemp("gateway"), Setup(), Authority("upstream"))
    yield stand
    stand.close()


@pytest.fixture
def script(tmp_path: Path, gateway: Stand) -> Path:
    """The command, with the door of this gateway for the bottle's."""
    text = ask_command.text()
    assert text.count("127.0.0.1:3128") == 1 and f"URL={URL}\n" in text
    path = tmp_path / "bottle-ask"
    path.write_text(text.replace("127.0.0.1:3128", f"127.0.0.1:{gateway.port('forward')}"))
    path.chmod(0o755)
    return path


def run(script: Path, *words: str, client: str = "curl", shell: str = "/bin/sh") -> subprocess.CompletedProcess[str]:
    """With one client alone on the PATH."""
    tools = script.parent / f"bin-{client}"
    if not tools.exists():
        tools.mkdir()
        for name in (*NEEDED, client):
            found = sys.executable if name == "python3" else shutil.which(name)
            if found:
                (tools / name).symlink_to(os.path.realpath(found))
    env = {"PATH": str(tools), "http_proxy": "http://127.0.0.1:1", "no_proxy": "*", "HOME": str(script.parent)}
    return subprocess.run([shell, str(script), *words], env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("client", [one for one in CLIENTS if shutil.which(one)])
def test_every_client_speaks_to_the_gateway_whatever_the_environment_says(script: Path, client: str) -> None:
    done = run(script, "routes", client=client)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("ok\nWhat no route names is denied")
    hostile = 'a"b\\c\n$(touch /tmp/x) `id` \u00e9 \u202e'
    done = run(script, "done", hostile, client=client)
    assert done.returncode == 0 and done.stdout.startswith("ok\nRecorded.")


def test_words_arrive_as_they_were_given(script: Path, gateway: Stand) -> None:
    before = len(gateway.records("report"))
    run(script, "blocked", 'a"b\\c\t$(id) `id` é %s -- \\u0041')
    record = gateway.records("report")[before]
    assert record["detail"] == {"status": "blocked", "summary": 'a"b\\c $(id) `id` é %s -- \\u0041'}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("help",),
        ("request", "GET", NEW),
        ("routes", "x"),
        ("request", "GET", NEW, "why", "more"),
        ("--wait",),
        ("explain",),
    ],
)
def test_wrong_use_is_told_and_sends_nothing(script: Path, gateway: Stand, words: tuple[str, ...]) -> None:
    before = len(gateway.records())
    done = run(script, *words)
    assert done.returncode == 2 and "bottle-ask request METHOD URL" in done.stderr and done.stdout == ""
    assert len(gateway.records()) == before


def test_explain_by_url_and_what_is_no_url(script: Path) -> None:
    done = run(script, "explain", NEW)
    assert (
        done.returncode == 1 and done.stdout.splitlines()[0] == "denied" and f"{COMMAND} request GET" in done.stdout
    )
    assert run(script, "explain", "POST", NEW).stdout.splitlines()[2] == "method: POST"
    done = run(script, "explain", "999")
    assert done.returncode == 2 and done.stdout.startswith("error\n")


@pytest.mark.parametrize("shell", [one for one in ("/bin/sh", "/bin/bash", "/usr/bin/dash") if os.path.exists(one)])
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_request_waits_for_the_answer(script: Path, gateway: Stand, answer: str, shell: str) -> None:
    keeper = Keeper(gateway)
    url = f"https://{answer}-{Path(shell).name}.test/x?y=1"

    def person() -> None:
        asked = keeper.open(f"ask-{answer}-{shell}")
        assert asked.wanted.methods == ("GET", "POST") and asked.says == 'it\'s "needed" --wait'
        gateway.wait_record(1, "report")
        (keeper.yes if answer == "yes" else keeper.no)(asked, f"ask-{answer}-{shell}")

    answering = threading.Thread(target=person)
    answering.start()
    done = run(script, "request", "GET,POST", url, 'it\'s "needed" --wait', "--wait", shell=shell)
    answering.join()
    assert done.returncode == (0 if answer == "yes" else 1), done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == ("allowed" if answer == "yes" else "denied")


def test_request_without_wait_leaves_at_once_and_check_tells(script: Path, gateway: Stand) -> None:
    keeper = Keeper(gateway)
    answering = threading.Thread(target=lambda: keeper.open("ask-later"))
    answering.start()
    done = run(script, "request", "GET", "https://later.test/", "why")
    answering.join()
    assert done.returncode == 3 and "ask: ask-later" in done.stdout
    assert run(script, "check", "ask-later").returncode == run(script, "check").returncode == 3
    assert run(script, "check", "ask-of-others").returncode == 2


def test_without_a_gateway_or_a_client_it_says_so(script: Path, gateway: Stand) -> None:
    assert run(script, "routes", client="nothing").returncode == 4
    text = script.read_text().replace(str(gateway.port("forward")), "1")
    script.write_text(text)
    for client in (one for one in CLIENTS if shutil.which(one)):
        assert run(script, "routes", client=client).returncode == 4, client


def test_what_it_prints_is_never_run(script: Path) -> None:
    """The answer holds what the agent asked for: it is data of printf, not its format."""
    done = run(script, "explain", "https://a.test/%25s%25n")
    assert "https://a.test/%25s%25n" in done.stdout or done.returncode == 2
