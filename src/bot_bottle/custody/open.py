"""Which stores a person has, in which order: ``secrets/config.toml`` in the home. Used by keeper and `secret` only.

Without a config file: the encrypted file, then the environment. The file's key: the desktop keyring where one can be
asked, else a 0600 key file.
"""

import getpass
from collections.abc import Callable, Mapping
from typing import cast

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.home import Home
from bot_bottle.base.secret import Secret
from bot_bottle.custody import keys
from bot_bottle.custody.check import is_scrubbable
from bot_bottle.custody.ports import Store
from bot_bottle.custody.settings import PASSED_ON, CommandSettings, Settings, read_settings
from bot_bottle.custody.stores.command import CommandStore
from bot_bottle.custody.stores.encrypted_file import EncryptedFileStore
from bot_bottle.custody.stores.environment import EnvironmentStore
from bot_bottle.inspect.needles import MINIMUM


class Custody:
    """All stores of a person, asked in order."""

    def __init__(self, stores: tuple[Store, ...]) -> None:
        self.stores = stores

    def get(self, name: str) -> Secret | None:
        """From the first store that has it. Raises OperatorFault where the value is too short to be scrubbed."""
        found = next((secret for store in self.stores if (secret := store.get(name)) is not None), None)
        if found is not None and not is_scrubbable(found):
            raise OperatorFault(
                "custody.short",
                f"The secret {name} is so short that replies could not be scrubbed of it.",
                f"Use a credential of at least {MINIMUM} characters.",
            )
        return found

    def at_hand(self) -> dict[str, bytes]:
        """Name -> value of all that can be read now without asking a person, a keyring or a command (D07)."""
        found: dict[str, bytes] = {}
        for store in self.stores:
            if isinstance(store, CommandStore) or (
                isinstance(store, EncryptedFileStore) and not store.opens_silently()
            ):
                continue
            for name in store.names():
                secret = store.get(name)
                if secret is not None and is_scrubbable(secret):
                    found.setdefault(name, secret.reveal())
        return found

    def where(self, name: str) -> str:
        """The kind of the store that gives this name, "" where none does."""
        return next((store.kind for store in self.stores if store.get(name) is not None), "")

    def located(self) -> dict[str, str]:
        """Name -> kind of the store that gives it, by the stores' own lists: no value is read."""
        found: dict[str, str] = {}
        for store in self.stores:
            for name in store.names():
                found.setdefault(name, store.kind)
        return dict(sorted(found.items()))

    def names(self) -> tuple[str, ...]:
        return tuple(sorted({name for store in self.stores for name in store.names()}))

    def put(self, secret: Secret) -> str:
        """Into the first store; its kind. Raises OperatorFault where that one is read-only."""
        self.stores[0].put(secret)
        return self.stores[0].kind

    def protection(self) -> list[str]:
        """What protects the stores, one sentence each, said plainly."""
        return [f"secrets.enc: {store.describe()}." for store in self.stores if isinstance(store, EncryptedFileStore)]

    def remove(self, name: str) -> bool:
        """From every store that has it. False where none had."""
        return sum(store.remove(name) for store in self.stores) > 0


def open_custody(home: Home, environ: Mapping[str, str], ask: Callable[[], str] | None = None) -> Custody:
    """The person's stores. ask: gives the passphrase (default: asks on the terminal)."""
    settings = read_settings(home)
    passed = {name: environ[name] for name in PASSED_ON if name in environ}
    return Custody(tuple(_store(kind, home, settings, environ, passed, ask) for kind in settings.stores))


def _store(
    kind: str,
    home: Home,
    settings: Settings,
    environ: Mapping[str, str],
    passed: Mapping[str, str],
    ask: Callable[[], str] | None,
) -> Store:
    if kind == "environment":
        return EnvironmentStore(environ, settings.environment)
    if kind == "command":
        command = cast(CommandSettings, settings.command)
        return CommandStore(command.get, passed, command.list, command.absent, command.timeout)
    return EncryptedFileStore(f"{home.secrets}/secrets.enc", _sources(home, settings, passed, ask))


def _sources(
    home: Home, settings: Settings, environ: Mapping[str, str], ask: Callable[[], str] | None
) -> list[keys.KeySource]:
    """All key sources, the one for new files first."""
    all_sources: list[keys.KeySource] = [
        keys.KeyFile(f"{home.keys}/secrets.key"),
        keys.Keyring(home.root, environ),
        keys.SystemdCreds(f"{home.keys}/secrets.cred", environ),
        keys.Passphrase(_phrase(settings.passphrase, environ, ask)),
    ]
    chosen = settings.key or ("keyring" if keys.keyring_available(environ) else "file")
    return sorted(all_sources, key=lambda source: source.word != chosen)


def _phrase(command: tuple[str, ...], environ: Mapping[str, str], ask: Callable[[], str] | None) -> Callable[[], str]:
    """Who gives the passphrase: the person's own command, else the caller, else the terminal."""
    if command:
        return lambda: keys.phrase_from(command, environ)
    return ask or (lambda: getpass.getpass("Passphrase of the bot-bottle secrets: "))
