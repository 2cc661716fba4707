"""The record: appending through a writer process as a gateway does, sealing each second, and verifying it all.

usage: log.py [RECORDS]      default 1,000,000. Goals: >= 40,000 records/s with fsync at each checkpoint; verify of
1,000,000 records <= 60 s. Peers in the same run: the same lines into SQLite (WAL, synchronous=NORMAL, 200 a
transaction) and into a plain file without a tree.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator

from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.encode import encode
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.journal import Writer
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.verify import verify

RUN = "20261125t023842-9f3a00112233"
BATCH = 64
GOAL_RATE, GOAL_VERIFY = 40_000, 60.0


def record(kind: str, number: int = 0) -> Record:
    """A record with the fields that a real request has."""
    return Record(
        VERSION, kind, RUN, time.time_ns(), time.monotonic_ns(), "default", "claude", "claude", "one", "d" * 64,
        request=number, entry="https", protocol="http1", target="https://api.example.com:443", method="POST",
        path="/v1/messages", headers=("host", "accept", "content-type", "content-length", "user-agent"),
        verdict="allow", rule="default/model", secrets=("anthropic",),
    )  # fmt: skip


def batches(count: int) -> Iterator[bytes]:
    """The lines as the gateway's loop stages them: encoded one by one, written together."""
    for start in range(0, count, BATCH):
        kinds = (("intent", "outcome")[number % 2] for number in range(start, min(start + BATCH, count)))
        yield b"".join(encode(record(kind, (start + at) // 2)) for at, kind in enumerate(kinds))


def write_all(log: RunLog, count: int, done: int) -> None:
    """The writer process: as fast as it can; then its seconds of wall and CPU time."""
    writer, started, cpu = Writer(os.dup(log.writer_fd())), time.perf_counter(), time.process_time()
    for lines in batches(count):
        writer.write(lines)
    os.write(done, f"{time.perf_counter() - started} {time.process_time() - cpu}".encode())
    os._exit(0)


def sealed_log(place: str, key: LogKey, count: int) -> tuple[float, float, float, float]:
    """Seconds: writer wall, writer CPU, keeper CPU, from the first write to the sealed log."""
    host = HostLog.open(f"{place}/host", key)
    log = RunLog.create(f"{place}/run", run_origin(RUN), key)
    log.append(record("start"))
    reader, done = os.pipe()
    started, cpu = time.perf_counter(), time.process_time()
    child = os.fork()
    if child == 0:
        write_all(log, count, done)
    os.close(done)
    os.set_blocking(reader, False)
    said, due = b"", started + 1
    while not said:
        time.sleep(max(0.0, min(due - time.perf_counter(), 0.05)))
        try:
            said = os.read(reader, 100)
        except BlockingIOError:
            said = b""
        if said or time.perf_counter() >= due:
            host.countersign(record("start"), log.checkpoint())
            due += 1
    os.waitpid(child, 0)
    host.countersign(record("stop"), log.close(record("stop")))
    wall, spent = (float(text) for text in said.split())
    return wall, spent, time.process_time() - cpu, time.perf_counter() - started


def plain_file(place: str, count: int) -> float:
    """Seconds to encode and append the same lines to a file, one fsync at the end."""
    started = time.perf_counter()
    with open(f"{place}/plain", "wb", buffering=0) as file:
        for lines in batches(count):
            file.write(lines)
        os.fsync(file.fileno())
    return time.perf_counter() - started


def sqlite(place: str, count: int) -> float:
    """Seconds to insert the same lines into an indexed table."""
    base = sqlite3.connect(f"{place}/base", isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = NORMAL")
    base.execute("CREATE TABLE log (number INTEGER PRIMARY KEY, time INTEGER, line BLOB)")
    base.execute("CREATE INDEX at ON log (time)")
    started, number = time.perf_counter(), 0
    for start in range(0, count, 200):
        base.execute("BEGIN IMMEDIATE")
        for lines in batches(min(200, count - start)):
            rows = [(number + at, time.time_ns(), line) for at, line in enumerate(lines.splitlines())]
            base.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)
            number += len(rows)
        base.execute("COMMIT")
    took = time.perf_counter() - started
    base.close()
    return took


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    place, key = tempfile.mkdtemp(prefix="bot-bottle-log-"), LogKey.generate()
    try:
        wall, spent, keeper, whole = sealed_log(place, key, count)
        started = time.perf_counter()
        report = verify(f"{place}/run", key.fingerprint)
        verifying = time.perf_counter() - started
        assert (report.state, report.size) == ("sealed", count + 2), report
        size = sum(
            os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(f"{place}/run") for name in names
        )
        few = min(count, 200_000)
        peers = {"plain file, one fsync": few / plain_file(place, few), "SQLite, WAL": few / sqlite(place, few)}
    finally:
        shutil.rmtree(place)
    print(f"{count:,} records, {size / count:.0f} bytes each on disk, load {os.getloadavg()[0]:.1f}.\n")
    print("| what | records/s |\n|---|---|")
    print(f"| appended by the writer, sealed each second meanwhile | {count / wall:,.0f} |")
    print(f"| until sealed, bundled and synced | {count / whole:,.0f} |")
    for name, rate in peers.items():
        print(f"| {name} | {rate:,.0f} |")
    print(
        f"\nCPU per record: writer {spent / count * 1e6:.1f} us (encoding included), keeper {keeper / count * 1e6:.1f} us."
    )
    took = verifying * 1_000_000 / count
    print("\n| goal | measured | met |\n|---|---|---|")
    print(
        f"| >= {GOAL_RATE:,} records/s appended | {count / wall:,.0f} | {'yes' if count / wall >= GOAL_RATE else '**no**'} |"
    )
    print(
        f"| verify of 1 M records <= {GOAL_VERIFY:.0f} s | {took:.1f} s | {'yes' if took <= GOAL_VERIFY else '**no**'} |"
    )


if __name__ == "__main__":
    main()
