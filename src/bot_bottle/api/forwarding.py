"""Runs the sinks of the settings: one thread each, in the starter of `serve` or in `log forward`.

A sink that cannot be opened (a secret that is not set, an extra that is missing) stops itself, never the others, and
says so. No thread holds a lock that a request or a keeper waits for.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot_bottle.api.settings import Settings
from bot_bottle.audit import cursor, source
from bot_bottle.audit.forward import Forwarder, Ports, Status, Stop, status_of
from bot_bottle.audit.sinks.model import SinkConfig, SinkFault
from bot_bottle.audit.sinks.registry import kind_of, open_sink
from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible

Say = Callable[[str], None]
_AGAIN = 30.0
_RANDOM = random.SystemRandom()


class HostClock:
    """The clock of this machine."""

    def wall(self) -> int:
        return time.time_ns()

    def monotonic(self) -> int:
        return time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class SinkState:
    """One sink for `log sinks`. behind: signed records that have not arrived; logs: in how many logs."""

    name: str
    kind: str
    configured: bool
    behind: int
    logs: int
    status: Status


def ports() -> Ports:
    """Clock and randomness of this machine."""
    return Ports(HostClock(), _RANDOM.random)


def run(
    home: Home, settings: Settings, secret_values: Mapping[str, bytes], stop: Stop, say: Say = lambda _line: None
) -> None:
    """Forwards to every sink until `stop` is set; returns when all threads have ended. secret_values: of
    `settings.secrets()`, from the keeper."""
    threads = [
        threading.Thread(target=serve_sink, args=(home, name, config, secret_values, stop, say), name=f"sink-{name}")
        for name, config in settings.sinks.items()
    ]
    for thread in threads:
        thread.daemon = True
        thread.start()
    for thread in threads:
        thread.join()


def serve_sink(
    home: Home, name: str, config: SinkConfig, secret_values: Mapping[str, bytes], stop: Stop, say: Say
) -> None:
    """One sink until stopped. What stops it (another process has it, a disk that takes no cursor) is tried again."""
    told = ""
    while not stop.is_set():
        try:
            with cursor.held(f"{home.forward}/{name}"):
                Forwarder(name, home, config, open_sink(config, secret_values), ports()).run(stop)
        except BottleError as fault:
            if str(fault) != told:
                told = str(fault)
                say(f"The sink {name} does not run: {told}")
            stop.wait(_AGAIN)
        except Exception as error:  # a bug of ours stops one sink for a while; its words could hold a secret
            say(f"The sink {name} failed: {type(error).__name__}. Please report this line.")
            stop.wait(_AGAIN)


def once(home: Home, name: str, config: SinkConfig, secret_values: Mapping[str, bytes], patience: float) -> Status:
    """Forwards what is signed now and waits until it has arrived. Raises SinkFault when it has not after `patience`
    seconds of failures, BusyFault while `serve` does it."""
    with cursor.held(f"{home.forward}/{name}"):
        forwarder = Forwarder(name, home, config, open_sink(config, secret_values), ports())
        try:
            return _drain(forwarder, patience)
        finally:
            forwarder.close()


def _drain(forwarder: Forwarder, patience: float) -> Status:
    until = time.monotonic() + patience
    while True:
        wait = forwarder.round()
        status = forwarder.status
        if status.state == "failing" and time.monotonic() + wait > until:
            raise SinkFault(status.fault or "The sink does not take it.")
        if wait and not forwarder.waiting and status.state != "failing":
            return status
        if status.state != "failing":
            until = time.monotonic() + patience
        time.sleep(wait)


def states(home: Home, settings: Settings) -> list[SinkState]:
    """All sinks of the settings, then those that only have a cursor left."""
    found: list[SinkState] = []
    for name in [*settings.sinks, *(name for name in cursor.names(home) if name not in settings.sinks)]:
        config = settings.sinks.get(name)
        lag = source.lag(home, cursor.read(f"{home.forward}/{name}"))
        kind = kind_of(config).name if config is not None else ""
        found.append(SinkState(name, kind, config is not None, sum(lag.values()), len(lag), status_of(home, name)))
    return found


def lagging(home: Home, settings: Settings, run: str) -> list[str]:
    """Sinks of the settings that have not got all of one run's records: a purge waits for them."""
    found: list[str] = []
    for name in settings.sinks:
        positions = cursor.read(f"{home.forward}/{name}")
        if source.signed(home.run_log(run))[0] > positions.get(run, 0):
            found.append(name)
    return found


def sink_named(settings: Settings, name: str) -> SinkConfig:
    """The config of one sink. Raises UsageFault."""
    if name not in settings.sinks:
        known = ", ".join(settings.sinks) or "none: add [sink.NAME] to settings.toml"
        raise UsageFault("sink.unknown", f"There is no sink {visible(name, 64)}.", f"Known: {known}.")
    return settings.sinks[name]
