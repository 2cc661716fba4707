"""A network namespace with a public address of its own, where names lead to it: the outside world of a test.

A socket belongs to the namespace in which it was made, so a server of this process can listen there.
"""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ADDRESS = "93.184.215.14"
NAME = "files.example.org"
_CLONE_NEWNET = 0x40000000
_SETUP = "mount --bind '{hosts}' /etc/hosts && ip link set lo up && ip addr add {address}/32 dev lo && echo ready && exec sleep 900"


class Elsewhere:
    def __init__(self, folder: Path) -> None:
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
        script = _SETUP.format(hosts=hosts, address=ADDRESS)
        argv = ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", script]
        self.holder = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout is not None and self.holder.stdout.readline() == "ready\n"

    def enter(self, directory: Path) -> list[str]:
        """What comes before a command that is to run there."""
        at = f"/proc/{self.holder.pid}/ns"
        return ["nsenter", f"--net={at}/net", f"--mount={at}/mnt", f"--wd={directory}", "--"]

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening socket there."""
        return self._there(lambda: socket.create_server((address, port), backlog=64))

    def _there(self, make: Callable[[], socket.socket]) -> socket.socket:
        found: list[socket.socket | BaseException] = []

        def run() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            fd = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if libc.setns(fd, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                found.append(make())
            except BaseException as error:
                found.append(error)
            finally:
                os.close(fd)

        thread = threading.Thread(target=run)  # its namespace ends with it
        thread.start()
        thread.join()
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()
        assert self.holder.stdout is not None
        self.holder.stdout.close()


class Files(ThreadingHTTPServer):
    """Answers every GET at the public address with the same text; seen: paths that were asked for."""

    daemon_threads = True

    def __init__(self, elsewhere: Elsewhere) -> None:
        self.seen: list[str] = []
        super().__init__((ADDRESS, 80), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = elsewhere.listen(ADDRESS, 80)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Files)
        self.server.seen.append(self.path)
        body = b"the file\n"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
