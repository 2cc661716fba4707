"""A headless run: the agent's events are passed on and read for its success (exit codes lie: pi ends with 0 after a
refusal). What it wrote to a file of its own is fetched by the careful module only (D22).
"""

import os
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from bot_bottle.api.bottles import Prepared
from bot_bottle.base.errors import AgentFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.run import LEASED, Run
from bot_bottle.bottles.streams import Recorder
from bot_bottle.bottles.terminal_filter import TerminalFilter
from bot_bottle.harnesses import load
from bot_bottle.harnesses.progress import STREAMS, steps
from bot_bottle.harnesses.success import Outcome as Success
from bot_bottle.harnesses.success import Reading, read

_MOST_LINE = 16_000_000
_MOST_LINES = 20_000
_MOST_BYTES = 64_000_000
_MOST_FILE = 64_000_000
_TAIL = 5


class Lines:
    """Whole lines of what was written, the last of them, bounded in number and size."""

    def __init__(self, each: Callable[[bytes], None]) -> None:
        self._each = each
        self._rest = b""
        self._size = 0
        self.kept: deque[bytes] = deque()

    def feed(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._take(line)
        if len(self._rest) > _MOST_LINE:
            self.finish()

    def finish(self) -> None:
        """The last line may have no newline."""
        if self._rest:
            self._take(self._rest)
            self._rest = b""

    def _take(self, line: bytes) -> None:
        self._each(line)
        self.kept.append(line)
        self._size += len(line)
        while self._size > _MOST_BYTES or len(self.kept) > _MOST_LINES:
            self._size -= len(self.kept.popleft())


class Headless:
    """events: JSON lines of ours on `out` (start, output, end) instead of the agent's own output.

    A person (`out` is a terminal) sees the tools that the agent uses, by `host.say`, and at the end its last words
    instead of an event stream that is made for programs; where it has none, the end of what it wrote.
    Where `out` is a terminal, all of it passes the filter of D15 (JSON may hold C1 characters as they are).
    """

    def __init__(self, prepared: Prepared, events: bool, out: BinaryIO) -> None:
        self._prepared = prepared
        self._events = events
        self._out = out
        self._gone = False
        self._filter = TerminalFilter() if out.isatty() else None
        self._lines = Lines(self._line)
        self._harness = load.load_all(prepared.host.home.root).get(prepared.plan.harness).harness
        self._person = out.isatty() and not events and self._harness.success.events in STREAMS
        self._words: tuple[str, ...] = ()

    def run(self) -> Outcome:
        """To the end; a failure that only the event stream shows becomes exit code 1."""
        outcome = self._prepared.start(Recorder(self._take), step=self._begun, look=self._judge)
        self._event({"event": "end", "outcome": msgspec.to_builtins(outcome)})
        if self._words:
            self._write("\n".join((*self._words, "")).encode("utf-8", "replace"))
        return outcome

    def _begun(self, step: str, run: Run) -> None:
        if step == LEASED:
            plan = run.plan
            self._event({"event": "start", "label": plan.label, "agent": plan.agent, "harness": plan.harness})
        if step == "relay" and self._person:
            self._prepared.host.say(f"bot-bottle: {run.plan.agent} works in {run.plan.label}.")

    def _take(self, data: bytes) -> None:
        if not self._events and not self._person:
            self._write(data)
        self._lines.feed(data)

    def _line(self, line: bytes) -> None:
        if self._events:
            text = line.decode("utf-8", "replace")
            try:
                self._event({"event": "output", "data": msgspec.json.decode(text)})
            except (msgspec.DecodeError, RecursionError):
                self._event({"event": "output", "text": text})
        if self._person:
            for told in steps(self._harness.success.events, line):
                self._prepared.host.say(f"  {told}")

    def _event(self, event: dict[str, object]) -> None:
        if self._events:
            self._write(msgspec.json.encode(event) + b"\n")

    def _write(self, data: bytes) -> None:
        """A reader that went away does not end the agent: the result file and the record still count."""
        try:
            if self._gone:
                return
            self._out.write(self._filter.feed(data) if self._filter else data)
            self._out.flush()
        except OSError:
            self._gone = True

    def _judge(self, outcome: Outcome) -> None:
        """Before the bottle's HOME is removed."""
        self._lines.finish()
        success = self._harness.success
        written = home_file(self._home(outcome.label), success.file) if success.file else b""
        exit_code = outcome.agent_status if outcome.status in ("ok", "failed") else None
        reading = read(success, self._lines.kept, written, exit_code)
        settle(outcome, reading)
        if self._person:
            self._words = reading.words or tuple(visible(one.decode("utf-8", "replace"), 500) for one in self._tail())

    def _tail(self) -> list[bytes]:
        """An agent without last words (it could not start, say): the end of what it wrote."""
        return list(self._lines.kept)[-_TAIL:]

    def _home(self, label: str) -> str:
        return os.path.join(self._prepared.host.home.state(label), "home")


def settle(outcome: Outcome, reading: Reading) -> None:
    """What the agent says of itself, where it ended by itself."""
    outcome.success = reading.outcome.value
    outcome.model = reading.model
    outcome.tokens = {"input": reading.usage.input, "cached": reading.usage.cached, "output": reading.usage.output}
    outcome.text = reading.text
    if outcome.status == "ok" and reading.outcome is Success.FAILED:
        outcome.status, outcome.exit_code = "failed", 1
        outcome.reason = outcome.reason or "The agent says that it did not succeed."


def home_file(home: str, relative: str) -> bytes:
    """A file that the agent wrote into its HOME; empty where it is not a regular file, too large, or a link."""
    from bot_bottle.bottles.workspace.reach import Tree

    try:
        with Tree(home) as tree:
            return tree.read(relative, _MOST_FILE)
    except (OSError, AgentFault):
        return b""
