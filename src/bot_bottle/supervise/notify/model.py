"""What a notifier is, and the little that a notice says: label, host, how many wait, and where to look.

A notice carries no content of a request, and nothing in it decides: it links to the page, where the person signs in.
Label and host are cut to plain characters here, once, so that no notifier can be made to mention a channel, to
format, to link elsewhere or to start another header (B73).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

Secrets = Mapping[str, bytes]
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9.:_-]")
_LONG = 80


class NotifierConfig(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every notifier may say. after: only asks that have waited this long (escalation). every: at most one
    notice in this time; what comes meanwhile is told together (B74)."""

    after: str = "0s"
    every: str = "10s"


class Notice(msgspec.Struct, frozen=True):
    """ident: the same for every try. labels, hosts: of the asks that are told, plain, without repeats. count: asks
    that are told; waiting: all that wait. link: our page. test: nothing waits, somebody tries the notifier. new: of
    the hosts those that no bottle reached before, as far as that is known."""

    ident: str
    labels: tuple[str, ...]
    hosts: tuple[str, ...]
    count: int
    waiting: int
    link: str
    at: int
    late: bool = False
    test: bool = False
    new: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """One line, plain characters only."""
        if self.test:
            return "bot-bottle: a test notice"
        if self.late:
            return (
                "bot-bottle: an ask still waits" if self.count == 1 else f"bot-bottle: {self.count} asks still wait"
            )
        return "bot-bottle: an ask waits" if self.count == 1 else f"bot-bottle: {self.count} asks wait"

    @property
    def sentence(self) -> str:
        """One line. Hosts and labels are the only words of others in it."""
        if self.test:
            return "This notifier works."
        news = f" No bottle has reached {_list(self.new)} before." if self.new else ""
        return f"{_list(self.labels)} asks for {_list(self.hosts)}.{news}"

    @property
    def inert(self) -> str:
        """The sentence for places that make a link of everything that looks like a host: an agent chose it."""
        if self.test:
            return self.sentence
        return re.sub(r"\.(?=\S)", "[.]", self.sentence)


class Notifier(Protocol):
    """One open notifier, used by one thread. `send` raises SinkFault (audit.sinks.model) when it did not work."""

    def send(self, notice: Notice) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NotifierKind:
    """config: a NotifierConfig. open: from config, secrets and the root of the home. problems: (field, sentence)."""

    name: str
    says: str
    config: type[NotifierConfig]
    open: Callable[[Any, Secrets, str], Notifier]
    problems: Callable[[Any], list[tuple[str, str]]]


def plain(text: str) -> str:
    """A label or host in letters, digits and ``.:_-``, cut: nothing that any receiver interprets."""
    out = _NOT_PLAIN.sub("?", text[: _LONG + 1])
    return out if len(out) <= _LONG else out[: _LONG - 3] + "..."


def _list(words: tuple[str, ...]) -> str:
    shown = ", ".join(words[:3])
    return f"{shown} and {len(words) - 3} more" if len(words) > 3 else shown or "a bottle"
