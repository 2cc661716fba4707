"""Code that runs in the web process, as after an exploit of a parser there: tries everything, says what worked.

argv: JSON with home, runtime, keeper (pid), port (a listener), free (a port to bind), listening (a descriptor),
sockets (a directory with some), abstract (the name of one), confine (whether it is).
"""

import ctypes
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable

given = json.loads(sys.argv[1])
home = given["home"]
libc = ctypes.CDLL(None, use_errno=True)
worked: dict[str, bool] = {}


def attempt(name: str, do: Callable[[], object]) -> None:
    try:
        worked[name] = do() is not False
    except (OSError, sqlite3.Error):
        worked[name] = False


def call(number: int, *arguments: int) -> bool:
    return libc.syscall(number, *arguments) >= 0


def appended(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"x")


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(10)


def linked() -> bytes:
    """By a link that it may make in its own place."""
    os.symlink(f"{home}/keys/log.pem", f"{home}/web/link")
    return read(f"{home}/web/link")


def wrote() -> None:
    database = sqlite3.connect(f"{home}/approvals/approvals.sqlite", isolation_level=None)
    database.execute("UPDATE changed SET number = number + 1")


def executed() -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            os.execv("/bin/true", ["true"])
        finally:
            os._exit(9)
    return os.waitpid(pid, 0)[1] == 0


def dialled() -> None:
    socket.create_connection(("127.0.0.1", given["port"]), 2).close()


def agent(name: str, kind: int) -> None:
    """A socket of a program of the person: an agent with their keys, their session, their containers."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.connect(name)


def written() -> None:
    """A datagram to a path, from a pair, without a socket of one's own: the journal, the service manager."""
    mine, _other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    mine.sendto(b"x", f"{given['sockets']}/datagram")


def opened() -> bool:
    """A listener that was passed, shut down and dialling by what it sends."""
    again = socket.socket(fileno=os.dup(given["listening"]))
    again.shutdown(socket.SHUT_RDWR)
    return again.sendto(b"x", 0x20000000, ("127.0.0.1", given["port"])) == 1  # MSG_FASTOPEN


def bound() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", given["free"]))


if given["confine"]:
    from bot_bottle.base.home import Home
    from bot_bottle.web.confine import confine

    confine(Home(home, given["runtime"]))

keeper = given["keeper"]
attempt("read the log key", lambda: read(f"{home}/keys/log.pem"))
attempt("list the keys", lambda: os.listdir(f"{home}/keys"))
attempt("read a secret", lambda: read(f"{home}/secrets/store"))
attempt("read a key through a link", linked)
attempt("link a key into its own place", lambda: os.link(f"{home}/keys/log.pem", f"{home}/web/hard"))
attempt("move the keys into its own place", lambda: os.rename(f"{home}/keys", f"{home}/web/keys"))
attempt("write an approval", wrote)
attempt("write a bottle file", lambda: appended(f"{home}/bottles/web.md"))
attempt("make a bottle file", lambda: appended(f"{home}/bottles/new.md"))
attempt("remove a bottle file", lambda: os.unlink(f"{home}/bottles/web.md"))
attempt("write settings", lambda: appended(f"{home}/settings.toml"))
attempt("append to a log", lambda: appended(given["log"]))
attempt("truncate a log", lambda: os.truncate(given["log"], 0))
attempt("read shadow", lambda: read("/etc/shadow"))
attempt("read the person's keys", lambda: read(given["ssh"]))
attempt("write a temporary file", lambda: appended(given["elsewhere"]))
attempt("read the keeper's memory", lambda: read(f"/proc/{keeper}/environ"))
attempt("open the keeper's memory", lambda: os.close(os.open(f"/proc/{keeper}/mem", os.O_RDWR)))
attempt("trace the keeper", lambda: call(101, 16, keeper, 0, 0))
attempt("take the keeper's descriptors", lambda: call(438, os.pidfd_open(keeper), 3, 0))
attempt("signal the keeper", lambda: os.kill(keeper, signal.SIGCONT))
attempt("signal the keeper by descriptor", lambda: signal.pidfd_send_signal(os.pidfd_open(keeper), signal.SIGCONT))
attempt("run a program", executed)
attempt("dial", dialled)
attempt("dial by what it sends", opened)
attempt("reach a socket of the person", lambda: agent(f"{given['sockets']}/agent", socket.SOCK_STREAM))
attempt("reach a datagram socket", lambda: agent(f"{given['sockets']}/datagram", socket.SOCK_DGRAM))
attempt("reach an abstract socket", lambda: agent(given["abstract"], socket.SOCK_STREAM))
attempt("reach a keeper by itself", lambda: agent(f"{given['runtime']}/control", socket.SOCK_STREAM))
attempt("write to a datagram socket", written)
attempt("listen elsewhere", bound)
attempt("change modes", lambda: os.chmod(f"{home}/keys", 0o755))
attempt("change owners", lambda: os.chown(f"{home}/keys", os.getuid(), os.getgid()))
attempt("change times", lambda: os.utime(f"{home}/bottles/other.md", (0, 0)))
attempt("unshare", lambda: call(272, 0x10000000))
attempt("mount", lambda: libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) == 0)
attempt("be traced", lambda: libc.prctl(4, 1, 0, 0, 0) == 0)
# what it must be able to do, or the test would prove nothing
attempt("its own: write its store", lambda: appended(f"{home}/web/store"))
attempt("its own: write the index", lambda: appended(f"{home}/index/records"))
attempt("its own: read a log", lambda: read(given["log"]))
attempt(
    "its own: read the approvals",
    lambda: (
        sqlite3.connect(f"file:{home}/approvals/approvals.sqlite?mode=ro", uri=True)
        .execute("SELECT count(*) FROM asks")
        .fetchall()
    ),
)
attempt("its own: list the leases", lambda: os.listdir(f"{home}/leases"))
attempt("its own: wake its loop", lambda: [one.close() for one in socket.socketpair()])


def sorted_much() -> None:
    """More than its cache holds: SQLite spills into a temporary file."""
    database = sqlite3.connect(f"{home}/index/sorting")
    database.execute("PRAGMA cache_size = -200")
    database.execute("PRAGMA temp_store = FILE")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)"
    found = database.execute(f"{numbers} SELECT hex(randomblob(200)) FROM n ORDER BY 1").fetchall()
    assert len(found) == 60000


attempt("its own: sort much", sorted_much)
print(json.dumps(worked))
