"""What a sink is: it takes a batch and returns when the other side has it, or raises SinkFault; it never drops.

Credentials are names of secrets: fields that end in ``_secret``. Their values come from the keeper when the sink is
opened, stand in no settings file and in no message.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from bot_bottle.audit.entries import Entry
from bot_bottle.base.errors import OperatorFault, UpstreamFault

Secrets = Mapping[str, bytes]
"""Name of a secret -> its value."""


class SinkFault(UpstreamFault):
    """The other side does not take it now; the batch is sent again later. Never carries what was sent.

    after: seconds that the other side asked us to wait, 0 if it did not. too_large: a smaller batch may pass.
    """

    def __init__(self, what: str, hint: str = "", after: float = 0, too_large: bool = False) -> None:
        super().__init__("sink.failed", what, hint)
        self.after = after
        self.too_large = too_large


class Sink(Protocol):
    """One open sink, used by one thread.

    settle: seconds for which a batch that was sent may still be lost by the other side (a protocol without
    acknowledgement); it counts as delivered when the link has lived that long after it. 0: `send` is proof enough.
    """

    settle: float

    def send(self, batch: Sequence[Entry]) -> None:
        """Raises SinkFault; a part of the batch may have arrived then."""
        ...

    def check(self) -> None:
        """Whether what was sent since the last fault can still be trusted to arrive. Raises SinkFault."""
        ...

    def close(self) -> None:
        """Idempotent; the next `send` opens it again."""
        ...


class SinkConfig(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every sink may say. format: of one record (formats.registry.LINES). checkpoints: signed checkpoints of the
    host log go there, too. start: from the first record, or from what is written after its first use."""

    format: str = "numbered"
    checkpoints: bool = True
    start: Literal["all", "now"] = "all"


@dataclass(frozen=True, slots=True)
class SinkKind:
    """config: a SinkConfig. problems: what a valid config still gets wrong, (field, sentence) each."""

    name: str
    says: str
    config: type[SinkConfig]
    open: Callable[[Any, Secrets], Sink]
    problems: Callable[[Any], list[tuple[str, str]]]


def secret_names(config: msgspec.Struct) -> tuple[str, ...]:
    """Names of the secrets that a config mentions."""
    fields = [name for name in config.__struct_fields__ if name.endswith("_secret")]
    return tuple(sorted({value for name in fields if (value := getattr(config, name))}))


def value_of(secrets: Secrets, name: str) -> bytes:
    """One secret. Raises OperatorFault where the keeper had none of this name."""
    if name not in secrets:
        raise OperatorFault("sink.secret", f"The secret {name} is not set.", f"Run: bot-bottle secret set {name}")
    return secrets[name]
