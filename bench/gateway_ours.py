"""Our gateway as a peer: the real process, driven by a small stand-in for keeper and launcher.

It sends what they send (egress/messages.py): Configure with the log descriptor, Secrets, then Doors with a listening
socket on loopback and a pidfd. It mints on demand from a real `keeper.authority`. usage: gateway_ours.py PORT SECRETS
"""

import datetime
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import gateway_setup as setup

from bot_bottle.egress import messages
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper.authority import Authority
from bot_bottle.policy.effective import Match, PathMatch, Policy, Route
from bot_bottle.policy.verdict import Auth

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def policy(with_secret: bool) -> Policy:
    """One rule for all test hosts: paths and methods, the pinned upstream, and the injected secret."""
    route = Route(
        rule="bench/upstream",
        host="*.bench.test",
        ports=(setup.UPSTREAM,),
        matches=(Match(paths=tuple(PathMatch("prefix", path) for path in setup.PATHS), methods=("GET", "POST")),),
        auth=Auth("bearer", "bench-00") if with_secret else None,
        ca=(setup.WORK / "upca.pem").read_text(),
        address=f"127.0.0.1:{setup.UPSTREAM}",
        origin="bench",
    )
    return Policy(bottle="bench", routes=(route,), log="blocks", digest="sha256:" + "0" * 64)


def secrets(count: int) -> messages.Secrets:
    """Vendor-shaped secrets and placeholders, the same in every run."""
    values: dict[str, bytes] = {}
    placeholders: dict[str, str] = {}
    for number in range(count):
        text = "".join(ALPHABET[(number * 7919 + at * at * 31 + at) % 62] for at in range(48))
        values[f"bench-{number:02d}"] = f"sk-{number:02d}-{text}".encode()
        placeholders[f"bench-{number:02d}"] = f"sk-{number:02d}-" + "P" * 48
    return messages.Secrets(values, placeholders)


def limits() -> messages.Limits:
    """Far above what the load client makes: the limits are checked, none is reached."""
    many = 10**9
    return messages.Limits(
        connections=10_000, arrivals=many, denials=many, names=many, log_bytes=10**12, minted_hosts=10_000
    )


class Stand:
    """Keeper and launcher in one small process."""

    def __init__(self, port: int, count: int) -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(1024)
        self.count = count
        self.authority = Authority("bench", datetime.datetime.now(datetime.UTC), limit=10_000, burst=10_000)
        (setup.WORK / f"ours-{count}.pem").write_text(self.authority.pem)
        self.bottle = subprocess.Popen(["sleep", "infinity"], stdin=subprocess.DEVNULL)

    def start(self) -> None:
        """Spawns the gateway with its two channels on descriptors 3 and 4 and hands over the door."""
        ours_keeper, its_keeper = socket.socketpair()
        ours_launcher, its_launcher = socket.socketpair()
        self.pid = spawn_gateway(its_keeper.fileno(), its_launcher.fileno())
        its_keeper.close()
        its_launcher.close()
        self.keeper: Channel[messages.KeeperToGateway, messages.GatewayToKeeper] = Channel(
            ours_keeper, messages.GatewayToKeeper
        )
        self.launcher: Channel[messages.LauncherToGateway, messages.GatewayToLauncher] = Channel(
            ours_launcher, messages.GatewayToLauncher
        )
        log = os.open(
            setup.WORK / f"ours-{self.count}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600
        )
        self.keeper.send(self.configuration(), (log,))
        self.keeper.send(secrets(self.count))
        threading.Thread(target=self.mint_forever, daemon=True).start()
        self.launcher.send(messages.Doors(("forward",)), (self.listener.fileno(), os.pidfd_open(self.bottle.pid)))
        answer, _ = self.launcher.receive()
        if not isinstance(answer, messages.Serving):
            raise SystemExit(f"the gateway does not serve: {answer}")

    def configuration(self) -> messages.Configure:
        return messages.Configure(
            identity=messages.Identity("bench-run", "bench", "bench", "command", "bench"),
            policy=policy(self.count > 0),
            limits=limits(),
            trust=(setup.WORK / "upca.pem").read_text(),
            authority=self.authority.pem,
            leaf_key=self.authority.leaf_key,
        )

    def mint_forever(self) -> None:
        """Answers the gateway until it ends."""
        try:
            while True:
                message, _ = self.keeper.receive()
                if isinstance(message, messages.Mint):
                    leaf = self.authority.mint(message.host, time.monotonic())
                    self.keeper.send(messages.Minted(message.host, leaf))
                elif not isinstance(message, messages.Status):
                    print(message, file=sys.stderr, flush=True)
        except ChannelClosed:
            pass


def spawn_gateway(keeper: int, launcher: int) -> int:
    """The real process: isolated interpreter, two descriptors, an empty environment."""
    import fcntl

    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (keeper, launcher)]
    actions = [(os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)]
    argv = [sys.executable, "-I", "-m", "bot_bottle.egress.main"]
    try:
        return os.posix_spawn(
            sys.executable, argv, {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, file_actions=actions
        )
    finally:
        for fd in high:
            os.close(fd)


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    stand = Stand(port, count)
    stand.start()
    path = Path(setup.WORK / f"ours-{count}.pid")
    path.with_suffix(".new").write_text(str(stand.pid))
    path.with_suffix(".new").rename(path)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        _, status = os.waitpid(stand.pid, 0)
        raise SystemExit(f"the gateway ended with status {status}")
    finally:
        stand.bottle.kill()
        try:
            os.kill(stand.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    main()
