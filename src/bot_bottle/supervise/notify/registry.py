"""The list of notifiers."""

from bot_bottle.supervise.notify import chat, desktop, email, ntfy, push, webhook
from bot_bottle.supervise.notify.model import Notifier, NotifierConfig, NotifierKind, Secrets

NOTIFIERS: dict[str, NotifierKind] = {
    one.name: one
    for one in (
        desktop.KIND,
        ntfy.KIND,
        email.KIND,
        chat.KIND,
        push.KIND,
        webhook.KIND,
    )
}


def kind_of(config: NotifierConfig) -> NotifierKind:
    """The kind whose config this is."""
    return next(kind for kind in NOTIFIERS.values() if isinstance(config, kind.config))


def open_notifier(config: NotifierConfig, secrets: Secrets, home: str) -> Notifier:
    """The open notifier. home: root of the home. Raises OperatorFault for a secret that is not set."""
    return kind_of(config).open(config, secrets, home)
