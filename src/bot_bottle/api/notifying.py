"""Runs the notifiers of the settings: one thread each, in the starter of `serve`; and sends a test notice."""

import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence

from bot_bottle.api.forwarding import HostClock
from bot_bottle.api.settings import Settings
from bot_bottle.audit.forward import Stop
from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible
from bot_bottle.supervise.model import Ask
from bot_bottle.supervise.notify.engine import Around, Opened, Watcher, trial_notice
from bot_bottle.supervise.notify.model import NotifierConfig
from bot_bottle.supervise.notify.registry import open_notifier
from bot_bottle.supervise.store import SqliteReader

Say = Callable[[str], None]
_AGAIN = 30.0
_RANDOM = random.SystemRandom()


def run(
    home: Home,
    settings: Settings,
    secret_values: Mapping[str, bytes],
    link: Callable[[], str],
    stop: Stop,
    say: Say = lambda _line: None,
    news: Callable[[Sequence[Ask]], set[str] | None] = lambda _asks: None,
) -> None:
    """Tells every notifier what waits, until `stop` is set; returns when all threads have ended. link: address of the
    page now, which is all that a notice leads to. secret_values: of `settings.secrets()`, from the keeper. news: see
    Around."""
    around = Around(HostClock(), _RANDOM.random, approvals(home), link, say, news)
    threads = [
        threading.Thread(target=_serve, args=(home, name, config, secret_values, around, stop), name=f"notify-{name}")
        for name, config in settings.notifiers.items()
    ]
    for thread in threads:
        thread.daemon = True
        thread.start()
    for thread in threads:
        thread.join()


def approvals(home: Home) -> Opened:
    """Opens the approvals of a home for the calling thread; None while no keeper has made them."""
    return lambda: SqliteReader(home.approvals) if os.path.exists(home.approvals) else None


def _serve(
    home: Home, name: str, config: NotifierConfig, secret_values: Mapping[str, bytes], around: Around, stop: Stop
) -> None:
    told = ""
    while not stop.is_set():
        try:
            notifier = open_notifier(config, secret_values, home.root)
            Watcher(name, f"{home.forward}/notify-{name}", config, notifier, around).run(stop)
        except BottleError as fault:
            if str(fault) != told:
                told = str(fault)
                around.say(f"The notifier {name} does not run: {told}")
            stop.wait(_AGAIN)
        except Exception as error:  # a bug of ours stops one notifier for a while; its words could hold a secret
            around.say(f"The notifier {name} failed: {type(error).__name__}. Please report this line.")
            stop.wait(_AGAIN)


def test(home: Home, settings: Settings, secret_values: Mapping[str, bytes], name: str, link: str) -> str:
    """Sends a test notice; one sentence about how it went. Raises UsageFault for an unknown name, SinkFault and
    OperatorFault when it did not go."""
    if name not in settings.notifiers:
        known = ", ".join(settings.notifiers) or "none: add [notify.NAME] to settings.toml"
        raise UsageFault("notify.unknown", f"There is no notifier {visible(name, 64)}.", f"Known: {known}.")
    notifier = open_notifier(settings.notifiers[name], secret_values, home.root)
    try:
        notifier.send(trial_notice(link, HostClock().wall()))
    finally:
        notifier.close()
    return f"The notifier {name} took a test notice."
