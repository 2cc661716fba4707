"""The agent's side of the seal's attacks, continued: network, sockets, names and the tree it sees."""

import errno
import glob
import os
import socket
import struct
import subprocess
import sys
import time


def tried(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, "timeout")
    return "OPEN"


def steal():
    """B63: binds over the doors, in every notation and with every option that shares a port."""
    out = {}
    places = (
        (2, "127.0.0.1", 443, 1),
        (2, "1.2.3.4", 80, 1),
        (2, "127.0.0.1", 3128, 1),
        (2, "10.9.9.9", 3128, 1),
        (2, "0.0.0.0", 3128, 1),
        (10, "::1", 3128, 1),
        (10, "::ffff:127.0.0.1", 3128, 1),
        (10, "::1", 443, 1),
        (10, "::", 3128, 1),
        (2, "127.0.0.1", 53, 2),
        (10, "::1", 53, 2),
        (2, "127.0.0.1", 8443, 1),
        (2, "127.0.0.1", 9999, 1),
    )
    for family, address, port, kind in places:
        sock = socket.socket(family, kind)
        sock.setsockopt(1, 2, 1)
        sock.setsockopt(1, 15, 1)
        if family == 10:
            sock.setsockopt(41, 26, 0 if "ffff" in address else 1)
        out[f"{address} {port}"] = tried(
            lambda s=sock, a=address, p=port, k=kind: (s.bind((a, p)), k == 1 and s.listen(1))
        )
        sock.close()
    return out


FAMILIES = {
    "raw": (2, 3, 1),
    "raw6": (10, 3, 58),
    "ping": (2, 2, 1),
    "ping6": (10, 2, 58),
    "sctp": (2, 1, 132),
    "dccp": (2, 6, 33),
    "mptcp": (2, 1, 262),
    "smc": (2, 1, 256),
    "udplite": (2, 2, 136),
    "l2tp": (2, 2, 115),
    "nl_diag": (16, 3, 4),
    "nl_xfrm": (16, 3, 6),
    "nl_audit": (16, 3, 9),
    "nl_nf": (16, 3, 12),
    "nl_uevent": (16, 3, 15),
    "nl_generic": (16, 3, 16),
    "nl_crypto": (16, 3, 21),
    "alg": (38, 5, 0),
    "vsock": (40, 1, 0),
    "packet": (17, 3, 768),
    "bluetooth": (31, 3, 1),
    "xdp": (44, 3, 0),
    "tipc": (30, 1, 0),
    "rds": (21, 5, 0),
    "can": (29, 3, 1),
    "nfc": (39, 5, 0),
    "kcm": (41, 5, 0),
    "qrtr": (42, 2, 0),
}
USED = {
    "unix": (1, 1, 0),
    "tcp": (2, 1, 6),
    "udp6": (10, 2, 17),
    "route": (16, 3, 0),
}


def families():
    out = {name: tried(lambda a=arguments: socket.socket(*a)) for name, arguments in FAMILIES.items()}
    return {"refused": out, "used": {name: tried(lambda a=a: socket.socket(*a)) for name, a in USED.items()}}


def baits():
    """Arguments: port, then addresses with commas. The host listens there, and on the abstract name of the port."""
    port, out = int(sys.argv[2]), {}
    for address in sys.argv[3].split(","):
        sock = socket.socket()
        sock.settimeout(2)
        out["tcp " + address] = tried(lambda s=sock, a=address: s.connect((a, port)))
        udp = socket.socket(2, 2)
        udp.connect((address, port))
        out["udp " + address] = tried(lambda u=udp: (u.send(b"x"), time.sleep(0.05), u.send(b"x")))
    name = f"\0seal-bait-{port}"
    out["abstract"] = tried(lambda: socket.socket(1).connect(name))
    datagram = socket.socket(1, 2)
    out["abstract sendto"] = tried(lambda: datagram.sendto(b"x", name + "-dgram"))
    out["abstract sendmsg"] = tried(lambda: datagram.sendmsg([b"x"], [], 0, name + "-dgram"))
    fast = socket.socket()
    fast.settimeout(2)
    out["fast open"] = tried(lambda: fast.sendto(b"GET /", 0x20000000, (sys.argv[3].split(",")[0], port)))
    return out


def fetch(address, port, family):
    with socket.socket(family) as sock:
        sock.settimeout(3)
        sock.connect((address, port))
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return "GATE" if f"GATE {address}:{port}" in sock.recv(999).decode() else "else"


def ask(address, family, kind):
    query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\3foo\3bar\0\0\1\0\1"
    with socket.socket(family, kind) as sock:
        sock.settimeout(3)
        sock.connect((address, 53))
        sock.send(query if kind == 2 else struct.pack("!H", len(query)) + query)
        return "GATE" if sock.recv(999)[-4:-2] == bytes((198, 18)) else "else"


METADATA = (
    ("169.254.169.254", 80, 2), ("169.254.170.2", 80, 2), ("100.100.100.200", 80, 2), ("168.63.129.16", 80, 2),
    ("192.0.0.192", 80, 2), ("8.8.8.8", 443, 2), ("fd00:ec2::254", 80, 10), ("2606:4700::1111", 443, 10),
    ("fe80::a9fe:a9fe", 80, 10), ("64:ff9b::a9fe:a9fe", 80, 10), ("2002:a9fe:a9fe::", 80, 10), ("::1", 3128, 10),
    ("127.0.0.1", 3128, 2), ("127.0.0.1", 8443, 2),
)  # fmt: skip
RESOLVERS = (("8.8.8.8", 2, 2), ("1.1.1.1", 2, 1), ("2001:4860:4860::8888", 10, 2), ("2620:fe::fe", 10, 1))
SPELLINGS = ("http://0xa9fea9fe/", "http://2852039166/", "http://0251.0376.0251.0376/", "http://169.254.43518/")


def outcome(action):
    try:
        return action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def to_the_gate():
    """B18, B22, B24: addresses and resolvers that a program has built in, without any proxy variable."""
    out = {
        f"{a} {p}": outcome(lambda a=a, p=p, f=f: fetch(a, p, f)) for a, p, f in METADATA if not a.startswith("fe80")
    }
    out |= {f"dns {a} {k}": outcome(lambda a=a, f=f, k=k: ask(a, f, k)) for a, f, k in RESOLVERS}
    for url in SPELLINGS:
        done = subprocess.run(["curl", "-s", "-m", "3", "--noproxy", "*", url], capture_output=True, text=True)
        out[url] = "GATE" if "GATE" in done.stdout else f"curl {done.returncode}"
    name = subprocess.run(["curl", "-s", "-m", "5", "--noproxy", "*", "http://made.up.example/"], capture_output=True)
    out["a name"] = "GATE" if b"GATE 198.18." in name.stdout else f"curl {name.returncode}"
    return out


def other_ports():
    """B11, B26: every other port is refused at once, whatever the address; UDP has no door but 53."""
    out = {}
    for address, family in (
        ("127.0.0.1", 2),
        ("10.0.0.1", 2),
        ("93.184.216.34", 2),
        ("::1", 10),
        ("2606:2800::1", 10),
    ):
        for port in (22, 25, 853, 3306, 5432, 6379, 8080, 2375):
            sock = socket.socket(family)
            sock.settimeout(2)
            out[f"tcp {address} {port}"] = tried(lambda s=sock, a=address, p=port: s.connect((a, p)))
        for port in (443, 123, 3478, 5353):
            udp = socket.socket(family, 2)
            out[f"udp {address} {port}"] = tried(
                lambda u=udp, a=address, p=port: (u.connect((a, p)), u.send(b"x"), time.sleep(0.02), u.send(b"x"))
            )
    return out


def rearrange():
    """B58: as if it had NET_ADMIN: routes, addresses and the loopback interface."""

    def netlink(kind, flags, body):
        with socket.socket(16, 3, 0) as sock:
            sock.bind((0, 0))
            sock.send(struct.pack("IHHII", 16 + len(body), kind, 5 | flags, 1, 0) + body)
            error = struct.unpack("i", sock.recv(4096)[16:20])[0]
            if error:
                raise OSError(-error, "netlink")

    route = struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 4, 254, 2, 0) + struct.pack("HHI", 8, 4, 1)
    link = struct.pack("BBHiII", 0, 0, 0, 1, 0, 1)
    address = struct.pack("BBBBI", 2, 32, 0, 0, 1) + struct.pack("HH4B", 8, 2, 203, 0, 113, 5)
    new_link = struct.pack("BBHiII", 0, 0, 0, 0, 0, 0) + struct.pack("HH", 8, 3) + b"d0\0\0"
    return {
        "route del": tried(lambda: netlink(25, 0, route)),
        "lo down": tried(lambda: netlink(16, 0, link)),
        "address add": tried(lambda: netlink(20, 0x600, address)),
        "link add": tried(lambda: netlink(16, 0x600, new_link)),
    }


def host_services():
    """B54, B55, S05: sockets of the host's services by their usual path, and a session bus to start processes with."""
    usual = ("/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock")
    usual += ("/run/dbus/system_bus_socket", "/run/systemd/private", "/run/snapd.socket", "/run/user/0/bus")
    out = {path: tried(lambda p=path: socket.socket(1).connect(p)) for path in (*usual, *sys.argv[2:])}
    if os.path.exists("/run/bot-bottle/init"):
        out["sockets found"] = (
            ",".join(p for top in ("/run", "/tmp", "/var", "/home") for p in sockets_below(top)) or "none"
        )
    return out


def sockets_below(top):
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path) and os.path.exists(path) and (os.stat(path).st_mode & 0o170000) == 0o140000:
                yield path


def looks():
    """What of the host the agent can see: processes, the host's files by their paths, mounts."""
    hidden = (
        "/etc/shadow",
        "/etc/ssh",
        "/etc/sudoers",
        "/root/.ssh",
        "/var/lib",
        "/run/systemd",
        "/boot",
        "/sys/kernel",
    )
    return {
        "pids": len([p for p in os.listdir("/proc") if p.isdigit()]),
        "visible": [path for path in (*hidden, *sys.argv[2:]) if os.path.exists(path)],
        "root": sorted(os.listdir("/")),
        "run": sorted(os.listdir("/run")),
        "home": sorted(glob.glob("/home/*")),
        "interfaces": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else ["no /sys"],
        "resolv": text_of("/etc/resolv.conf"),
    }


def relay():
    """B03: a relay of the agent's own that passes connections on, to the argument's port and to the gateway."""

    def through(port):
        with socket.create_server(("127.0.0.1", 0)) as own:
            if os.fork() == 0:
                try:
                    client, _ = own.accept()
                    with client, socket.create_connection(("127.0.0.1", port), 2) as onward:
                        onward.sendall(client.recv(4096))
                        client.sendall(onward.recv(4096))
                finally:
                    os._exit(0)  # also after a refused connection: the parent alone reports
            with socket.create_connection(own.getsockname(), 2) as sock:
                sock.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
                return sock.recv(4096)

    def attempt(port):
        try:
            return through(port).decode()
        except OSError as error:
            return errno.errorcode.get(error.errno, "timeout")

    return {"gateway": attempt(3128), "host": attempt(int(sys.argv[2]))}


def text_of(path):
    with open(path) as file:
        return file.read()


def talk():
    """B54: connect() to unix sockets that lie in the workspace (the arguments)."""
    return {name: tried(lambda n=name: socket.socket(1).connect(n)) for name in sys.argv[2:]}


def append(name):
    with open(name, "a") as file:
        file.write("evil")


def workspace():
    """D14: links, names, sockets and pipes of the source."""
    out = {
        "append": tried(lambda: append("linked")),
        "unlink": tried(lambda: os.unlink("gone")),
        "unix": tried(lambda: socket.socket(1).connect("dev.sock")),
        "fifo": tried(lambda: os.open("fifo", os.O_WRONLY | os.O_NONBLOCK)),
    }
    os.mkdir("new")
    return out
