"""The bottle's own certificate authority: in memory, for one run, known to no other bottle and to no store.

The CA key never leaves this process. Leaves share one P-256 key, so that a host seen for the first time costs one
signature (under 1 ms) and not a key. The number of hosts is bounded: names are chosen by the agent (D18).
"""

import datetime
import ipaddress
import re
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\Z"
)
_BEFORE = datetime.timedelta(days=1)
_AFTER = datetime.timedelta(days=30)


class Authority:
    """One fresh CA. limit: how many distinct hosts it certifies; burst: how many of them within one second."""

    def __init__(self, label: str, now: datetime.datetime, limit: int = 2000, burst: int = 200) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._now = now.replace(microsecond=0)
        self._limit = limit
        self._burst = burst
        self._leaves: dict[str, str] = {}
        self._recent: list[float] = []
        self._name = _name(f"bot-bottle {label}")
        self._certificate = self._own()
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())

    @property
    def pem(self) -> str:
        """The CA certificate, PEM; all that a bottle sees of it."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def leaf_key(self) -> str:
        """The private key of all leaves, PEM: goes to the gateway and nowhere else."""
        return self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def mint(self, host: str, monotonic: float) -> str:
        """PEM of a leaf for a canonical host name or IP literal; "" where it is neither or the limit is reached."""
        known = self._leaves.get(host)
        if known is not None:
            return known
        names = alternative_names(host)
        if names is None or len(self._leaves) >= self._limit or not self._may_mint(monotonic):
            return ""
        leaf = self._sign(names)
        self._leaves[host] = leaf
        return leaf

    def _may_mint(self, monotonic: float) -> bool:
        self._recent = [then for then in self._recent if monotonic - then < 1.0]
        if len(self._recent) >= self._burst:
            return False
        self._recent.append(monotonic)
        return True

    def _own(self) -> x509.Certificate:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _sign(self, names: x509.SubjectAlternativeName) -> str:
        public = self._leaf_key.public_key()
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = self._builder(_name("bot-bottle gateway"), public)
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        builder = builder.add_extension(self._identifier, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(secrets.randbits(159) | 1 << 158)
            .not_valid_before(self._now - _BEFORE)
            .not_valid_after(self._now + _AFTER)
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def alternative_names(host: str) -> x509.SubjectAlternativeName | None:
    """The one name of a leaf (RFC 6125): an IP address or a DNS name; None where it is neither, or a wildcard."""
    try:
        return x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host.strip("[]")))])
    except ValueError:
        pass
    if not _HOST.match(host):
        return None
    return x509.SubjectAlternativeName([x509.DNSName(host)])
