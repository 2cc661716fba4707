"""Incoming webhooks of chats: Slack, Mattermost, Matrix (hookshot's generic webhook). The URL is a secret.

Only our page is a link. Hosts and labels stand in code, are plain already (model.plain) and are marked as text that
no chat parses: no mention, no unfurling, no link to the host that an agent chose (B73).
"""

import html
import time
from typing import Any, Literal

import msgspec

from bot_bottle.audit.sinks.model import SinkFault, value_of
from bot_bottle.audit.sinks.post import Poster, must, url_problem
from bot_bottle.supervise.notify.model import Notice, NotifierConfig, NotifierKind, Secrets


class ChatConfig(NotifierConfig, kw_only=True, frozen=True, tag="chat", tag_field="kind"):
    """shape: what the other side understands. url_secret: name of the whole webhook URL."""

    shape: Literal["slack", "mattermost", "matrix"]
    url_secret: str
    ca: str = ""
    plain: bool = False


class ChatNotifier:
    """One webhook."""

    def __init__(self, config: ChatConfig, secrets: Secrets) -> None:
        url = value_of(secrets, config.url_secret).decode("latin-1").strip()
        if url_problem(url, config.plain):
            what = f"The secret {config.url_secret} {url_problem(url, config.plain)}."
            raise SinkFault(what, "Set it to the webhook's whole URL.")
        self._shape = _SHAPES[config.shape]
        self._poster = Poster(url, config.ca)

    def send(self, notice: Notice) -> None:
        """Delivered when the chat answers 2xx."""
        body = msgspec.json.encode(self._shape(notice))
        reply = self._poster.post(body, {"Content-Type": "application/json"})
        must(reply, self._poster.host, time.time())

    def close(self) -> None:
        """Idempotent."""
        self._poster.close()


def slack(notice: Notice) -> dict[str, Any]:
    """Blocks of plain text and one button that is a link; `text` is what a phone shows."""
    blocks: list[dict[str, Any]] = [
        {
            "type": "section",
            "text": {"type": "plain_text", "text": f"{notice.title}\n{notice.sentence}", "emoji": False},
        }
    ]
    if notice.link:
        label = {"type": "plain_text", "text": "Look", "emoji": False}
        blocks.append({"type": "actions", "elements": [{"type": "button", "text": label, "url": notice.link}]})
    return {
        "text": notice.title,
        "blocks": blocks,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def mattermost(notice: Notice) -> dict[str, Any]:
    """Markdown; every word of others in code."""
    link = f"\n[Look]({notice.link})" if notice.link else ""
    return {"text": f"**{notice.title}**\n`{notice.sentence}`{link}"}


def matrix(notice: Notice) -> dict[str, Any]:
    """Text, and the same as HTML."""
    link = f'<br><a href="{html.escape(notice.link)}">Look</a>' if notice.link else ""
    shown = f"<strong>{html.escape(notice.title)}</strong><br><code>{html.escape(notice.sentence)}</code>{link}"
    return {"text": f"{notice.title}\n{notice.inert}\n{notice.link}".strip(), "html": shown}


_SHAPES = {"slack": slack, "mattermost": mattermost, "matrix": matrix}


def open_chat(config: ChatConfig, secrets: Secrets, _home: str) -> ChatNotifier:
    """The notifier of a config that has no problems."""
    return ChatNotifier(config, secrets)


def problems(config: ChatConfig) -> list[tuple[str, str]]:
    """The name of the URL's secret."""
    return [] if config.url_secret else [("url_secret", "is empty")]


KIND = NotifierKind("chat", "Slack, Mattermost or Matrix, by an incoming webhook.", ChatConfig, open_chat, problems)
