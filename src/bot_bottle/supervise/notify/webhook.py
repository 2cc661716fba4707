"""A signed webhook (audit/sinks/signing.py): a small JSON object for other people's programs."""

import time

import msgspec

from bot_bottle.audit.sinks import signing
from bot_bottle.audit.sinks.model import value_of
from bot_bottle.audit.sinks.post import Poster, must, url_problem
from bot_bottle.supervise.notify.model import Notice, NotifierConfig, NotifierKind, Secrets


class WebhookConfig(NotifierConfig, kw_only=True, frozen=True, tag="webhook", tag_field="kind"):
    """signing_secret: name of the key that signs. ca: PEM file. plain: http to another machine is allowed."""

    url: str
    signing_secret: str
    ca: str = ""
    plain: bool = False


class WebhookNotifier:
    """``{"type":"ask.waiting","labels","hosts","count","waiting","link","at"}``."""

    def __init__(self, config: WebhookConfig, secrets: Secrets) -> None:
        self._key = signing.key_of(value_of(secrets, config.signing_secret))
        self._poster = Poster(config.url, config.ca)

    def send(self, notice: Notice) -> None:
        """Delivered when the receiver answers 2xx."""
        body = msgspec.json.encode(
            {
                "type": "test" if notice.test else "ask.late" if notice.late else "ask.waiting",
                "labels": notice.labels,
                "hosts": notice.hosts,
                "count": notice.count,
                "waiting": notice.waiting,
                "link": notice.link,
                "at": notice.at // 1_000_000,
            }
        )
        headers = signing.headers(self._key, f"msg_{notice.ident}", int(time.time()), body)
        reply = self._poster.post(body, {"Content-Type": "application/json", **headers})
        must(reply, self._poster.host, time.time())

    def close(self) -> None:
        """Idempotent."""
        self._poster.close()


def open_webhook(config: WebhookConfig, secrets: Secrets, _home: str) -> WebhookNotifier:
    """The notifier of a config that has no problems."""
    return WebhookNotifier(config, secrets)


def problems(config: WebhookConfig) -> list[tuple[str, str]]:
    """The address and the name of the key."""
    why = url_problem(config.url, config.plain)
    found = [("url", why)] if why else []
    return found + ([] if config.signing_secret else [("signing_secret", "is empty")])


KIND = NotifierKind("webhook", "Signed JSON by POST.", WebhookConfig, open_webhook, problems)
