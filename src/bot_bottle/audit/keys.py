"""The key that signs the logs of this host: Ed25519, made once, PEM with mode 0600 in ``<home>/keys``.

The keeper alone opens it; a gateway, which parses hostile bytes, never does (D17). `log.fingerprint` beside it is
what `log verify` pins when no fingerprint is given; a copy of it kept elsewhere is what proves something when the
whole home may have been replaced.
"""

import contextlib
import os
import stat
import tempfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bot_bottle.audit import files
from bot_bottle.audit.note import VerifierKey
from bot_bottle.base.errors import AuditFault, OperatorFault

PRIVATE = "log.pem"
FINGERPRINT = "log.fingerprint"


class LogKey:
    """Signs checkpoints. Its repr shows the fingerprint only."""

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> "LogKey":
        """A key in memory only (tests, measurements)."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def open(cls, directory: str) -> "LogKey":
        """The key of this home, made at the first use. Two keepers that start at once get the same one.

        Raises OperatorFault when others may read the file or it is no Ed25519 key, AuditFault when it cannot be made.
        """
        path = os.path.join(directory, PRIVATE)
        with files.writing("The log key"):
            os.makedirs(directory, mode=0o700, exist_ok=True)
            if not os.path.lexists(path):
                _create(path)
        key = cls(_load(path))
        _pin(os.path.join(directory, FINGERPRINT), key.fingerprint)
        return key

    @property
    def fingerprint(self) -> str:
        return VerifierKey("log", self.public).fingerprint

    def verifier(self, name: str) -> VerifierKey:
        """The public half under the name of one log (its origin)."""
        return VerifierKey(name, self.public)

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text)

    def __repr__(self) -> str:
        return f"LogKey({self.fingerprint})"


def pinned(directory: str) -> str:
    """The fingerprint that this home pins. Raises OperatorFault when it has none."""
    data = files.read(os.path.join(directory, FINGERPRINT))
    if data is None:
        raise OperatorFault(
            "audit.no-key", "This home has no log key yet.", "Start a bottle first, or pass --fingerprint."
        )
    return data.decode("ascii", "replace").strip()


def _create(path: str) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)
    files.sync_directory(os.path.dirname(path))


def _load(path: str) -> Ed25519PrivateKey:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or status.st_uid != os.geteuid():
            raise OperatorFault(
                "audit.key-mode", f"{path} can be read by others.", f"Run `chmod 600 {path}` as its owner."
            )
        data = file.read(10_000)
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise OperatorFault(
            "audit.key", f"{path} is not an Ed25519 key.", "Restore it from a backup, or move it away."
        )
    return key


def _pin(path: str, fingerprint: str) -> None:
    known = files.read(path)
    if known is None:
        with files.writing("The pinned fingerprint"):
            files.replace(path, fingerprint.encode() + b"\n", sync=True, mode=0o644)
    elif known.decode("ascii", "replace").strip() != fingerprint:
        raise AuditFault(
            "audit.key-changed",
            "The log key is not the one that this home pinned.",
            "Restore keys/log.pem from a backup.",
        )
