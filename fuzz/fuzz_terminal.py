"""The terminal filter (D15): nothing forbidden comes out, whatever goes in and however it is cut."""

import re

from bot_bottle.bottles.terminal_filter import TerminalFilter

FORBIDDEN = re.compile(rb"\x1b\](?!8;|133;)|\x1b[PX^_%Z #]|\x1b\[[0-9;:<=>?]*[ -/]*[nctxivyw{|}~]|\x05")


def test_one_input(data: bytes) -> None:
    """First byte: where to cut."""
    whole, cut = TerminalFilter(), TerminalFilter()
    out = whole.feed(data) + whole.finish()
    at = data[0] % (len(data) + 1) if data else 0
    assert cut.feed(data[:at]) + cut.feed(data[at:]) + cut.finish() == out
    assert not FORBIDDEN.search(out)
    assert not any(0x80 <= ord(c) <= 0x9F for c in out.decode())
    again = TerminalFilter()
    assert again.feed(out) + again.finish() == out
