"""The gateway's half of the log: records staged in a turn leave in one write, and what waits for them goes on after.

No record, no request: whatever follows an intent is the `then` of its record and runs only once the bytes are
written.
A failed or short write stops the gateway (`on_failure`). A quota per bottle freezes that bottle, not the host (D18).
Constant parts are encoded once by audit.encode itself, so that a fast line is byte-identical to a slow one.
"""

import os
import time
from collections.abc import Callable

from bot_bottle.audit import levels
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.egress.messages import Identity
from bot_bottle.inspect.scrub import Scrubber

_TIME, _MONO, _NUMBER = 1111111111111111111, 2222222222222222222, 3333333333333333333
_LONG = 15000
Call = Callable[[], None]


class Template:
    """A line whose time and request number are still open."""

    __slots__ = ("_body", "_head", "_middle", "_tail")

    def __init__(self, line: bytes) -> None:
        self._head, _, rest = line.partition(b"%d" % _TIME)
        self._middle, _, rest = rest.partition(b"%d" % _MONO)
        self._body, _, tail = rest.partition(b"%d" % _NUMBER)
        self._tail = tail[:-2]

    def line(self, number: int, more: bytes = b"") -> bytes:
        """The line now. more: further members as JSON text with a leading comma."""
        return b"%b%d%b%d%b%d%b%b}\n" % (
            self._head, time.time_ns(), self._middle, time.monotonic_ns(), self._body, number, self._tail, more,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._head) + len(self._middle) + len(self._body) + len(self._tail)


class Journal:
    """Stages lines and writes them together at the end of the loop's turn."""

    def __init__(self, fd: int, identity: Identity, policy: str, quota: int, sync: bool) -> None:
        self.fd = fd
        self.identity = identity
        self.policy = policy
        self.sync = sync
        self.written = 0
        self.failed = False
        self.level = levels.BLOCKS
        self.needles: levels.Needles = Scrubber()
        self.on_failure: Callable[[str], None] = _ignore
        self.on_quota: Call = _nothing
        self._quota = self._allowance = quota
        self._lines: list[bytes] = []
        self._then: list[Call] = []

    def record(self, kind: str, **fields: object) -> Record:
        """A record of this bottle with the current times."""
        who = self.identity
        return Record(
            v=VERSION, kind=kind, run=who.run, time=time.time_ns(), mono=time.monotonic_ns(), bottle=who.bottle,
            agent=who.agent, harness=who.harness, label=who.label, policy=self.policy,
            **fields,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip

    def template(self, kind: str, **fields: object) -> Template | None:
        """A template of such a record, or None for one so long that its numbers could decide where it is cut."""
        record = self.record(kind, **fields)
        record.time, record.mono, record.request = _TIME, _MONO, _NUMBER
        template = Template(levels.enter(record, self.level, self.needles) or b"")
        return template if len(template) < _LONG else None

    def write(self, record: Record, then: Call | None = None) -> None:
        """Stages one record, as much of it as the level takes and no secret (B48)."""
        line = levels.enter(record, self.level, self.needles)
        if line is not None:
            self.stage(line, then)

    def write_body(self, record: Record, body: bytes) -> None:
        """Stages the pieces of a body (level full)."""
        for piece in levels.body(record, body, self.needles):
            self.write(piece)

    def stage(self, line: bytes, then: Call | None = None) -> None:
        """Stages one line; `then` runs after it is written, in this turn, and never without it."""
        self._lines.append(line)
        if then is not None:
            self._then.append(then)

    def flush(self) -> None:
        """Writes what is staged, then runs what waited, until nothing is staged any more."""
        while self._lines and not self.failed:
            lines, self._lines = self._lines, []
            then, self._then = self._then, []
            if not self._append(b"".join(lines) if len(lines) > 1 else lines[0]):
                return
            for call in then:
                call()

    def _append(self, data: bytes) -> bool:
        try:
            count = os.write(self.fd, data)
            if count == len(data):
                if self.sync:
                    os.fdatasync(self.fd)
                self._count(count)
                return True
            cause = "the disk took only a part of it"
        except OSError as error:
            cause = error.strerror or "unknown error"
        self.failed = True
        self.on_failure(f"The log cannot be written: {cause}.")
        return False

    def _count(self, count: int) -> None:
        self.written += count
        if self._allowance and self.written > self._quota:
            self.on_quota()

    def extend(self) -> None:
        """A person thawed the bottle: it may write as much again."""
        if self.written > self._quota:
            self._quota = self.written + self._allowance

    def replace(self, fd: int) -> None:
        """Writes to another descriptor from the next record on."""
        old, self.fd = self.fd, fd
        os.close(old)


def outcome_members(address: bytes, status: int, up: int, down: int, ms: float) -> bytes:
    """The members of an outcome that vary, in the order of `Record`; address: a JSON string with quotes, or empty."""
    return b"%b%b%b%b%b" % (
        b',"address":' + address if address else b"",
        b',"status":%d' % status if status else b"",
        b',"up":%d' % up if up else b"",
        b',"down":%d' % down if down else b"",
        b',"ms":%b' % repr(ms).encode(),
    )


def _ignore(_what: str) -> None:
    return None


def _nothing() -> None:
    return None
