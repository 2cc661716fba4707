"""Runs inside a bottle: tries every way to the sandbox's own control, and prints what answered."""

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from contextlib import closing, suppress

PROXY = ("127.0.0.1", json.loads(sys.argv[1]).get("proxy", 3128))
NAME = "bot-bottle.internal"
CALL = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_routes", "arguments": {}}}
).encode()


def talk(place: tuple[str, int], data: bytes) -> bytes:
    with socket.create_connection(place, timeout=10) as sock:
        sock.sendall(data)
        with suppress(TimeoutError, ConnectionError):
            return sock.recv(65536)
    return b""


def post(line: str, host: str) -> bytes:
    fields = f"{line} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{fields}Content-Length: {len(CALL)}\r\n\r\n".encode() + CALL


def main() -> None:
    asked = json.loads(sys.argv[1])
    port, reached = asked["port"], []
    for address in asked["addresses"]:
        with suppress(OSError):
            talk((address, port), b"GET / HTTP/1.1\r\n\r\n")
            reached.append(f"direct {address}")
        shown = f"[{address}]" if ":" in address else address
        if b" 200 " in talk(PROXY, post(f"POST http://{shown}:{port}/", f"{shown}:{port}"))[:20]:
            reached.append(f"proxy {address}")
        tunnel = f"CONNECT {shown}:{port} HTTP/1.1\r\nHost: {shown}:{port}\r\n\r\n".encode()
        with closing(socket.create_connection(PROXY, timeout=10)) as sock:
            sock.sendall(tunnel)
            if b" 200 " in sock.recv(65536)[:20]:  # CONNECT is always taken; what comes inside decides
                sock.sendall(post("POST /", f"{shown}:{port}"))
                if b" 200 " in sock.recv(65536)[:20]:
                    reached.append(f"tunnel {address}")
    for line, host in (
        (f"POST http://localhost:{port}/", f"localhost:{port}"), (f"POST http://{NAME}:{port}/", f"{NAME}:{port}"),
        (f"POST http://{NAME}/", f"127.0.0.1:{port}"), (f"POST http://127.0.0.1:{port}/", NAME),
        (f"POST http://{NAME}/api/asks", NAME), (f"POST http://{NAME}/mcp/../api/answer", NAME), (f"GET http://{NAME}/", NAME),
    ):  # fmt: skip
        if b" 200 " in talk(PROXY, post(line, host))[:20]:
            reached.append(line)
    for top in asked["places"]:
        for folder, _, names in os.walk(top):
            reached += [
                f"socket {folder}/{name}"
                for name in names
                if os.stat(f"{folder}/{name}").st_mode & 0o170000 == 0o140000
            ]
    with open("/proc/net/unix") as table:
        reached += [f"abstract {line.split()[-1]}" for line in table if "@" in line]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": f"http://{PROXY[0]}:{PROXY[1]}"}))
    request = urllib.request.Request(f"http://{NAME}/mcp", CALL, {"Content-Type": "application/json"})
    with opener.open(request, timeout=10) as reply:
        own = json.load(reply)["result"]["structuredContent"]["state"]
    print(json.dumps({"reached": reached, "own": own}))


if __name__ == "__main__":
    main()
