"""A scripted model behind TLS on loopback: it demands the real key, plays three steps, and notes what it got.

Speaks just enough of the Messages shape. On "whoami" it says back which key it was given: the gateway's reply scrub
is what keeps that from the agent.
"""

import datetime
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bot_bottle.harnesses.demo.evidence import Evidence

HOST = "model.example"
BOARD = "board.example"
"""The team's message board: a rule of the demo's bottle asks a person before anything is posted to it."""
FIXED = '''"""Prices of a small shop."""


def discounted(price: float, percent: float) -> float:
    """The price after a discount of so many percent."""
    return price * (100 - percent) / 100
'''
STEPS: tuple[dict[str, Any], ...] = (
    {"type": "tool_use", "id": "toolu_1", "name": "write", "input": {"path": "discount.py", "content": FIXED}},
    {"type": "tool_use", "id": "toolu_2", "name": "run", "input": {"command": "@PYTHON@ test_discount.py"}},
    {"type": "text", "text": "A percentage is of the price: mended, and both tests pass."},
)
_DAY = datetime.timedelta(days=1)


class ModelServer:
    """Serves until `close`. port: on 127.0.0.1. authority: PEM that its certificate is signed by (itself)."""

    def __init__(self, folder: str, key: str, python: str, evidence: Evidence) -> None:
        self.authority = f"{folder}/model-ca.pem"
        chain = f"{folder}/model-chain.pem"
        _certify(self.authority, chain)
        self._server = _Server(key, python, evidence)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, key: str, python: str, evidence: Evidence) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = key
        self.python = python
        self.evidence = evidence

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        """The demo's own output is enough."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        evidence = self.server.evidence
        if self.headers.get("host") == BOARD:
            evidence.notes.append(body.decode("utf-8", "replace"))
            self._reply(200, {"ok": True})
            return
        evidence.requests.append(f"{self.command} {self.path}")
        given = " ".join(value for name, value in self.headers.items() if name.lower() not in ("host", "user-agent"))
        evidence.keys |= {word for word in given.replace("=", " ").split() if word.startswith("sk-demo-")}
        if self.headers.get("x-api-key") != self.server.key:
            self._reply(401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid key"}})
        elif self.path != "/v1/messages":
            self._reply(200, {"type": "file", "id": "file_1"})
        else:
            self._reply(200, self._message(body, given))

    do_GET = do_PUT = do_DELETE = do_POST

    def _message(self, body: bytes, given: str) -> dict[str, Any]:
        messages: list[dict[str, Any]] = json.loads(body).get("messages", [])
        if messages and messages[-1].get("content") == "whoami":
            step: dict[str, Any] = {"type": "text", "text": f"You gave me: {given}"}
        else:
            step = STEPS[min(len(messages), len(STEPS)) - 1]
        text = json.dumps(step).replace("@PYTHON@", self.server.python)
        return {"type": "message", "role": "assistant", "model": "demo-1", "content": [json.loads(text)]}

    def _reply(self, status: int, document: dict[str, Any]) -> None:
        raw = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def _certify(authority: str, chain: str) -> None:
    """An authority and a leaf for HOST, valid for a day; the authority's key is forgotten at once."""
    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("bot-bottle demo authority", signer, signer, None)
    leaf = _certificate(HOST, key, signer, root.subject)
    pem = serialization.Encoding.PEM
    with open(authority, "wb") as file:
        file.write(root.public_bytes(pem))
    with open(chain, "wb") as file:
        file.write(leaf.public_bytes(pem))
        file.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, issuer: x509.Name | None
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    build = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer is None:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        build = build.add_extension(usage, critical=True)
    else:
        build = build.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName(BOARD)]), critical=False
        )
        build = build.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return build.sign(signer, hashes.SHA256())
