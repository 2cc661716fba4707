"""`policy replay` over a sealed log of a million requests, three in five of which have a path of their own.

    python -m bench.learn.replay_million [REQUESTS]      goal: 1,000,000 requests < 60 s

Hosts, methods and shapes are those of the corpus; every fifth request is one that the candidate denies, every tenth
has a header that the candidate matches on and the record lacks. Said in CPU and wall seconds, of one process.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.learn.measure import corpus

from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.encode import encode
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.journal import Writer
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.base.home import Home
from bot_bottle.bottles import past
from bot_bottle.policy import learn
from bot_bottle.policy.decide import compile
from bot_bottle.policy.effective import HeaderMatch, Match, PathMatch, Policy, Route
from bot_bottle.policy.replay import Replay

RUN = "20261125t023842-9f3a00112233"


def record(kind: str, number: int = 0, target: str = "", method: str = "", path: str = "") -> Record:
    return Record(
        VERSION, kind, RUN, time.time_ns(), time.monotonic_ns(), "default", "claude", "claude", "one", "d" * 64,
        request=number, entry="https", protocol="http1", target=target, method=method, path=path, verdict="allow",
        headers=("host", "accept", *(("x-kind",) if number % 10 == 3 else ())), rule="default/learn",
    )  # fmt: skip


def lines(count: int) -> Iterator[bytes]:
    """An intent and an outcome for each."""
    rows = [one.request for one in corpus()]
    for number in range(count):
        one = rows[number % len(rows)]
        target = f"{one.target.scheme}://{one.target.host}:{one.target.port}"
        method, path = one.method, one.path
        if number % 5 == 0:
            path = f"/denied/{number}"
        elif number % 10 == 3:
            target, method, path = "https://api.forge.example:443", "GET", f"/repos/acme/shop/issues/{number}"
        elif number % 2:
            target, method, path = "https://packages.pyland.example:443", "GET", f"/simple/name-{number}/"
        for kind in ("intent", "outcome"):
            yield encode(record(kind, number, target, method, path))


def write(home: Home, count: int) -> None:
    key = LogKey.generate()
    host = HostLog.open(home.host_log, key)
    log = RunLog.create(home.run_log(RUN), run_origin(RUN), key)
    writer, batch = Writer(os.dup(log.writer_fd())), list[bytes]()
    for number, line in enumerate(lines(count)):
        batch.append(line)
        if len(batch) == 1000:
            writer.write(b"".join(batch))
            batch = []
        if number % 50_000 == 0:
            host.countersign(record("start"), log.checkpoint())
    writer.write(b"".join(batch))
    host.countersign(record("stop"), log.close(record("stop")))


def candidate() -> Policy:
    """Learned from the corpus, and 100 more routes, some with a header that the log does not hold."""
    learned = learn.as_policy(learn.learn(corpus()).routes).routes
    asks = Route(
        "b/kind", "api.forge.example", action="deny",
        matches=(Match((PathMatch("prefix", "/repos"),), headers=(HeaderMatch("x-kind", "exact", "admin"),)),),
    )  # fmt: skip
    more = tuple(
        Route(f"b/{n}", f"h{n}.example", matches=(Match((PathMatch("prefix", "/v1"),)),)) for n in range(100)
    )
    return Policy("b", (*learned, asks, *more))


def run(count: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        home = Home(str(Path(folder) / "home"), str(Path(folder) / "run"))
        started = time.perf_counter()
        write(home, count)
        written = time.perf_counter() - started
        started, cpu = time.perf_counter(), time.process_time()
        replay = Replay(compile(candidate()))
        replay.take_all(past.lines(home, past.runs_of(home)))
        wall, spent = time.perf_counter() - started, time.process_time() - cpu
        return {
            "requests": count, "log lines": 2 * count + 2, "writing the log, s": round(written, 1),
            "replay, wall s": round(wall, 1), "replay, CPU s": round(spent, 1), "counts": replay.tally().counts,
        }  # fmt: skip


def main() -> None:
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))


if __name__ == "__main__":
    main()
