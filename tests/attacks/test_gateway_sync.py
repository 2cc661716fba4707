"""`sync: each`: a power loss must not forget a request that has left (D09, D20). The order of the system calls."""

import pytest

from gateway_fixtures import Start
from gateway_stand import Upstream, get, route

TELL = """
import os, socket, sys
import bot_bottle.egress.records as rec

def say(word):
    print(word, file=sys.stderr, flush=True)

def write(fd, data):
    say("intent" if b'"kind":"intent"' in data else "other")
    return os.write(fd, data)

def fdatasync(fd):
    say("synced")
    os.fdatasync(fd)

class Socket(socket.socket):
    def connect(self, address):
        say("dialled")
        return super().connect(address)

    def connect_ex(self, address):
        say("dialled")
        return super().connect_ex(address)

rec.os = type("os", (), {"write": staticmethod(write), "close": os.close, "fdatasync": staticmethod(fdatasync)})
socket.socket = Socket
"""


@pytest.mark.parametrize(("sync", "synced"), [("each", True), ("batch", False)])
def test_d09_the_intent_is_on_the_disk_before_anything_leaves(
    start: Start, upstream: Upstream, sync: str, synced: bool
) -> None:
    """The control is `batch`, where the gateway itself never syncs."""
    stand = start(routes=(route(upstream),), sync=sync, weaken=TELL)
    assert stand.connect("api.test").ask(get("/", "api.test")).status == 200
    stand.wait_record(1, "outcome")
    words = stand.errors.read_text().split()
    before = words[words.index("intent") : words.index("dialled")]
    assert ("synced" in before) is synced
    assert ("synced" in words) is synced
