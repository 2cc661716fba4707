"""All secrets in one file under AES-256-GCM. The header is authenticated: version, key source, its parameter.

Each write takes a new nonce and replaces the whole file; a changed byte anywhere refuses the file, never part of it.
"""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.secret import Secret
from bot_bottle.custody.files import read_private, write_private
from bot_bottle.custody.keys import KeyFile, KeySource

_MAGIC = "bot-bottle-secrets"
_VERSION = "1"
_NONCE = 12
_DECODER = msgspec.msgpack.Decoder(dict[str, bytes])


class EncryptedFileStore:
    """path: the file, which need not exist. sources: by header word; the first makes new files."""

    kind = "file"
    writable = True

    def __init__(self, path: str, sources: list[KeySource], random: Callable[[int], bytes] = os.urandom) -> None:
        self._path, self._random = path, random
        self._sources = {source.word: source for source in sources}
        self._first = sources[0]
        self._key: tuple[str, bytes] | None = None

    def get(self, name: str) -> Secret | None:
        value = self._read().get(name)
        return None if value is None else Secret(name, value)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._read()))

    def put(self, secret: Secret) -> None:
        with self._locked():
            self._write({**self._read(), secret.name: secret.reveal()})

    def remove(self, name: str) -> bool:
        if name not in self._read():
            return False
        with self._locked():
            values = self._read()
            if values.pop(name, None) is None:
                return False
            self._write(values)
            return True

    def opens_silently(self) -> bool:
        """Whether it can be read now without asking a person, a keyring or a device: its key is known, or a file."""
        header = (read_private(self._path) or b"").split(b"\n", 1)[0].decode("ascii", "replace")
        return bool(self._key and self._key[0] == header) or header.split(" ")[2:3] == [KeyFile.word]

    def describe(self) -> str:
        """One sentence for people: what protects the file."""
        header = (read_private(self._path) or b"").split(b"\n", 1)[0].decode("ascii", "replace").split(" ")
        source = self._sources.get(header[2]) if len(header) > 2 else None
        return (source or self._first).describe()

    def _read(self) -> dict[str, bytes]:
        data = read_private(self._path)
        if data is None:
            return {}
        header, _, sealed = data.partition(b"\n")
        try:
            plain = AESGCM(self._known_key(header)).decrypt(sealed[:_NONCE], sealed[_NONCE:], header)
            return _DECODER.decode(plain)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            raise self._damaged() from None

    def _known_key(self, header: bytes) -> bytes:
        """The key that this header asks for. Raises OperatorFault; ValueError when the header is no header."""
        text = header.decode("ascii")
        if self._key and self._key[0] == text:
            return self._key[1]
        magic, version, word, parameter = text.split(" ")
        if magic != _MAGIC or version != _VERSION:
            raise ValueError("header")
        source = self._sources.get(word)
        if source is None:
            raise OperatorFault(
                "custody.key-source",
                f"{self._path} is opened by {word}, which is not available here.",
                "Run it there.",
            )
        self._key = (text, source.load(parameter))
        return self._key[1]

    def _write(self, values: dict[str, bytes]) -> None:
        if self._key is None:
            key, parameter = self._first.create()
            self._key = (f"{_MAGIC} {_VERSION} {self._first.word} {parameter}", key)
        header, nonce = self._key[0].encode("ascii"), self._random(_NONCE)
        sealed = AESGCM(self._key[1]).encrypt(nonce, msgspec.msgpack.encode(values), header)
        write_private(self._path, header + b"\n" + nonce + sealed)

    @contextmanager
    def _locked(self) -> Generator[None]:
        """One writer at a time, across processes."""
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        descriptor = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _damaged(self) -> OperatorFault:
        return OperatorFault(
            "custody.damaged",
            f"{self._path} is damaged, was changed, or belongs to another key.",
            "Restore it from a backup, or remove it and set the secrets again.",
        )
