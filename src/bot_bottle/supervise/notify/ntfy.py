"""ntfy (ntfy.sh or one's own server): JSON to the server's root, so that no word of ours is ever a header."""

import time
from typing import Any

import msgspec

from bot_bottle.audit.sinks.model import value_of
from bot_bottle.audit.sinks.post import Poster, must, url_problem
from bot_bottle.supervise.notify.model import Notice, NotifierConfig, NotifierKind, Secrets


class NtfyConfig(NotifierConfig, kw_only=True, frozen=True, tag="ntfy", tag_field="kind"):
    """url: of the server. topic_secret: name of the topic, which is all that guards it on a public server.
    token_secret: access token."""

    url: str
    topic_secret: str
    token_secret: str = ""
    ca: str = ""
    plain: bool = False


class NtfyNotifier:
    """One topic."""

    def __init__(self, config: NtfyConfig, secrets: Secrets) -> None:
        self._topic = value_of(secrets, config.topic_secret).decode("latin-1").strip()
        self._poster = Poster(config.url, config.ca)
        self._headers = {"Content-Type": "application/json"}
        if config.token_secret:
            token = value_of(secrets, config.token_secret).decode("latin-1").strip()
            self._headers["Authorization"] = f"Bearer {token}"

    def send(self, notice: Notice) -> None:
        """A click opens the page; there are no action buttons, because a click must not decide."""
        message: dict[str, Any] = {
            "topic": self._topic,
            "title": notice.title,
            "message": notice.inert,
            "priority": 5 if notice.late else 4,
            "tags": ["raised_hand"],
        }
        if notice.link:
            message["click"] = notice.link
        reply = self._poster.post(msgspec.json.encode(message), self._headers)
        must(reply, self._poster.host, time.time())

    def close(self) -> None:
        """Idempotent."""
        self._poster.close()


def open_ntfy(config: NtfyConfig, secrets: Secrets, _home: str) -> NtfyNotifier:
    """The notifier of a config that has no problems."""
    return NtfyNotifier(config, secrets)


def problems(config: NtfyConfig) -> list[tuple[str, str]]:
    """The server and the topic."""
    why = url_problem(config.url, config.plain)
    found = [("url", why)] if why else []
    return found + ([] if config.topic_secret else [("topic_secret", "is empty")])


KIND = NotifierKind("ntfy", "ntfy.sh, or a server of one's own.", NtfyConfig, open_ntfy, problems)
