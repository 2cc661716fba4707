"""What an agent's terminal output may say to a person's terminal (D15). Sans-io, incremental over every chunking.

An allowlist of ECMA-48 control sequences. Gone: titles, the clipboard (OSC 52), every device control string, every
request that a terminal answers into its input, printing, window operations, character-set switches, all C1 controls.
A sequence is passed whole or not at all, so the terminal is never left inside one. Output is always valid UTF-8:
otherwise what is left around a removed sequence could join into a new control.
"""

import re
from dataclasses import dataclass

_WAIT = -1
_LONGEST_COMMAND = 4096
_LONGEST_CONTROL = 256
_REQUESTS = {("n", "6"): "cursor", ("n", "5"): "status", ("c", ""): "identity", ("c", "0"): "identity"}
_PLAIN_ESC = frozenset(b"78=>cDEHM")
_CHARSET = frozenset(b"()*+-./")
_CSI = re.compile(rb"([<=>?]?)([0-9;:]*)([ -/]*)([@-~])\Z")
_FREE = frozenset("@ABCDEFGHIJKLMPSTXZ`abdefgm")
_MODES = frozenset(
    (1, 4, 5, 6, 7, 12, 20, 25, 45, 47, 66, 69, 1000, 1002, 1003, 1004, 1006, 1007, 1015, 1016, 1034, 1035, 1036)
) | frozenset((1042, 1047, 1048, 1049, 2004, 2026, 2027))
_LINK = re.compile(rb"8;[ -:<-~]*;(?:https?://[!-~]*)?\Z")
_MARK = re.compile(rb"133;[ABCD](?:;[!-~]*)?\Z")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a person lets through besides: window titles, writing the clipboard."""

    titles: bool = False
    clipboard: bool = False


class TerminalFilter:
    """Feed it what the agent wrote; it gives what the terminal may see.

    asked: requests that were taken out and that our relay may answer in the terminal's stead, in order:
    ``cursor`` (CSI 6 n), ``status`` (CSI 5 n), ``identity`` (CSI c). The caller empties the list.
    removed: how many sequences were dropped.
    """

    def __init__(self, allowed: Allowed | None = None) -> None:
        self._allowed = allowed or Allowed()
        self._held = b""
        self._skipping = b""
        self.asked: list[str] = []
        self.removed = 0

    def feed(self, data: bytes) -> bytes:
        """The safe part of all that was fed so far; an unfinished sequence waits for its rest."""
        data = self._held + data
        self._held = b""
        out = bytearray()
        at = 0
        while 0 <= at < len(data):
            was = at
            at = self._skip(data, at) if self._skipping else self._step(data, at, out)
            if at == _WAIT:
                self._held = data[was:]
        return bytes(out)

    def finish(self) -> bytes:
        """At the end: an unfinished sequence is dropped, an unfinished character replaced."""
        held, self._held, self._skipping = self._held, b"", b""
        return _REPLACEMENT if held and held[0] >= 0x80 else b""

    def _step(self, data: bytes, at: int, out: bytearray) -> int:
        """Handles what starts at `at`; the position after it, or _WAIT."""
        first = data[at]
        if first == 0x1B:
            return self._escape(data, at, out)
        if first >= 0x80:
            return self._character(data, at, out)
        if first == 0x05:
            return self._drop(at + 1)
        end = at + 1
        while end < len(data) and data[end] < 0x80 and data[end] not in (0x1B, 0x05):
            end += 1
        out += data[at:end]
        return end

    def _drop(self, to: int) -> int:
        self.removed += 1
        return to

    def _character(self, data: bytes, at: int, out: bytearray) -> int:
        """One character beyond ASCII; C1 controls go, broken UTF-8 is replaced byte by byte."""
        first = data[at]
        length = 2 if 0xC2 <= first <= 0xDF else 3 if 0xE0 <= first <= 0xEF else 4 if 0xF0 <= first <= 0xF4 else 0
        piece = data[at : at + max(length, 1)]
        whole = length > 0 and all(0x80 <= byte <= 0xBF for byte in piece[1:])
        if whole and len(piece) < length:
            return _WAIT
        text = piece.decode(errors="ignore") if whole else ""
        if len(text) != 1:
            out += _REPLACEMENT
            return at + 1
        if 0x80 <= ord(text) <= 0x9F:
            return self._drop(at + length)
        out += piece
        return at + length

    def _escape(self, data: bytes, at: int, out: bytearray) -> int:
        if at + 1 >= len(data):
            return _WAIT
        second = data[at + 1]
        if second == 0x5B:
            return self._control(data, at, out)
        if second == 0x5D:
            return self._command(data, at, out)
        if second in b"PX^_":
            self._skipping = b"\x1b"
            return self._drop(at + 2)
        if second in _PLAIN_ESC:
            out += data[at : at + 2]
            return at + 2
        if 0x20 <= second <= 0x2F:
            return self._designate(data, at, out)
        if second == 0x5A:
            self.asked.append("identity")
        return self._drop(at + 2 if 0x30 <= second <= 0x7E else at + 1)

    def _designate(self, data: bytes, at: int, out: bytearray) -> int:
        """ESC, intermediate, final: two character sets pass; ESC % @ (leave UTF-8), ESC SP G (8-bit answers) go."""
        if at + 2 >= len(data):
            return _WAIT
        if data[at + 1] in _CHARSET and data[at + 2] in b"AB0":
            out += data[at : at + 3]
            return at + 3
        return self._drop(at + 3 if 0x20 <= data[at + 2] <= 0x7E else at + 2)

    def _control(self, data: bytes, at: int, out: bytearray) -> int:
        """CSI: passed when it is on the list, complete, and free of controls inside."""
        end = at + 2
        while end < len(data) and 0x20 <= data[end] <= 0x3F and end - at <= _LONGEST_CONTROL:
            end += 1
        if end - at > _LONGEST_CONTROL:
            return self._drop(end)
        if end >= len(data):
            return _WAIT
        if not 0x40 <= data[end] <= 0x7E:
            return self._drop(end)
        if not self._passes(data[at + 2 : end + 1]):
            return self._drop(end + 1)
        out += data[at : end + 1]
        return end + 1

    def _passes(self, body: bytes) -> bool:
        found = _CSI.match(body)
        if not found:
            return False
        prefix, numbers, between, final = (part.decode() for part in found.groups())
        request = _REQUESTS.get((final, numbers)) if prefix == between == "" else None
        if request:
            self.asked.append(request)
        return _listed(prefix, numbers, between, final)

    def _command(self, data: bytes, at: int, out: bytearray) -> int:
        """OSC: re-written in one form when it is a web link or a prompt mark, else dropped."""
        end = at + 2
        while end < len(data) and 0x20 <= data[end] <= 0x7E and end - at <= _LONGEST_COMMAND:
            end += 1
        if end - at > _LONGEST_COMMAND:
            self._skipping = b"\x07"
            return self._drop(end)
        ender = _ender(data, end)
        if ender == _WAIT:
            return _WAIT
        if ender == 0:
            self._skipping = b"\x07"
            return self._drop(end)
        if not self._command_passes(data[at + 2 : end]):
            return self._drop(end + ender)
        out += data[at:end] + b"\x1b\\"
        return end + ender

    def _command_passes(self, body: bytes) -> bool:
        kind = body.partition(b";")[0]
        if kind in (b"0", b"1", b"2"):
            return self._allowed.titles
        if kind == b"52":
            return self._allowed.clipboard and not body.endswith(b"?")
        return bool(_LINK.match(body) or _MARK.match(body))

    def _skip(self, data: bytes, at: int) -> int:
        """Inside a dropped string: on to its end, which is ST, or BEL for a command, or CAN, SUB."""
        for end in range(at, len(data)):
            byte = data[end]
            if byte in (0x18, 0x1A) or (byte == 0x07 and self._skipping == b"\x07"):
                self._skipping = b""
                return end + 1
            if byte == 0x1B:
                if end + 1 >= len(data):
                    return _WAIT if end == at else end
                self._skipping = b""
                return end + 2 if data[end + 1] == 0x5C else end
        return len(data)


def _ender(data: bytes, end: int) -> int:
    """Length of the string terminator at `end`: 1 BEL, 2 ST, 0 none of them, _WAIT not known yet."""
    if end >= len(data) or (data[end] == 0x1B and end + 1 >= len(data)):
        return _WAIT
    if data[end] == 0x07:
        return 1
    return 2 if data[end : end + 2] == b"\x1b\\" else 0


def _listed(prefix: str, numbers: str, between: str, final: str) -> bool:
    """The allowlist of control sequences (ECMA-48, xterm's ctlseqs)."""
    whole = prefix + between
    if final in "hl":
        return whole in ("", "?") and all(part.isdigit() and int(part) in _MODES for part in numbers.split(";"))
    if final == "b":
        return whole == "" and len(numbers) <= 4
    if final == "m":
        return whole in ("", ">")
    if final in "JK":
        return whole in ("", "?")
    if final == "q":
        return whole in (" ", '"')
    if final == "u":
        return whole in ("", "<", "=", ">")
    if final == "p":
        return whole == "!"
    if final in "rs":
        return whole == ""
    return final in _FREE and whole == ""
