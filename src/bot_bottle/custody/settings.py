"""``secrets/config.toml`` in the home: which stores a person has, in which order, where the file's key comes from.

Light: no store is opened and no cryptography loaded, so that the launcher can ask which variables the keeper needs.
"""

import tomllib
from collections.abc import Mapping

import msgspec

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.home import Home
from bot_bottle.custody.stores.environment import PREFIX

STORES = frozenset(("file", "environment", "command"))
KEYS = frozenset(("", "file", "keyring", "systemd-creds", "passphrase"))
PASSED_ON = (
    "PATH", "HOME", "USER", "LANG", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY",
    "GNUPGHOME", "GPG_TTY", "PASSWORD_STORE_DIR", "OP_SERVICE_ACCOUNT_TOKEN",
)  # fmt: skip
"""Variables that a store's own program may need; nothing else of the host reaches it."""


class CommandSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """get, list: argument lists with ``{name}``. absent: exit statuses that mean "there is none"."""

    get: tuple[str, ...]
    list: tuple[str, ...] = ()
    absent: tuple[int, ...] = (1,)
    timeout: float = 30


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """stores: the first that has a name gives it. key: of the encrypted file; "" is the keyring where there is one.

    passphrase: a command that prints it, for `key = "passphrase"`; without it a terminal is asked, which a running
    bottle does not have. environment: secret name -> variable.
    """

    stores: tuple[str, ...] = ("file", "environment")
    key: str = ""
    passphrase: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    command: CommandSettings | None = None


def read_settings(home: Home) -> Settings:
    """Raises OperatorFault ``custody.config`` with what is wrong in the config file."""
    path = f"{home.secrets}/config.toml"
    try:
        with open(path, "rb") as file:
            settings = msgspec.convert(tomllib.load(file), Settings)
    except FileNotFoundError:
        return Settings()
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise _fault(path, f"{error}", "Mend it, or remove it for the defaults.") from None
    if not settings.stores or set(settings.stores) - STORES:
        raise _fault(path, "stores names an unknown store", "Use file, environment, command.")
    if "command" in settings.stores and (settings.command is None or not settings.command.get):
        raise _fault(path, "stores names command, but [command] has no get", 'Add get = ["pass", "show", "{name}"].')
    if settings.key not in KEYS:
        raise _fault(path, f"key {settings.key!r} is unknown", "Use file, keyring, systemd-creds or passphrase.")
    return settings


def needed_variables(home: Home, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the host's variables that the keeper's stores read: for its allowlisted environment (D06)."""
    mapped = read_settings(home).environment.values()
    return tuple(sorted({name for name in environ if name.startswith(PREFIX) or name in PASSED_ON or name in mapped}))


def _fault(path: str, what: str, hint: str) -> OperatorFault:
    return OperatorFault("custody.config", f"{path}: {what}.", hint)
