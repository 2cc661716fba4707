"""Our CA's certificate as a phone installs it: DER, or an iOS configuration profile (unsigned; with fingerprint)."""

import plistlib
import ssl
import uuid


def der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem)


def mobileconfig(pem: str) -> bytes:
    """A profile with one payload, the CA. The ids follow from the certificate: installing twice replaces."""
    content = der(pem)
    name = uuid.uuid5(uuid.NAMESPACE_OID, content.hex())
    payload = {
        "PayloadType": "com.apple.security.root", "PayloadVersion": 1, "PayloadIdentifier": f"bot-bottle.{name}.root",
        "PayloadUUID": str(name).upper(), "PayloadDisplayName": "bot-bottle", "PayloadContent": content,
    }  # fmt: skip
    return plistlib.dumps({
        "PayloadType": "Configuration", "PayloadVersion": 1, "PayloadIdentifier": f"bot-bottle.{name}",
        "PayloadUUID": str(uuid.uuid5(name, "profile")).upper(), "PayloadDisplayName": "bot-bottle dashboard",
        "PayloadDescription": "Lets this device know the bot-bottle dashboard on your network.",
        "PayloadContent": [payload],
    })  # fmt: skip
