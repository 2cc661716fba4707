"""`bot-bottle token` and `device`: a script's first token needs no browser; what was ended is out, all is recorded."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bot_bottle.audit.encode import decode
from bot_bottle.audit.reader import LogReader
from bot_bottle.base.home import Home
from bot_bottle.web.sessions import Sessions
from bot_bottle.web.store import Store
from bot_bottle.web.tokens import Tokens


def command(home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """The real program in a process of its own."""
    environ = {"BOT_BOTTLE_HOME": str(home), "PATH": os.environ["PATH"]}
    program = [sys.executable, "-I", "-c", "from bot_bottle.cli.main import main; main()"]
    return subprocess.run([*program, *argv], env=environ, capture_output=True, text=True, check=False, cwd="/")


def controls(home: Path) -> list[tuple[str, str, dict[str, str]]]:
    """What people did to this installation, by the host log: who, and what."""
    place = Home(str(home), "/nowhere")
    lines = [line for _, batch in LogReader(place.host_log).batches() for line in batch]
    return [(one.approver, one.verdict, one.detail) for one in map(decode, lines) if one.kind == "control"]


def test_a_token_is_shown_once_works_and_is_ended(home: Path) -> None:
    made = command(home, "token", "create", "ci", "--scope", "answer", "--scope", "read", "--days", "30")
    assert made.returncode == 0, made.stderr
    text, tokens = made.stdout.strip(), Tokens(Store(Home(str(home), "/nowhere")))
    found = tokens.find(text, time.time_ns())
    assert found is not None and (found.name, found.scopes) == ("ci", ("read", "answer"))
    assert abs(found.expires - time.time_ns() - 30 * 86400 * 10**9) < 86400 * 10**9
    assert not [one for one in home.rglob("*") if one.is_file() and text.encode() in one.read_bytes()]
    listed = command(home, "token", "list")
    assert found.id in listed.stdout and "read,answer" in listed.stdout and text not in listed.stdout
    assert command(home, "token", "revoke", found.id[:8]).returncode == 0
    assert tokens.find(text, time.time_ns()) is None
    again = command(home, "token", "revoke", found.id)
    assert again.returncode == 2 and "revoked before" in again.stderr
    who, more = f"os:{os.getuid()}", {"via": "terminal", "peer": str(os.getuid())}
    assert controls(home) == [
        (who, "token issued", {"name": "ci", "scopes": "read answer"} | more),
        (who, "token revoked", {"token": found.id} | more),
    ]


def test_as_json_and_by_default(home: Path) -> None:
    made = json.loads(command(home, "token", "create", "once", "--days", "0", "--json").stdout)
    assert (made["scopes"], made["expires"]) == (["read"], 0)
    (row,) = json.loads(command(home, "token", "list", "--json").stdout)["tokens"]
    assert (row["id"], row["name"], row["revoked"]) == (made["id"], "once", 0) and "token" not in row
    assert command(home, "token", "create", "a\nb").returncode == 2
    assert command(home, "token", "create", "x", "--days", "4000").returncode == 2


def test_devices_are_listed_and_signed_out(home: Path) -> None:
    sessions = Sessions(Store(Home(str(home), "/nowhere")))
    cookie = sessions.open("Ana's phone", "device", "Phone \x1b[2J", time.time_ns())
    session = sessions.find(cookie, time.time_ns())
    assert session is not None
    listed = command(home, "device", "list")
    assert session.device.id in listed.stdout and "Ana's phone" in listed.stdout and "\x1b" not in listed.stdout
    assert json.loads(command(home, "device", "list", "--json").stdout)["devices"][0]["kind"] == "device"
    assert command(home, "device", "revoke", session.device.id).returncode == 0
    assert sessions.find(cookie, time.time_ns()) is None
    assert command(home, "device", "revoke", "no-such").returncode == 2
    assert [what for _, what, _ in controls(home)] == ["device revoked"]
