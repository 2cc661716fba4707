"""What a format is. Line formats also serve the sinks; a format of whole files is for export only."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from bot_bottle.audit.entries import Entry


@dataclass(frozen=True, slots=True)
class Format:
    """name: for `--format` and settings. suffix: of files, with its dot. says: one line for people.

    line: one entry as one line with its end, whatever it contains (B73). head: what stands before the first line.
    whole: writes a file of another shape, `line` is then None; returns nothing, raises OperatorFault (extra missing).
    """

    name: str
    suffix: str
    media: str
    says: str
    line: Callable[[Entry], bytes] | None = None
    head: bytes = b""
    whole: Callable[[Iterable[Entry], BinaryIO], None] | None = None

    def write(self, entries: Iterable[Entry], out: BinaryIO) -> None:
        """All entries, in order."""
        if self.whole is not None:
            self.whole(entries, out)
            return
        assert self.line is not None
        out.write(self.head)
        for entry in entries:
            out.write(self.line(entry))
