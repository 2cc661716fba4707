"""Receivers that take what our sinks send and are strict about it: syslog (TCP, TLS), HTTP. Real sockets, own threads."""

import contextlib
import gzip
import http.server
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

_SYSLOG = re.compile(
    rb"<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) "
    rb"([\x21-\x7e]{1,128}) ([\x21-\x7e]{1,32}) -(?: (.*))?\Z",
    re.DOTALL,
)


@dataclass
class Syslog:
    """priority, when, host, app, process, kind: the header (RFC 5424). text: the message."""

    priority: int
    when: str
    host: str
    app: str
    process: str
    kind: str
    text: bytes


def frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Octet-counted frames (RFC 6587, 3.4.1) and the rest; AssertionError for anything else."""
    found: list[bytes] = []
    while True:
        match = re.match(rb"([1-9]\d{0,8}) ", data)
        if not match:
            assert re.match(rb"\d{0,9}\Z", data), data[:80]
            return found, data
        end = match.end() + int(match[1])
        if len(data) < end:
            return found, data
        found.append(data[match.end() : end])
        data = data[end:]


def syslog(frame: bytes) -> Syslog:
    """One message, strictly."""
    match = _SYSLOG.match(frame)
    assert match, frame[:200]
    head = [part.decode() for part in match.groups()[1:6]]
    assert int(match[1]) <= 191
    return Syslog(int(match[1]), *head, match[7] or b"")


class SyslogReceiver:
    """Keeps whole messages. `stop` closes everything; `start` listens at the same port again."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.messages: list[Syslog] = []
        self.faults: list[str] = []
        self.connections = 0
        self._context = context
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = 0
        self.start()

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._run(self._accept)

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self._run(self._serve, link)

    def _serve(self, link: socket.socket) -> None:
        rest = b""
        self._open.append(link)
        try:
            if self._context is not None:
                link = self._context.wrap_socket(link, server_side=True)
                self._open.append(link)
            while data := link.recv(65536):
                found, rest = frames(rest + data)
                self.messages += [syslog(frame) for frame in found]
        except (OSError, ssl.SSLError):
            pass
        except AssertionError as error:
            self.faults.append(str(error))
        finally:
            link.close()

    def drop(self) -> None:
        """Ends every connection, with what it has not read."""
        for link in self._open:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(5)
        self._threads.clear()


@dataclass
class Post:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """answer: (status, headers, body) for a request; every request is kept, refused ones as well."""

    answer: Callable[[Post], tuple[int, dict[str, str], bytes]] = lambda _post: (200, {}, b"")
    context: ssl.SSLContext | None = None
    posts: list[Post] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                post = Post(self.path, headers, body)
                receiver.posts.append(post)
                status, more, reply = receiver.answer(post)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(reply)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply)

            do_PUT = do_POST

            def log_message(self, format: str, *args: object) -> None:
                return

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address) -> None:
                return

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self.context is not None:
            self._server.socket = self.context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def otlp(post: Post) -> ExportLogsServiceRequest:
    """The request, parsed strictly: an unknown field or a wrong type raises."""
    return json_format.Parse(post.body, ExportLogsServiceRequest(), ignore_unknown_fields=False)


def records(request: ExportLogsServiceRequest) -> Iterator:
    """Its log records."""
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            yield from scope.log_records


@dataclass
class Certificates:
    """PEM files of a test authority and of a server's certificate for 127.0.0.1 and localhost."""

    ca: Path
    certificate: Path
    key: Path

    def server(self, clients: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context


def certificates(folder: Path) -> Certificates:
    """A fresh authority and a server certificate."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)

    def made(name: str, issuer=None, signer=None, names=()):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(
            now + datetime.timedelta(days=1)
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
            authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
            builder = builder.add_extension(authority, critical=False)
        else:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(signer or key, hashes.SHA256()), key

    authority, authority_key = made("test authority")
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf, leaf_key = made("127.0.0.1", authority.subject, authority_key, names)
    pem = serialization.Encoding.PEM
    found = Certificates(folder / "ca.pem", folder / "leaf.pem", folder / "leaf.key")
    found.ca.write_bytes(authority.public_bytes(pem))
    found.certificate.write_bytes(leaf.public_bytes(pem))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    found.key.write_bytes(leaf_key.private_bytes(pem, form, plain))
    return found
