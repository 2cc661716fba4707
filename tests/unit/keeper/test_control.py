"""The control socket and the loop under it."""

import os
import socket
import stat
import struct
from pathlib import Path
from typing import Any

from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper import control
from bot_bottle.keeper.control import ControlServer
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.control import ControlToKeeper, FactsQuery, KeeperToControl, RenewSecret, Stop
from bot_bottle.keeper.messages.replies import Done


def link(place: Path) -> Channel[ControlToKeeper, KeeperToControl]:
    return Channel(control.connect(str(place), "control"), KeeperToControl)


def serve(place: Path) -> tuple[Loop, ControlServer, list[ControlToKeeper]]:
    heard: list[ControlToKeeper] = []
    loop = Loop()

    def answer(message: ControlToKeeper, reply: object) -> None:
        heard.append(message)
        reply(Done())  # pyright: ignore

    return loop, ControlServer(loop, str(place), answer), heard


def test_it_is_for_its_owner_only_from_the_first_moment(tmp_path: Path) -> None:
    os.umask(0)
    _, server, _ = serve(tmp_path / "a")
    os.umask(0o022)
    assert stat.S_IMODE((tmp_path / "a" / "control").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    server.close()
    assert not (tmp_path / "a" / "control").exists()


def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    place = tmp_path / ("x" * 100) / ("y" * 100)
    loop, server, heard = serve(place)
    client = link(place)
    client.send(FactsQuery())
    loop.run(lambda: bool(heard), 5)
    assert isinstance(client.receive()[0], Done)
    client.close()
    server.close()


def test_rubbish_ends_that_connection_and_nothing_else(tmp_path: Path) -> None:
    loop, server, heard = serve(tmp_path)
    for rubbish in (b"\0\0\0\2\xc1\xc1", struct.pack("!I", 1 << 31), b"\0\0\0\4\x81\xa1a\x01"):
        bad = control.connect(str(tmp_path), "control")
        bad.sendall(rubbish)
        loop.run(lambda: False, 0.05)
        bad.settimeout(1)
        assert bad.recv(10) == b""
        bad.close()
    good = link(tmp_path)
    good.send(Stop("x"))
    loop.run(lambda: bool(heard), 5)
    assert heard == [Stop("x")]
    good.close()
    server.close()


def test_descriptors_that_a_peer_sends_are_closed(tmp_path: Path) -> None:
    loop, server, heard = serve(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    client = link(tmp_path)
    client.send(FactsQuery(), (0, 1, 2))
    loop.run(lambda: bool(heard), 5)
    assert len(os.listdir("/proc/self/fd")) == before + 2
    client.close()
    server.close()


def test_peers_are_bounded(tmp_path: Path) -> None:
    loop, server, _ = serve(tmp_path)
    held = []
    for _ in range(40):
        held.append(control.connect(str(tmp_path), "control"))
        loop.run(lambda: False, 0.001)
    assert sum(ended(sock) for sock in held) == 24
    for sock in held:
        sock.close()
    server.close()


def ended(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


def test_a_peer_that_does_not_read_cannot_hold_us() -> None:
    ours, theirs = socket.socketpair()
    control.bounded(ours, 1)
    one: Channel[Done, Done] = Channel(ours, Done)
    try:
        while True:
            one.send(Done(), ())
            ours.send(bytes(100_000))
    except (ChannelClosed, OSError):
        pass
    ours.close()
    theirs.close()


def test_the_loop_serves_files_timers_and_cancellations(tmp_path: Path) -> None:
    loop = Loop()
    said: list[str] = []
    path = tmp_path / "file"
    path.write_text("x")
    with path.open() as file:
        loop.read(file.fileno(), lambda: (said.append("file"), loop.forget(file.fileno()))[0])
        cancelled = loop.later(0.01, lambda: said.append("never"))
        loop.later(0.02, lambda: said.append("late"))
        loop.cancel(cancelled)
        assert loop.run(lambda: "late" in said, 5)
    assert said == ["file", "late"]
    assert not loop.run(lambda: False, 0.01)


def test_descriptors_belong_to_the_message_that_they_came_with() -> None:
    """Also where messages before it and after it arrive at once, and where it comes in pieces."""
    mine, theirs = socket.socketpair()
    with mine, theirs, open(os.devnull, "rb") as file:
        sender: Channel[Any, Any] = Channel(mine, ControlToKeeper)
        receiver: Channel[Any, Any] = Channel(theirs, ControlToKeeper)
        for message, fds in (
            (RenewSecret("one"), ()), (RenewSecret("two"), (file.fileno(),)), (RenewSecret("three"), ()),
            (RenewSecret("x" * 100_000), (file.fileno(), file.fileno())), (RenewSecret("five"), ()),
        ):  # fmt: skip
            sender.send(message, fds)
        found = [receiver.receive() for _ in range(5)]
        assert [len(fds) for _, fds in found] == [0, 1, 0, 2, 0]
        for _, fds in found:
            for fd in fds:
                os.close(fd)
