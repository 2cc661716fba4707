"""The agent's side of the seal's attacks: `python -I seal_inside.py NAME [ARGS]` prints one JSON value.

Every call reports OPEN or the name of the error that stopped it. System call numbers are those of x86_64.
"""

import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import signal
import socket
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)


def call(*args):
    result = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    return "OPEN" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def tried(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, "timeout")
    return "OPEN"


def inherited():
    """D01: descriptors 8 and 9 are a connected socket and a directory in the launcher."""
    fds = [f for f in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{f}")]
    found = {f: os.readlink(f"/proc/self/fd/{f}") for f in fds}
    odd = [v for k, v in found.items() if int(k) > 2 and not v.startswith(("/proc/", "/run/bot-bottle"))]
    return {
        "dirfd": tried(lambda: os.open("etc/shadow", os.O_PATH, dir_fd=9)),
        "socket": tried(lambda: socket.socket(fileno=8).sendall(b"out")),
        "odd": odd,
    }


def reopen_stdout():
    def rewrite():
        fd = os.open("/proc/self/fd/2", os.O_RDWR)
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"rewritten", 0)

    return tried(rewrite)


def reads(path, needle):
    try:
        with open(path, "rb") as file:
            return needle in file.read()
    except OSError:
        return False


def memory_holds(pid, needle):
    try:
        with open(f"/proc/{pid}/maps") as file:
            maps = [line.split() for line in file]
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return False
    for line in maps:
        start, end = (int(x, 16) for x in line[0].split("-"))
        try:
            if needle in os.pread(memory, end - start, start):
                return True
        except (OSError, OverflowError):
            pass
    return False


def canary():
    """D03: argument: hex of the text to look for."""
    needle = bytes.fromhex(sys.argv[2])
    hits = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) != os.getpid():
            hits += [f"{pid}/{n}" for n in ("environ", "cmdline", "auxv") if reads(f"/proc/{pid}/{n}", needle)]
            hits += [f"{pid}/mem"] if memory_holds(pid, needle) else []
    return hits


def canary_of_newcomers():
    """D03: looks at every process that appears for two seconds, as fast as it can."""
    needle = bytes.fromhex(sys.argv[2])
    known, seen = {int(p) for p in os.listdir("/proc") if p.isdigit()}, 0
    print(json.dumps("watching"), flush=True)
    end = time.time() + 2
    while time.time() < end:
        for pid in [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) not in known]:
            known.add(pid)
            seen += 1
            for _ in range(200):
                if reads(f"/proc/{pid}/environ", needle) or memory_holds(pid, needle):
                    print(json.dumps({"found": pid, "seen": seen}), flush=True)
                    time.sleep(30)  # our end would end the newcomer, too
                time.sleep(0.001)
    return {"found": 0, "seen": seen}


def pid_one():
    buf = ctypes.create_string_buffer(8)
    vec = struct.pack("QQ", ctypes.addressof(buf), 8)
    return {
        "mem": tried(lambda: open("/proc/1/mem", "rb")),
        "mem via ..": tried(lambda: open("/proc/self/task/../../1/mem", "rb")),
        "seize": call(101, 0x4206, 1, 0, 0),
        "seize high bits": call(101, 0x4206, (1 << 32) + 1, 0, 0),
        "vm_readv": call(310, 1, vec, 1, vec, 1, 0),
        "pidfd_open": call(434, 1, 0),
    }


def own_child_traced():
    pid = os.fork()
    if pid == 0:
        signal.pause()
    out = call(101, 0x4206, pid, 0, 0)
    os.kill(pid, 9)
    return out


def trace_rewrite():
    """A tracer swaps its child's getpid for io_uring_setup after the entry of the system call."""
    pid = os.fork()
    if pid == 0:
        libc.ptrace(0, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        libc.syscall(39)
        os._exit(0)
    os.waitpid(pid, 0)
    for _ in range(40):
        call(101, 24, pid, 0, 0)
        os.waitpid(pid, 0)
        word = ctypes.c_long()
        call(101, 3, pid, 120, ctypes.byref(word))
        if word.value == 39:
            call(101, 6, pid, 120, 425)
            call(101, 24, pid, 0, 0)
            os.waitpid(pid, 0)
            call(101, 3, pid, 80, ctypes.byref(word))
            os.kill(pid, 9)
            return errno.errorcode.get(-word.value, word.value)
    return "not seen"


def find_key():
    return call(250, 10, -3, b"user", b"seal-canary", 0)


def kernel():
    """Call name: outcome."""
    buf = ctypes.create_string_buffer(256)
    return {
        "io_uring": call(425, 8, buf),
        "keyctl": call(250, 0, -3, 0),
        "add_key": call(248, b"user", b"seal", b"x", 1, -2),
        "bpf": call(321, 0, buf, 72),
        "userfaultfd": call(323, 1),
        "perf": call(298, buf, 0, -1, -1, 0),
        "by_handle": call(304, -100, buf, 0),
        "unshare user": call(272, 0x10000000),
        "setns": call(308, 0, 0),
        "mount": call(165, b"x", b"/tmp", b"tmpfs", 0, 0),
        "remount": call(165, None, b"/usr", None, 4096 | 32, 0),
        "umount": call(166, b"/proc/1", 2),
        "open_tree": call(428, -100, b"/", 1),
        "chroot": call(161, b"/tmp"),
        "personality": call(135, 0x0040000),
        "x32 getpid": call(0x40000000 + 39),
        "unknown 468": call(468),
        "fanotify": call(300, 0x800, 0),
        "mknod device": call(133, b"/tmp/dev", 0x2000 | 0o666, 0x0103),
        "clone3": call(435, buf, 88),
        "ldt": call(154, 0, buf, 16),
        "clone user": cloned(0x10000000),
        "clone net+user": cloned(0x50000000),
        "pidfd_getfd": call(438, 0, 0, 0),
    }


def cloned(flags):
    pid = libc.syscall(*map(ctypes.c_long, (56, flags | 17, 0, 0, 0, 0)))
    if pid == 0:
        os._exit(0)
    return "OPEN" if pid > 0 else errno.errorcode[ctypes.get_errno()]


def int80():
    """getpid by the 32-bit entry: another table of numbers."""
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(bytes.fromhex("b814000000cd80c3"))
    pid = os.fork()
    if pid == 0:
        os._exit(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() < 1)
    status = os.waitpid(pid, 0)[1]
    return signal.Signals(status & 127).name if status & 127 else "OPEN"


def sysctls():
    files = [p for p in glob.glob("/proc/sys/**", recursive=True) if os.path.isfile(p)]
    names = ("kernel/core_pattern", "net/ipv4/ip_unprivileged_port_start", "user/max_user_namespaces")
    out = {n: tried(lambda n=n: os.close(os.open(f"/proc/sys/{n}", os.O_WRONLY))) for n in names}
    return {
        **out,
        "sysrq": tried(lambda: open("/proc/sysrq-trigger", "w")),
        "keys": tried(lambda: open("/proc/keys").read()),
        "oom": tried(lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-5")),
        "writable": str(sum(os.access(p, os.W_OK) for p in files)),
    }


def status():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    keep = {k: v.strip() for k, v in fields.items() if k.startswith(("Cap", "NoNew", "Seccomp"))}
    with open("/proc/self/uid_map") as file:
        maps = file.read().split()
    return {**keep, "groups": os.getgroups(), "uid": os.getuid(), "map": maps}


def set_id():
    """S03: every way to a file with a set-id bit, in the current directory."""
    at = {"mode": 0o4755, "flags": os.O_CREAT | os.O_WRONLY}
    out = {"open": tried(lambda: os.close(os.open("suid-open", at["flags"], 0o6755)))}
    open("suid", "w").close()
    out["chmod"] = tried(lambda: os.chmod("suid", 0o4755))
    out["chmod group"] = tried(lambda: os.chmod("suid", 0o2755))
    out["fchmod"] = tried(lambda: os.chmod(os.open("suid", os.O_RDONLY), 0o4755))
    out["fchmodat2"] = call(452, -100, b"suid", 0o4755, 0)
    out["creat"] = call(85, b"suid-creat", 0o4755)
    out["mknod"] = call(133, b"suid-mknod", 0o100000 | 0o4755, 0)
    out["mkdir"] = call(83, b"sgid-dir", 0o2755)
    how = struct.pack("QQQ", at["flags"], 0o4755, 0)
    out["openat2"] = call(437, -100, b"suid-openat2", how, len(how))
    out["tmpfile"] = tried(lambda: os.open(".", os.O_TMPFILE | os.O_RDWR, 0o4755))
    out["link"] = tried(lambda: os.chmod("suid", 0o755))
    return out


def terminal():
    return {
        "TIOCSTI": tried(lambda: fcntl.ioctl(0, 0x5412, b"x")),
        "TIOCSTI high bits": call(16, 0, 0x100005412, b"x"),
        "TIOCLINUX": tried(lambda: fcntl.ioctl(0, 0x541C, b"\x03")),
        "TIOCSETD": tried(lambda: fcntl.ioctl(0, 0x5423, struct.pack("i", 0))),
        "tty": os.ttyname(0),
        "own": os.tcgetpgrp(0) == os.getpgrp() == os.getsid(0) > 0,
    }


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    attack = globals().get(sys.argv[1])
    if attack is None:
        import seal_inside_load
        import seal_inside_net

        attack = getattr(seal_inside_net, sys.argv[1], None) or getattr(seal_inside_load, sys.argv[1])
    print(json.dumps(attack()), flush=True)
