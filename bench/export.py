"""How fast records leave: each format, and the forwarder with a sink that takes everything at once.

    .venv/bin/python bench/export.py [RECORDS]

Prints one line per format: records a second on one core, bytes a record.
"""

import io
import itertools
import os
import sys
import tempfile
import time

from bot_bottle.api.forwarding import ports
from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.encode import encode
from bot_bottle.audit.entries import Entry, entries
from bot_bottle.audit.formats.registry import FORMATS, LINES
from bot_bottle.audit.forward import Forwarder
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.sinks.model import SinkConfig
from bot_bottle.base.home import Home

RUN = "20261125t000001-aaaaaaaaaaaa"


def record(number: int) -> Record:
    return Record(
        VERSION, "denied", RUN, 1_700_000_000_000_000_000 + number, number, "work", "fixer", "claude", "one", "d" * 64,
        request=number, entry="forward", protocol="http1", target="https://api.example.com:443", method="POST",
        path=f"/v1/issues/{number}", headers=("host", "user-agent", "accept"), verdict="deny", rule="policy.no-route",
        reason="no route names api.example.com",
    )  # fmt: skip


def written(home: Home, count: int) -> None:
    log = RunLog.create(home.run_log(RUN), run_origin(RUN), LogKey.generate())
    for start in range(0, count, 1000):
        os.write(log.writer_fd(), b"".join(encode(record(number)) for number in range(start, start + 1000)))
    log.checkpoint()
    log.close(Record(VERSION, "stop", RUN, 1, 1, "", "", "", "", ""))


class Taking:
    """A sink that formats and forgets."""

    settle = 0.0

    def __init__(self, name: str) -> None:
        self._line = FORMATS[name].line

    def send(self, batch: list[Entry]) -> None:
        b"".join(self._line(entry) for entry in batch)

    def check(self) -> None:
        return

    def close(self) -> None:
        return


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as root:
        home = Home(root, root)
        written(home, count)
        for name, form in FORMATS.items():
            out, begun = io.BytesIO(), time.perf_counter()
            form.write(itertools.islice(entries(home.run_log(RUN), RUN), count), out)
            rate = count / (time.perf_counter() - begun)
            print(f"export  {name:<9} {rate:>9,.0f} records/s {len(out.getvalue()) / count:>7.0f} bytes each")
        for name in LINES:
            forwarder, begun = Forwarder(f"s-{name}", home, SinkConfig(), Taking(name), ports()), time.perf_counter()
            while forwarder.step():
                pass
            print(f"forward {name:<9} {forwarder.status.sent / (time.perf_counter() - begun):>9,.0f} records/s")
            forwarder.close()


if __name__ == "__main__":
    main()
