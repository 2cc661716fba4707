"""Runs inside a bottle that is about to start: tries the ways out and prints one line for each that is open.

A file of its own, standard library only, started by the init as a child with the agent's confinement:
`python -I -S -B probe.py TCP-PORT UDP-PORT ABSTRACT-NAME COMPLEMENTED-CANARY HOST-NETWORK-NAMESPACE`.
The last line is `end`; without it the launcher counts the probe as failed. Nothing here needs the network's answer.
"""

import _socket  # socket itself costs as much time as all the rest of the probe
import ctypes
import os
import stat
import sys

METADATA_V4 = ("169.254.169.254", "100.100.100.200", "168.63.129.16", "169.254.170.2")
METADATA_V6 = ("fd00:ec2::254", "2606:4700:4700::1111")
CLOSED_PORT = 9  # no door: refused at once, whatever the address
IGNORED_FDS = ("pipe:", "/dev/null", "/dev/pts/", "/dev/tty", "/proc/", "/run/bot-bottle/", "anon_inode:")
FAMILIES = {
    "vsock": (40, 1, 0),
    "packet": (17, 3, 768),
    "raw": (2, 3, 1),
    "ping": (2, 2, 1),
    "mptcp": (2, 1, 262),
    "sctp": (2, 1, 132),
    "udplite": (2, 2, 136),
    "netlink-diag": (16, 3, 4),
    "netlink-netfilter": (16, 3, 12),
    "alg": (38, 5, 0),
    "bluetooth": (31, 3, 1),
    "xdp": (44, 3, 0),
    "tipc": (30, 1, 0),
}
CALLS = {  # name -> number, arguments; by machine
    "x86_64": {
        "unshare(user)": (272, 0x10000000),
        "setns": (308, 0, 0),
        "mount": (165, b"x", b"/tmp", b"tmpfs", 0, 0),
        "keyctl": (250, 0, -3, 0),
        "bpf": (321, 0, None, 72),
        "userfaultfd": (323, 1),
        "perf_event_open": (298, None, 0, -1, -1, 0),
        "ptrace of pid 1": (101, 0x4206, 1, 0, 0),
    },
    "aarch64": {
        "unshare(user)": (97, 0x10000000),
        "setns": (268, 0, 0),
        "mount": (40, b"x", b"/tmp", b"tmpfs", 0, 0),
        "keyctl": (219, 0, -3, 0),
        "bpf": (280, 0, None, 72),
        "userfaultfd": (282, 1),
        "perf_event_open": (241, None, 0, -1, -1, 0),
        "ptrace of pid 1": (117, 0x4206, 1, 0, 0),
    },
}
COMMON_CALLS = {"io_uring_setup": (425, 8, ctypes.create_string_buffer(256)), "pidfd_open of pid 1": (434, 1, 0)}
MEMORY_CHUNK = 1 << 20
found: list[str] = []


def report(way: str) -> None:
    found.append(way)


def descriptors(pid: str) -> None:
    """D01: nothing but our own pipes, terminal and files."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{fd}"
        try:
            target = os.readlink(path)
            mode = os.stat(path).st_mode
        except OSError:
            continue
        if target.startswith("socket:") or (stat.S_ISDIR(mode) and not target.startswith("/proc/")):
            report(f"descriptor {fd} of process {pid} is {target}")
        elif not target.startswith(IGNORED_FDS) and not stat.S_ISFIFO(mode):
            report(f"descriptor {fd} of process {pid} is the host's {target}")


def network(host_namespace: str) -> None:
    if os.readlink("/proc/self/ns/net") == host_namespace:
        report("the network namespace is the host's")
    with open("/proc/net/dev") as file:
        names = [line.split(":")[0].strip() for line in file.readlines()[2:]]
    for name in names:
        if name != "lo":
            report(f"there is a network interface {name}")
    with open("/proc/net/route") as file:
        if any(line.split()[0] != "lo" for line in file.readlines()[1:]):
            report("a route leads out of the bottle")


def reaches(address: str, port: int, family: int, timeout: float = 1.0) -> str:
    """open | refused | lost: the word for what a TCP connection met."""
    sock = _socket.socket(family, _socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect((address, port))
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "lost"
    finally:
        sock.close()
    return "open"


def addresses() -> None:
    """B11, B18, B22: every address is the gateway's on its own ports and refuses on all others."""
    v6 = [(address, _socket.AF_INET6) for address in METADATA_V6 if os.path.exists("/proc/net/if_inet6")]
    for address, family in [(address, _socket.AF_INET) for address in METADATA_V4] + v6:
        if reaches(address, 80, family) != "open":
            report(f"{address} port 80 is not answered by the gateway")
        if (word := reaches(address, CLOSED_PORT, family)) != "refused":
            report(f"{address} port {CLOSED_PORT} is {word}, not refused")


def bait(tcp: int, udp: int, name: str) -> None:
    """B26, B54: the launcher listens outside; it looks at its own side, too."""
    if reaches("127.0.0.1", tcp, _socket.AF_INET) == "open":
        report("the host's loopback is reachable by TCP")
    datagram = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        datagram.connect(("127.0.0.1", udp))
        datagram.send(b"x")
    except OSError:
        pass
    datagram.close()
    abstract = _socket.socket(_socket.AF_UNIX)
    try:
        abstract.connect("\0" + name)
        report("an abstract unix socket of the host is reachable")
    except OSError:
        pass
    abstract.close()


def sockets() -> None:
    """S01, S07, B22, B26: families and protocols that a network namespace or a filter must keep shut."""
    for name, arguments in FAMILIES.items():
        try:
            _socket.socket(*arguments).close()
        except OSError:
            continue
        report(f"a {name} socket opens")


def calls() -> None:
    """S02, S09, B57, B58, B69. A call that is filtered fails before it looks at its arguments."""
    libc = ctypes.CDLL(None, use_errno=True)
    table = CALLS.get(os.uname().machine, {}) | COMMON_CALLS
    for name, arguments in table.items():
        values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
        if libc.syscall(*values) >= 0:
            report(f"{name} is allowed")
        elif ctypes.get_errno() not in (1, 38):
            report(f"{name} is not filtered")


def privileges() -> None:
    """S03: no capability, no way to gain one, and an identity that is not the host's root."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(fields[name], 16):
            report(f"{name} is not empty")
    if fields["NoNewPrivs"].strip() != "1" or fields["Seccomp"].strip() != "2":
        report("no_new_privs or the system call filter is missing")
    with open("/proc/self/uid_map") as file:
        rows = [line.split() for line in file]
    if len(rows) != 1 or rows[0][2] != "1" or os.getuid() == 0:
        report("more than one user id is mapped, or the agent is root")
    if os.access("/proc/sys/kernel/core_pattern", os.W_OK) or not os.statvfs("/proc/sys").f_flag & os.ST_RDONLY:
        report("kernel settings are writable")


def tree() -> None:
    """S05, B54, D16: nothing of the host's /run, no writable system directory, no host process."""
    for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus", "/run/user", "/run/systemd", "/etc/shadow"):
        if os.path.lexists(path):
            report(f"{path} is visible")
    for path in ("/", "/etc", "/usr", "/dev", "/run", "/proc/1"):
        if os.path.isdir(path) and not os.statvfs(path).f_flag & os.ST_RDONLY:
            report(f"{path} is writable")
    if len(pids()) > 4:
        report("processes of others are visible")


def pids() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def canary(complement: str) -> None:
    """D03: the launcher's environment is in no process that the agent can read."""
    needle = bytes(byte ^ 0xFF for byte in bytes.fromhex(complement)).hex().encode()
    for pid in pids():
        if pid == str(os.getpid()):
            continue
        for name in ("environ", "cmdline", "auxv"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if needle in file.read():
                        report(f"/proc/{pid}/{name} shows the launcher's environment")
            except OSError:
                continue
        if in_memory(pid, needle):
            report(f"/proc/{pid}/mem shows the launcher's environment")


def in_memory(pid: str, needle: bytes) -> bool:
    """Writable mappings only: a copy of an environment lies on a stack or heap."""
    try:
        with open(f"/proc/{pid}/maps") as file:
            maps = [line.split() for line in file]
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return False
    for line in maps:
        if "w" not in line[1]:
            continue
        start, end = (int(word, 16) for word in line[0].split("-"))
        for at in range(start, end, MEMORY_CHUNK):
            try:
                if needle in os.pread(memory, min(MEMORY_CHUNK + len(needle), end - at), at):
                    return True
            except (OSError, OverflowError):
                break
    return False


def main() -> None:
    tcp, udp, name, complement, host_namespace = sys.argv[1:]
    for pid in ("self", str(os.getppid())):
        descriptors(pid)
    network(host_namespace)
    addresses()
    bait(int(tcp), int(udp), name)
    sockets()
    calls()
    privileges()
    tree()
    canary(complement)
    for way in found:
        print(way.replace("\n", " "))
    print("end", flush=True)


if __name__ == "__main__":
    main()
