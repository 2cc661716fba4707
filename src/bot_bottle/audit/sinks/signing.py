"""How our webhooks are signed, records and notices alike: as standardwebhooks.com says, version v1.

``webhook-id`` names the delivery (the same for every try), ``webhook-timestamp`` is in seconds, and
``webhook-signature`` is ``v1,`` and base64 of HMAC-SHA256 over ``id.timestamp.body``. A receiver refuses old
timestamps and ids that it has seen.
"""

import base64
import binascii
import hashlib
import hmac


def key_of(secret: bytes) -> bytes:
    """The bytes that sign: a secret that begins with ``whsec_`` is base64, any other is taken as it is."""
    text = secret.strip()
    if text.startswith(b"whsec_"):
        try:
            return base64.b64decode(text[6:], validate=True)
        except binascii.Error:
            return text
    return text


def headers(key: bytes, ident: str, seconds: int, body: bytes) -> dict[str, str]:
    """The three headers of one try."""
    signed = hmac.new(key, f"{ident}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": ident,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
