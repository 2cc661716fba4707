"""The scripted model server behind TLS under the vendors' real host names, signed by an authority of the test."""

import contextlib
import datetime
import json
import socket
import ssl
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = ("api.anthropic.com", "platform.claude.com", "api.openai.com", "chatgpt.com")


def certify(folder: Path) -> tuple[Path, Path]:
    """(authority, chain with key) for HOSTS."""
    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the agent tests")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)

    def build(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        )

    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    root = (
        build(name, signer.public_key())
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(signer.public_key()), False)
        .sign(signer, hashes.SHA256())
    )
    leaf = (
        build(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])]), key.public_key())
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    authority, chain = folder / "authority.pem", folder / "chain.pem"
    authority.write_bytes(root.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(leaf.public_bytes(pem) + private)
    return authority, chain


@dataclass
class Model:
    """The fake model, demanding `key`. port: of the TLS front. log: what it was asked, one JSON object a line."""

    folder: Path
    key: str
    shared: Path
    script: list[dict[str, object]] | None = None
    options: tuple[str, ...] = ()
    authority: Path = field(init=False)
    port: int = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "model.jsonl"
        argv = [
            sys.executable,
            "-I",
            str(Path(__file__).parent / "model_with_mcp.py"),
            str(self.shared / "agents/fake_model.py"),
            "--port",
            "0",
            "--log",
            str(self.log),
        ]
        argv += ["--require-key", self.key, *self.options]
        if self.script is not None:
            (self.folder / "script.json").write_text(json.dumps(self.script))
            argv += ["--script", str(self.folder / "script.json")]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd="/")
        assert self.process.stdout
        self.upstream = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.authority, chain = certify(self.folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain)
        self.context.set_alpn_protocols(["http/1.1"])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def asked(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def close(self) -> None:
        self.listener.close()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            tls = self.context.wrap_socket(client, server_side=True)
            with tls, socket.create_connection(("127.0.0.1", self.upstream)) as plain:
                threading.Thread(target=_copy, args=(plain, tls), daemon=True).start()
                _copy(tls, plain)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
