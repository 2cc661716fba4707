"""A webhook: batches as JSON lines, signed (signing.py). 2xx means that the receiver has the batch."""

import hashlib
import time
from collections.abc import Sequence

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats.registry import format_of
from bot_bottle.audit.sinks import signing
from bot_bottle.audit.sinks.model import Secrets, SinkConfig, SinkKind, value_of
from bot_bottle.audit.sinks.post import Poster, must, url_problem


class WebhookConfig(SinkConfig, kw_only=True, frozen=True, tag="webhook", tag_field="kind"):
    """signing_secret: name of the key that signs. token_secret: bearer token. ca, plain: as elsewhere."""

    url: str
    signing_secret: str
    token_secret: str = ""
    ca: str = ""
    plain: bool = False


class WebhookSink:
    """One connection."""

    settle = 0.0

    def __init__(self, config: WebhookConfig, secrets: Secrets) -> None:
        form = format_of(config.format)
        assert form.line is not None
        self._line = form.line
        self._media = form.media
        self._key = signing.key_of(value_of(secrets, config.signing_secret))
        self._token = value_of(secrets, config.token_secret) if config.token_secret else b""
        self._poster = Poster(config.url, config.ca)

    def send(self, batch: Sequence[Entry]) -> None:
        """The id is a digest of the content, so that a repeat has the id of the first try."""
        body = b"".join(self._line(entry) for entry in batch)
        ident = f"msg_{hashlib.sha256(body).hexdigest()[:32]}"
        headers = {"Content-Type": self._media, **signing.headers(self._key, ident, int(time.time()), body)}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token.decode('latin-1').strip()}"
        must(self._poster.post(body, headers), self._poster.host, time.time())

    def check(self) -> None:
        """Nothing can be lost after `send`."""

    def close(self) -> None:
        """Idempotent."""
        self._poster.close()


def open_webhook(config: WebhookConfig, secrets: Secrets) -> WebhookSink:
    """The sink of a config that has no problems."""
    return WebhookSink(config, secrets)


def problems(config: WebhookConfig) -> list[tuple[str, str]]:
    """The address and the name of the key."""
    why = url_problem(config.url, config.plain)
    found = [("url", why)] if why else []
    return found + ([] if config.signing_secret else [("signing_secret", "is empty")])


KIND = SinkKind("webhook", "Signed JSON lines by POST.", WebhookConfig, open_webhook, problems)
