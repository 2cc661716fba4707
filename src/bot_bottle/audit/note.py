"""C2SP signed notes with Ed25519 (signature type 0x01), written and read strictly.

A note is text, an empty line, and signature lines; the key is named by text and by a four-byte id that covers
name, type and public key. Only the pinned key counts: a key that lies beside a note proves nothing (D17).
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bot_bottle.base.errors import AuditFault

MAX_NOTE = 65536
MAX_SIGNATURES = 32
_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+]+\Z")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_HINT = "Take the file from a copy that you trust."


class Signer(Protocol):
    """Signs on behalf of the log. Only the keeper holds one."""

    @property
    def public(self) -> bytes:
        """The 32 bytes of the Ed25519 public key (RFC 8032)."""
        ...

    def sign(self, text: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key's name and its public bytes; text form ``name+id+base64`` as Go's sumdb/note reads it."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, type, key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @property
    def fingerprint(self) -> str:
        """What a person pins: ``SHA256:`` and base64 without padding, of the public key whatever its name."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(_ED25519 + self.public).digest()).decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"


def parse_key(text: str) -> VerifierKey:
    """The text form of a verifier key. Raises AuditFault (``audit.key``)."""
    name, _, rest = text.strip().partition("+")
    hashed, _, encoded = rest.partition("+")
    key = _decode(encoded, "audit.key")
    if len(key) != 33 or key[:1] != _ED25519 or not _NAME.match(name):
        raise AuditFault("audit.key", "This is not an Ed25519 verifier key.", _HINT)
    found = VerifierKey(name, key[1:])
    if found.id.hex() != hashed:
        raise AuditFault("audit.key", "The verifier key does not match its own id.", _HINT)
    return found


def sign(text: str, name: str, signer: Signer) -> bytes:
    """The signed note; `text` ends with a newline."""
    if not text.endswith("\n") or _CONTROL.search(text) or not _NAME.match(name):
        raise ValueError("the text of a note ends with a newline and has no control characters")
    key = VerifierKey(name, signer.public)
    signature = base64.b64encode(key.id + signer.sign(text.encode())).decode()
    return f"{text}\n— {name} {signature}\n".encode()


def verify(note: bytes, key: VerifierKey) -> str:
    """The text of a note that this key signed. Raises AuditFault (``audit.note``, ``audit.signature``)."""
    text, lines = _parse(note)
    known = [signature for name, hashed, signature in lines if name == key.name and hashed == key.id]
    if len(known) != 1:
        raise AuditFault("audit.signature", "The checkpoint is not signed by the pinned key.", _HINT)
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(known[0], text.encode())
    except (InvalidSignature, ValueError):
        raise AuditFault("audit.signature", "The signature of the checkpoint is wrong.", _HINT) from None
    return text


def signer_name(note: bytes) -> str:
    """The key name on the first signature line: says which key to look for, proves nothing."""
    return _parse(note)[1][0][0]


def split(data: bytes) -> list[bytes]:
    """The notes of a file that holds several, one after the other (a sink of checkpoints)."""
    found: list[bytes] = []
    ended = True
    for line in data.splitlines(keepends=True):
        signature = line.startswith("— ".encode())
        if ended and not signature:
            found.append(b"")
        if found:
            found[-1] += line
        ended = signature
    return found


def _parse(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    try:
        whole = note.decode() if len(note) <= MAX_NOTE else ""
    except UnicodeDecodeError:
        whole = ""
    text, found, tail = whole.rpartition("\n\n")
    lines = tail.split("\n")
    if not found or _CONTROL.search(whole) or lines.pop() or not 0 < len(lines) <= MAX_SIGNATURES:
        raise AuditFault("audit.note", "The checkpoint is not a signed note.", _HINT)
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not _NAME.match(parts[1]):
        raise AuditFault("audit.note", "A signature line of the checkpoint is malformed.", _HINT)
    raw = _decode(parts[2], "audit.note")
    if len(raw) < 5:
        raise AuditFault("audit.note", "A signature of the checkpoint is too short.", _HINT)
    return parts[1], raw[:4], raw[4:]


def _decode(text: str, slug: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise AuditFault(slug, "A base64 text of the checkpoint is malformed.", _HINT)
    return raw
