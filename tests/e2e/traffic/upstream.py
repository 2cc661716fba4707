"""A real TLS server on loopback that the traffic tests reach under a name of their own through a bottle.

Paths: /bytes/N (N bytes of a known stream), /upload (answers the sha256 of the body), /sse (five events, each only
after the last was read), /git/... (git http-backend), /headers (what arrived, as JSON).
"""

import datetime
import hashlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BLOCK = hashlib.sha512(b"bot-bottle").digest() * 1024  # 64 KiB


def stream(count: int) -> Iterator[bytes]:
    """A known stream of `count` bytes whose blocks differ, so that a lost or doubled block shows."""
    number = 0
    while count > 0:
        block = (number.to_bytes(8, "big") + BLOCK[8:])[:count]
        yield block
        count -= len(block)
        number += 1


def stream_digest(count: int) -> str:
    digest = hashlib.sha256()
    for block in stream(count):
        digest.update(block)
    return digest.hexdigest()


def make_authority(directory: Path, host: str) -> tuple[Path, Path]:
    """Writes ca.pem and a server chain+key for `host`; their paths."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "traffic test authority")])

    def build(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
            now + datetime.timedelta(days=2)
        )

    authority = (
        build(issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        build(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "ca.pem").write_bytes(authority.public_bytes(pem))
    (directory / "server.pem").write_bytes(private + leaf.public_bytes(pem))
    return directory / "ca.pem", directory / "server.pem"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories = ""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path.startswith("/bytes/"):
            count = int(self.path.rsplit("/", 1)[1])
            self.send_response(200)
            self.send_header("Content-Length", str(count))
            self.end_headers()
            for block in stream(count):
                self.wfile.write(block)
        elif self.path == "/sse":
            self.events()
        elif self.path == "/headers":
            self.answer(200, json.dumps(dict(self.headers.items())).encode(), "application/json")
        elif self.path.startswith("/git/"):
            self.git(b"")
        else:
            self.answer(404, b"no such page\n")

    def body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left:
            block = self.rfile.read(min(left, 1 << 16))
            left -= len(block)
            yield block

    def do_PUT(self) -> None:
        digest = hashlib.sha256()
        for block in self.body():
            digest.update(block)
        self.answer(200, digest.hexdigest().encode() + b"\n")

    def do_POST(self) -> None:
        if self.path.startswith("/git/"):
            self.git(b"".join(self.body()))
        else:
            self.do_PUT()

    def events(self) -> None:
        """Each event waits until the reader has asked for it at /sse-next: nothing may be held back on the way."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(5):
            event = f"data: event {number}\n\n".encode()
            self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            self.wfile.flush()
            if not self.server.seen.acquire(timeout=10):  # pyright: ignore
                return
        self.wfile.write(b"0\r\n\r\n")

    def do_DELETE(self) -> None:
        self.server.seen.release()  # pyright: ignore
        self.answer(200, b"")

    def git(self, body: bytes) -> None:
        path, _, query = self.path.removeprefix("/git").partition("?")
        environment = {
            "PATH": "/usr/bin:/bin", "GIT_PROJECT_ROOT": self.repositories, "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        reply = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
        ).stdout
        head, _, content = reply.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Upstream(ThreadingHTTPServer):
    """The server; `port` is where it listens, `ca` the authority to trust."""

    daemon_threads = True

    def __init__(self, directory: Path, host: str) -> None:
        super().__init__(("127.0.0.1", 0), type("Bound", (Handler,), {"repositories": str(directory / "git")}))
        self.ca, chain = make_authority(directory, host)
        self.seen = threading.Semaphore(0)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is part of some tests."""
