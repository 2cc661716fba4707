"""Names that look like credentials (D07): pure matching on relative paths, one data list in `masked_files.toml`."""

import fnmatch
import functools
import re
import tomllib
from importlib import resources

_BLOCK = re.compile(rb"^-----BEGIN ([^-\r\n]*)-----", re.MULTILINE)
_PUBLIC = frozenset((b"CERTIFICATE", b"TRUSTED CERTIFICATE", b"X509 CERTIFICATE", b"X509 CRL"))


@functools.cache
def _patterns() -> tuple[tuple[str, ...], tuple[str, ...]]:
    data = tomllib.loads(resources.files(__package__ or "").joinpath("masked_files.toml").read_text("utf-8"))
    return tuple(data["names"]), tuple(data["paths"])


def is_kept(path: str, keep: tuple[str, ...]) -> bool:
    """Whether a bottle's ``keep`` globs allow this path: a glob with a slash matches the path, else the name."""
    name = path.rsplit("/", 1)[-1]
    return any(fnmatch.fnmatchcase(path if "/" in glob else name, glob.removeprefix("./")) for glob in keep)


def looks_secret(path: str) -> bool:
    """Whether the name alone says credential. Case does not matter: other systems would find the file too."""
    names, paths = _patterns()
    lowered = path.lower()
    name = lowered.rsplit("/", 1)[-1]
    if any(lowered == p or lowered.endswith("/" + p) for p in paths):
        return True
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in names) and not _is_source(name)


def _is_source(name: str) -> bool:
    """``id_map.go`` is code and ``id_rsa.bak`` is a key: `id_` names with a dot count only for key types."""
    if not name.startswith("id_") or "." not in name:
        return False
    return not name.startswith(("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_xmss"))


def may_be_public(path: str) -> bool:
    """Whether the content decides: certificates are public, programs in the workspace need them for TLS."""
    return path.lower().endswith((".pem", ".crt"))


def is_public(path: str, data: bytes) -> bool:
    """A ``*.crt`` (text or DER) without a private key; a ``*.pem`` of certificates and revocation lists only.

    Any other block in a ``*.pem``, or none, is taken for a secret.
    """
    if b"PRIVATE KEY" in data:
        return False
    blocks = _BLOCK.findall(data)
    return path.lower().endswith(".crt") or (bool(blocks) and all(label in _PUBLIC for label in blocks))
