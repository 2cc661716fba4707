"""Where the key of the encrypted file comes from: desktop keyring, systemd-creds, a passphrase, or a 0600 key file.

Each source has a word that the file's header carries, so that a file is always opened the way it was made. A key file
beside the store keeps others out, but not who reads the home as you do: `describe` says so, `secret list` shows it.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bot_bottle.base.errors import HostFault, OperatorFault
from bot_bottle.custody.files import read_private, write_private

SIZE = 32
Random = Callable[[int], bytes]
_ATTRIBUTES = ("service", "bot-bottle", "account")
_CREDENTIAL = "bot-bottle-secrets"
_SCRYPT_MEMORY = 1024**3


class KeySource(Protocol):
    """word: in the header of the file. parameter: also in the header, e.g. the salt; "" where there is none."""

    word: str

    def load(self, parameter: str) -> bytes:
        """The key. Raises OperatorFault when it is gone or refused."""
        ...

    def create(self) -> tuple[bytes, str]:
        """A new key and its header parameter."""
        ...

    def describe(self) -> str:
        """One sentence for people: what protects the file."""
        ...


class KeyFile:
    """A random key in a file that only its owner reads."""

    word = "file"

    def __init__(self, path: str, random: Random = os.urandom) -> None:
        self._path, self._random = path, random

    def load(self, parameter: str) -> bytes:
        _nothing(parameter)
        return _checked(read_private(self._path), self._path)

    def create(self) -> tuple[bytes, str]:
        existing = read_private(self._path)
        if existing is not None:
            return _checked(existing, self._path), ""
        key = self._random(SIZE)
        write_private(self._path, key)
        return key, ""

    def describe(self) -> str:
        return f"the key lies in {self._path} (0600): whoever can read your files can read the secrets"


class Keyring:
    """The desktop's secret service, by its own command. The value goes through pipes, never through arguments."""

    word = "keyring"

    def __init__(self, account: str, environ: Mapping[str, str], random: Random = os.urandom) -> None:
        self._account, self._environ, self._random = account, dict(environ), random

    def load(self, parameter: str) -> bytes:
        _nothing(parameter)
        text = _ask(["secret-tool", "lookup", *_ATTRIBUTES, self._account], b"", self._environ)
        return _checked(_unhex(text), "the desktop keyring")

    def create(self) -> tuple[bytes, str]:
        key = self._random(SIZE)
        label = f"--label=bot-bottle secrets of {self._account}"
        _ask(["secret-tool", "store", label, *_ATTRIBUTES, self._account], key.hex().encode(), self._environ)
        return key, ""

    def describe(self) -> str:
        return "the key lies in the desktop keyring"


class SystemdCreds:
    """A key sealed to this machine (TPM or host key) by systemd-creds, kept as a file."""

    word = "systemd-creds"

    def __init__(self, path: str, environ: Mapping[str, str], random: Random = os.urandom) -> None:
        self._path, self._environ, self._random = path, dict(environ), random

    def load(self, parameter: str) -> bytes:
        _nothing(parameter)
        sealed = read_private(self._path)
        argv = ["systemd-creds", "decrypt", *_scope(), f"--name={_CREDENTIAL}", "-", "-"]
        return _checked(_unhex(_ask(argv, sealed, self._environ)) if sealed else None, self._path)

    def create(self) -> tuple[bytes, str]:
        key = self._random(SIZE)
        argv = ["systemd-creds", "encrypt", *_scope(), f"--name={_CREDENTIAL}", "-", "-"]
        write_private(self._path, _ask(argv, key.hex().encode(), self._environ))
        return key, ""

    def describe(self) -> str:
        return "the key is sealed to this machine by systemd-creds"


class Passphrase:
    """scrypt (N=2^17, r=8, p=1: 128 MB, RFC 7914) of a typed phrase. ask: gives it, twice for a new file."""

    word = "passphrase"

    def __init__(self, ask: Callable[[], str], random: Random = os.urandom, cost: int = 2**17) -> None:
        self._ask, self._random, self._cost = ask, random, cost

    def load(self, parameter: str) -> bytes:
        try:
            cost, salt = parameter.split(":")
            return self._derive(self._ask(), bytes.fromhex(salt), int(cost))
        except ValueError:
            raise _damaged("the header of the secrets file") from None

    def create(self) -> tuple[bytes, str]:
        phrase = self._ask()
        if phrase != self._ask():
            raise OperatorFault("custody.passphrase", "The two passphrases differ.", "Try again.")
        if len(phrase) < 12:
            raise OperatorFault(
                "custody.passphrase", "The passphrase has fewer than 12 characters.", "Use several words."
            )
        salt = self._random(16)
        return self._derive(phrase, salt, self._cost), f"{self._cost}:{salt.hex()}"

    def describe(self) -> str:
        return "the key is derived from your passphrase"

    def _derive(self, phrase: str, salt: bytes, cost: int) -> bytes:
        if not 2**10 <= cost <= 2**19:
            raise ValueError("cost")
        return hashlib.scrypt(
            phrase.encode("utf-8", "surrogateescape"), salt=salt, n=cost, r=8, p=1, maxmem=_SCRYPT_MEMORY, dklen=SIZE
        )


def keyring_available(environ: Mapping[str, str]) -> bool:
    """Whether a desktop keyring can be asked at all: its command and a session bus are there."""
    return (
        bool(environ.get("DBUS_SESSION_BUS_ADDRESS"))
        and shutil.which("secret-tool", path=environ.get("PATH")) is not None
    )


def phrase_from(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """The first line that the person's command prints."""
    return _ask(list(command), b"", environ).split(b"\n", 1)[0].decode("utf-8", "surrogateescape")


def _nothing(parameter: str) -> None:
    """Sources without a parameter refuse a header that has one."""
    if parameter:
        raise _damaged("the header of the secrets file")


def _scope() -> list[str]:
    """systemd >= 256 serves ordinary users with --user; root needs nothing."""
    return [] if os.geteuid() == 0 else ["--user"]


def _ask(argv: list[str], data: bytes | None, environ: Mapping[str, str]) -> bytes:
    try:
        done = subprocess.run(
            argv,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            cwd="/",
            timeout=60,
            check=False,
        )
    except FileNotFoundError:
        raise HostFault(
            "custody.key-command", f"{argv[0]} is not installed.", "Install it, or choose another key."
        ) from None
    except (OSError, subprocess.TimeoutExpired):
        raise HostFault("custody.key-command", f"{argv[0]} gave no answer.", "Unlock it, then try again.") from None
    if done.returncode:
        raise OperatorFault(
            "custody.key-command", f"{argv[0]} refused with status {done.returncode}.", "Unlock it, then try again."
        )
    return done.stdout


def _unhex(text: bytes) -> bytes | None:
    try:
        return bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        return None


def _checked(key: bytes | None, where: str) -> bytes:
    if key is None:
        raise OperatorFault(
            "custody.key-missing",
            f"The key of the secrets file is not in {where}.",
            "Restore it from a backup, or remove secrets/secrets.enc and set the secrets again.",
        )
    if len(key) != SIZE:
        raise _damaged(where)
    return key


def _damaged(where: str) -> OperatorFault:
    return OperatorFault("custody.key-damaged", f"The key in {where} is damaged.", "Restore it from a backup.")
