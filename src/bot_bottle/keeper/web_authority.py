"""The certificate authority of the dashboard: what a phone on the same network trusts after it was shown the way.

Its key is made once and kept in ``<home>/keys`` (0600); the warm keeper alone opens it, web gets a leaf with a key of
its own. The authority is constrained by name to private addresses and to names that no public authority certifies
(.local, .lan, .home.arpa, .internal, this host's own single label), so that a phone that trusts it trusts it for
nothing else (RFC 5280 4.2.1.10): whoever stole the key could not pose as a bank.
"""

import contextlib
import datetime
import ipaddress
import os
import secrets
import stat
import tempfile
from collections.abc import Sequence

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bot_bottle.base.errors import OperatorFault

FILE = "web-authority.pem"
LEAF_DAYS = 30
RENEW_DAYS = 10
_YEARS = 10
_DAY = datetime.timedelta(days=1)
NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "::1/128",
    "fc00::/7", "fe80::/10",
)  # fmt: skip
SUFFIXES = ("localhost", "local", "lan", "home", "home.arpa", "internal", "test")

Name = ipaddress.IPv4Address | ipaddress.IPv6Address | str


class WebCertificate(msgspec.Struct, frozen=True):
    """leaf, key: PEM, for the TLS listener. authority: PEM. fingerprint: sha256 of the authority, AA:BB:….
    refused: names that were left out, since the authority may not speak for them."""

    leaf: str
    key: str
    authority: str
    fingerprint: str
    refused: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"WebCertificate({self.fingerprint})"


class WebAuthority:
    """The authority of one home. Raises OperatorFault where its file is damaged or others may read it."""

    def __init__(self, directory: str, host: str, now: datetime.datetime) -> None:
        """host: this machine's own name; where it is a single label, the authority may speak for it too."""
        self._now = now.replace(microsecond=0)
        path = os.path.join(directory, FILE)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not os.path.lexists(path):
            _keep(path, *_make(host, self._now))
        self._key, self.certificate = _load(path)
        if self.certificate.not_valid_after_utc - self._now < 365 * _DAY:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            _keep(path, *_make(host, self._now))
            self._key, self.certificate = _load(path)

    @property
    def pem(self) -> str:
        return _pem(self.certificate)

    @property
    def fingerprint(self) -> str:
        """As phones show it: sha256 of the DER, upper-case, colons."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def issue(self, names: Sequence[str]) -> WebCertificate:
        """A leaf with a fresh key for these host names and addresses."""
        parsed = [one for text in names if (one := parse(text)) is not None]
        good = [one for one in dict.fromkeys(parsed) if self._may(one)]
        refused = tuple(text for text in names if (one := parse(text)) is None or not self._may(one))
        if not good:
            raise OperatorFault(
                "web.names", "There is no name or address that this dashboard may be reached by.",
                "Use an address of the local network, or state a reverse proxy.",
            )  # fmt: skip
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        return WebCertificate(_pem(self._leaf(good, key.public_key())), pem, self.pem, self.fingerprint, refused)

    def _may(self, name: Name) -> bool:
        constraints = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        permitted = constraints.permitted_subtrees or []
        if isinstance(name, str):
            suffixes = [one.value for one in permitted if isinstance(one, x509.DNSName)]
            return any(name == suffix or name.endswith(f".{suffix}") for suffix in suffixes)
        networks = [one.value for one in permitted if isinstance(one, x509.IPAddress)]
        return any(name.version == net.version and name in net for net in networks)  # type: ignore[operator]

    def _leaf(self, names: list[Name], public: ec.EllipticCurvePublicKey) -> x509.Certificate:
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = _builder(_named("bot-bottle dashboard"), self.certificate.subject, public, self._now, LEAF_DAYS)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(usage, True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        return builder.add_extension(issuer, False).sign(self._key, hashes.SHA256())


def parse(text: str) -> Name | None:
    """An address, a lower-case host name, or None."""
    plain = text.strip().strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        return ipaddress.ip_address(plain)
    except ValueError:
        labels = plain.split(".")
        good = all(label.replace("-", "").isalnum() and label.isascii() and len(label) < 64 for label in labels)
        return plain if plain and good and len(plain) < 254 else None


def _make(host: str, now: datetime.datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named(f"bot-bottle {secrets.token_hex(3)} on {host or 'this machine'}")
    own = parse(host)
    names = [*SUFFIXES, *([own] if isinstance(own, str) and "." not in own else [])]
    permitted: list[x509.GeneralName] = [x509.DNSName(one) for one in names]
    permitted += [x509.IPAddress(ipaddress.ip_network(net)) for net in NETWORKS]
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder(name, name, key.public_key(), now, _YEARS * 365)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    builder = builder.add_extension(usage, True)
    builder = builder.add_extension(x509.NameConstraints(permitted, None), True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return key, builder.sign(key, hashes.SHA256())


def _keep(path: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    """Both in one file, by link, so that of two first keepers one wins."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem + _pem(certificate).encode())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)


def _load(path: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or status.st_uid != os.geteuid():
            what = f"{path} can be read by others."
            raise OperatorFault("web.authority-mode", what, f"Run `chmod 600 {path}` as its owner.")
        data = file.read(20_000)
    try:
        key = serialization.load_pem_private_key(data, None)
        certificate = x509.load_pem_x509_certificate(data)
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key():
            return key, certificate
    except (ValueError, TypeError):
        pass
    hint = "Move it away: a new one is made, and devices must be shown the way again."
    raise OperatorFault("web.authority", f"{path} is not the dashboard's authority.", hint)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(secrets.randbits(159) | 1 << 158)
        .not_valid_before(now - _DAY)
        .not_valid_after(now + days * _DAY)
    )


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general(name: Name) -> x509.GeneralName:
    return x509.DNSName(name) if isinstance(name, str) else x509.IPAddress(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
