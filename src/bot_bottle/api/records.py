"""What a person does with the record as a whole: purge, hold, lend secrets to sinks. Each goes through a keeper of
its own, because it needs the log key or a store; the caller never sees either."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from bot_bottle.api.approvals import person
from bot_bottle.api.settings import Settings
from bot_bottle.api.wiring import Host
from bot_bottle.audit.wishes import PurgeResult, PurgeWish
from bot_bottle.bottles.crew import Crew
from bot_bottle.bottles.hatch import hatch
from bot_bottle.supervise.charter import title


@contextmanager
def keeper(host: Host) -> Generator[Crew]:
    """A keeper without a bottle, for questions."""
    crew = Crew(hatch(host.environ, gateway=False), host.terminal)
    try:
        yield crew
    finally:
        crew.close()


def purge(
    host: Host, settings: Settings, runs: tuple[str, ...], days: int, reason: str, despite: bool
) -> PurgeResult:
    """Purges these runs, and those that ended more than `days` days ago (0: none), unless a hold or a sink that has
    not got them keeps them (despite: purge although a sink lags)."""
    wish = PurgeWish(runs, days, tuple(settings.sinks), despite, title(person()), reason)
    with keeper(host) as crew:
        return crew.purge(host.home, wish)


def foreseen(host: Host, settings: Settings, runs: tuple[str, ...], days: int, despite: bool) -> PurgeResult:
    """What `purge` would do now."""
    from bot_bottle.audit import retention

    return retention.foreseen(host.home, time.time_ns(), PurgeWish(runs, days, tuple(settings.sinks), despite))


def retain(host: Host, settings: Settings) -> PurgeResult:
    """What `serve` does once a day: purges what the settings let go. Nothing where records are kept for ever."""
    if not settings.retention.days:
        return PurgeResult()
    return purge(host, settings, (), settings.retention.days, "retention", False)


def hold(host: Host, run: str, reason: str, release: bool = False) -> None:
    """Puts a run (``*``: every run) under a legal hold, or ends it."""
    with keeper(host) as crew:
        crew.hold(host.home, run, title(person()), reason, release)


def note(host: Host, what: str, detail: dict[str, str]) -> None:
    """A CONTROL record in the host log: what this person did to the installation at a terminal."""
    with keeper(host) as crew:
        who = person()
        crew.note(host.home, what, f"{who.kind}:{who.id}", detail | {"via": who.via})


def secret_values(host: Host, settings: Settings) -> dict[str, bytes]:
    """Values of the secrets that the settings name; no keeper is started where they name none."""
    names = settings.secrets()
    if not names:
        return {}
    with keeper(host) as crew:
        return crew.supply(host.home, names)
