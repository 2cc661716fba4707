"""Web Push on the wire: message encryption (RFC 8291, RFC 8188 ``aes128gcm``) and VAPID (RFC 8292, ES256).

Pure but for the randomness that callers pass in; checked against the vector of RFC 8291, appendix A.
"""

import base64
import contextlib
import os
import threading

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bot_bottle.audit import files
from bot_bottle.base.errors import OperatorFault

RECORD = 4096
MOST = RECORD - 16 - 1 - 86
"""Bytes of a message that every push service takes."""
_CURVE = ec.SECP256R1()


def encrypt(message: bytes, receiver: bytes, auth: bytes, sender: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """The body for one subscription. receiver: its 65 byte public key; auth: its 16 byte secret; sender: a key for
    this message only; salt: 16 random bytes. Raises ValueError for a key that is no point."""
    if len(message) > MOST or len(auth) != 16 or len(salt) != 16:
        raise ValueError("a message of at most 3993 bytes, secret and salt of 16")
    public = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, receiver)
    ours = point(sender)
    shared = sender.exchange(ec.ECDH(), public)
    material = _derived(shared, auth, b"WebPush: info\0" + receiver + ours, 32)
    key = _derived(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(material, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD.to_bytes(4, "big") + bytes([len(ours)]) + ours
    return header + AESGCM(key).encrypt(nonce, message + b"\x02", None)


def decrypt(body: bytes, receiver: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    """What a browser does; for tests and for the vector. Raises InvalidTag, ValueError."""
    salt, length = body[:16], body[20]
    theirs = body[21 : 21 + length]
    shared = receiver.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, theirs))
    material = _derived(shared, auth, b"WebPush: info\0" + point(receiver) + theirs, 32)
    key = _derived(material, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(material, salt, b"Content-Encoding: nonce\0", 12)
    return AESGCM(key).decrypt(nonce, body[21 + length :], None).rstrip(b"\0").removesuffix(b"\x02")


def _derived(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(material)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half, uncompressed, 65 bytes."""
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(serialization.Encoding.X962, form)


def vapid(key: ec.EllipticCurvePrivateKey, audience: str, contact: str, expires: int) -> str:
    """The Authorization header. audience: origin of the push service. contact: ``mailto:`` or ``https:``.
    expires: Unix seconds, at most a day ahead."""
    head = unpadded(b'{"alg":"ES256","typ":"JWT"}')
    claims = {"aud": audience, "exp": expires, **({"sub": contact} if contact else {})}
    signed = f"{head}.{unpadded(msgspec.json.encode(claims))}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    token = f"{signed}.{unpadded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    return f"vapid t={token}, k={unpadded(point(key))}"


def verified(header: str) -> dict[str, object]:
    """The claims of a VAPID header, as a push service reads it (tests). Raises ValueError."""
    token, _, public = header.removeprefix("vapid t=").partition(", k=")
    head, claims, signature = token.split(".")
    raw = padded(signature)
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, padded(public))
    try:
        key.verify(pair, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ValueError("the signature is wrong") from None
    return msgspec.json.decode(padded(claims), type=dict[str, object])


def unpadded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def padded(text: str) -> bytes:
    """Bytes of a base64url text without padding. Raises ValueError."""
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def own_key(path: str) -> ec.EllipticCurvePrivateKey:
    """The key that names this installation to push services, made at the first use (0600). It opens nothing here."""
    if not os.path.lexists(path):
        _make_key(path)
    key = serialization.load_pem_private_key(files.read(path) or b"", None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OperatorFault(
            "notify.push-key", f"{path} is no P-256 key.", "Move it away; devices then subscribe again."
        )
    return key


def _make_key(path: str) -> None:
    """Of two that make one at once, the first stays."""
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = ec.generate_private_key(_CURVE).private_bytes(serialization.Encoding.PEM, form, plain)
    made = f"{path}.new-{os.getpid()}-{threading.get_ident()}"
    with files.writing("The key for Web Push"):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        files.replace(made, pem, sync=True)
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
        os.unlink(made)
