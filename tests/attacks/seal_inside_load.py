"""The agent's side of the seal's attacks, continued: using up what the host has."""

import array
import errno
import json
import os
import resource
import select
import signal
import socket
import sys
import time


def tried(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, "timeout")
    return "OPEN"


def say(value):
    print(json.dumps(value), flush=True)


def megabytes(path, most=200):
    """How many fit into a file at this path."""
    n = 0
    try:
        with open(path, "wb", 0) as file:
            while n < most:
                file.write(bytes(1 << 20))
                n += 1
    except OSError:
        pass
    return n


def fill():
    out = {}
    for place in ("/tmp", "/dev/shm", "/home/agent"):
        out[place] = megabytes(f"{place}/big")
        os.unlink(f"{place}/big")
    n = 0
    try:
        while n < 70000:
            os.mkdir(f"/tmp/i{n}")
            n += 1
    except OSError:
        pass
    return {**out, "inodes": n}


def read_only():
    """D16: no place for bytes outside the sized ones."""
    places = ("/", "/etc", "/dev", "/run", "/run/bot-bottle", "/usr", "/proc/1", "/home", "/srv")
    return {place: tried(lambda p=place: os.mkdir(p + "/zz")) for place in places if os.path.isdir(place)}


def fill_workspace():
    return {"append": tried(lambda: open("linked", "a").write("evil")), "MB": megabytes("big")}


def forks():
    n = 0
    try:
        while n < 400:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            n += 1
    except OSError:
        pass
    return n


def memory():
    """300 MB in one process."""
    try:
        return len(b"x" * (300 << 20)) >> 20
    except MemoryError:
        return "MemoryError"


def many():
    """S12: 16 processes of 32 MB each, no single one large; then waits."""
    for _ in range(16):
        if os.fork() == 0:
            block = bytearray(32 << 20)
            for at in range(0, len(block), 4096):
                block[at] = 1
            time.sleep(30)
            os._exit(0)
    say("grown")
    time.sleep(30)


def spin():
    """CPU seconds that four processes get in one second."""
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            end = time.monotonic() + 1
            while time.monotonic() < end:
                pass
            os._exit(0)
        children.append(pid)
    return sum(os.wait4(pid, 0)[2].ru_utime for pid in children)


def limits():
    return {"files": resource.getrlimit(resource.RLIMIT_NOFILE)[1], "as": resource.getrlimit(resource.RLIMIT_AS)[0]}


def park_fds():
    """D16: descriptors in flight until the user's budget is gone."""
    limit = resource.getrlimit(7)[1]
    resource.setrlimit(7, (limit, limit))
    fd, n, keep = os.open("/dev/null", os.O_RDONLY), 0, []
    try:
        while True:
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            keep += [a, b]
            for _ in range(8):
                try:
                    a.sendmsg([b"x"], [(1, 1, array.array("i", [fd] * 250))], socket.MSG_DONTWAIT)
                    n += 250
                except BlockingIOError:
                    break
    except OSError as error:
        say({"parked": n, "limit": limit, "end": errno.errorcode[error.errno]})
    time.sleep(60)


def pass_fds():
    a, b = socket.socketpair()
    poll = select.epoll()
    return {
        "pass": tried(lambda: socket.send_fds(a, [b"x"], [0, 1])),
        "epoll": tried(lambda: poll.register(b, select.EPOLLIN)),
    }


def stubborn():
    """S11: many processes, own sessions, every signal ignored."""
    for _ in range(60):
        if os.fork() == 0:
            os.setsid()
            for number in signal.valid_signals() - {9, 19}:
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            time.sleep(60)
            os._exit(0)
    say("up")
    time.sleep(60)


def restless():
    """Forks a child that forks a child, without end; each says that it lives by one byte on standard error."""
    say("up")
    while True:
        pid = os.fork()
        if pid == 0:
            os.write(2, b".")
            time.sleep(0.002)
            continue
        os.waitpid(pid, 0) if "wait" in sys.argv else os._exit(0)


def counting():
    """Counts on standard error as fast as it can, in two processes that wake each other."""
    say("up")
    parent = os.getpid()
    pid = os.fork()
    other = pid or parent
    while True:
        os.write(2, b".")
        time.sleep(0.005)
        try:
            os.kill(other, signal.SIGCONT)
        except ProcessLookupError:
            os._exit(0)
