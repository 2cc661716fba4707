"""The dashboard on ten million records: index rate, query times, first paint of every page, the live tail.

    python bench/web/run.py WORK [--records 10000000] [--live 300] [--rate 2000]

WORK keeps the seeded home between calls (about 5 GB for ten million). Prints one Markdown table. The peers index the
same records in the same call: sqlite3 as one would write it by hand (a table of columns, the line, three indexes, one
insert a record in batches), and DuckDB reading the same lines as newline-delimited JSON. All on this machine, now.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import duckdb
import seed as seeded
from playwright.sync_api import Page, sync_playwright

from bot_bottle.audit.export import logs
from bot_bottle.audit.filters import parse
from bot_bottle.audit.index import Index
from bot_bottle.audit.reader import LogReader
from bot_bottle.base.home import Home
from records_stage import denied
from web_stage import Bottle, Stage, Web

DAY = 86_400 * 10**9
PEER = 1_000_000
FILTERS = (
    "", "verdict:deny", "host:api.model.example", "host:host123.example", "host:*.example verdict:deny -method:GET",
    "agent:claude kind:denied", "kind:start", "status:404", "path:/v1/messages", "secret:MODEL_KEY since:7d",
    "project:*shop* method:POST", "person:mara host:docs.example.com status:404 since:30d until:20d", '"pkg-77x"',
    '"nothing like this"', "bottle:infra rule:infra/docs since:3d", "-verdict:allow -kind:pinned,name",
)  # fmt: skip
REACH = (
    "",
    "since:24h",
    "since:30d",
    "agent:claude",
    "agent:claude since:30d",
    "project:*shop*",
    "person:mara since:7d",
)
PAGES = (
    ("Live", "/live"), ("Live, filtered", "/live?q=verdict:deny%20host:*.example"), ("Reach, a run", "/reach"),
    ("Reach, everybody, 30 days", "/reach?of=everything:all&in=30d"), ("Reach, all time", "/reach?of=everything:all&in=all"),
    ("Reach, an agent", "/reach?of=agent:claude&in=30d"), ("Policy", "/policy"), ("Log", "/log"),
    ("Log, words", "/log?q=%22nothing%20like%20this%22"), ("Now", "/"), ("Inbox", "/inbox"), ("Settings", "/settings"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--live", type=int, default=300, help="seconds")
    parser.add_argument("--rate", type=int, default=2000)
    wish = parser.parse_args()
    home = Home(str(wish.work / "home"), str(wish.work / "run"))
    if not os.path.isdir(home.run_logs):
        say(f"seeding {wish.records} records")
        seeded.seed(home, wish.records)
    rows = [("Measure", "Here", "Wanted")]
    rows += indexing(home)
    rows += keeping_up(home)
    rows += peers(home, wish.work)
    rows += queries(home)
    rows += pages(wish.work, wish.live, wish.rate)
    for number, row in enumerate(rows):
        print(f"| {' | '.join(row)} |")
        if not number:
            print("| --- | --- | --- |")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def indexing(home: Home) -> list[tuple[str, str, str]]:
    shutil.rmtree(os.path.dirname(home.index), ignore_errors=True)
    index, start = Index(home.index, home), time.perf_counter()
    count = index.refresh(home)
    took = time.perf_counter() - start
    start = time.perf_counter()
    index.refresh(home)
    again = time.perf_counter() - start
    index.close()
    size = os.path.getsize(home.index)
    say(f"indexed {count} in {took:.1f} s")
    return [
        (
            f"index of {count:,} records, from nothing",
            f"{took:.0f} s, {count / took:,.0f} records/s",
            "20,000 records/s",
        ),
        ("its size; a look at all logs when nothing is new", f"{size / 1e6:,.0f} MB; {again * 1000:.0f} ms", ""),
    ]


def keeping_up(home: Home) -> list[tuple[str, str, str]]:
    """20,000 records a second in four runs for ten seconds, written by another process, taken in once a second."""
    names = [f"20261201t00000{number}-aaaaaaaaaaa{number}" for number in range(4)]
    for name in names:
        shutil.rmtree(home.run_log(name), ignore_errors=True)
        os.makedirs(f"{home.run_log(name)}/journal")
        Path(home.run_log(name), "journal", f"{0:016d}").touch()
    writer = os.fork()
    if writer == 0:
        append(home, names)
        os._exit(0)
    index, spent, most, count, start = Index(home.index, home), 0.0, 0.0, 0, time.monotonic()
    while time.monotonic() - start < 11.5:
        began, cpu = time.perf_counter(), time.process_time()
        count += index.refresh(home, only=names)
        spent, most = spent + time.process_time() - cpu, max(most, time.perf_counter() - began)
        time.sleep(max(0.0, 1.0 - (time.perf_counter() - began)))
    count += index.refresh(home, only=names)
    index.close()
    os.waitpid(writer, 0)
    for name in names:
        shutil.rmtree(home.run_log(name))
    return [
        ("keeping up: 20,000 records/s for 10 s on top of these, taken in each second",
         f"{count:,} taken in; at most {most * 1000:.0f} ms a second, {spent / 10 * 100:.0f} % of one core", "keeps up"),
    ]  # fmt: skip


def append(home: Home, names: list[str]) -> None:
    """Real lines, 500 of each run in each tenth of a second, in one write as a gateway does."""
    chance = random.Random(3)
    ready = [list(seeded.lines(name, number, 50_100, chance)) for number, name in enumerate(names)]
    files = [os.open(f"{home.run_log(name)}/journal/{0:016d}", os.O_WRONLY | os.O_APPEND) for name in names]
    start = time.monotonic()
    for turn in range(100):
        for number, file in enumerate(files):
            os.write(file, b"".join(ready[number][turn * 500 : turn * 500 + 500]))
        time.sleep(max(0.0, start + (turn + 1) / 10 - time.monotonic()))


def sample(home: Home) -> Iterator[bytes]:
    """The first lines of the logs, as many as the peers get."""
    made = 0
    for _, directory in logs(home):
        for _, lines in LogReader(directory).batches():
            yield from lines
            made += len(lines)
        if made >= PEER:
            return


def peers(home: Home, work: Path) -> list[tuple[str, str, str]]:
    plain, duck, source = work / "plain.sqlite", work / "peer.duckdb", work / "peer.jsonl"
    for path in (plain, duck, source):
        path.unlink(missing_ok=True)
    with source.open("wb") as file:
        file.writelines(sample(home))
    start, count = time.perf_counter(), by_hand(plain, sample(home))
    took = time.perf_counter() - start
    start = time.perf_counter()
    base = duckdb.connect(str(duck))
    base.execute(
        f"CREATE TABLE records AS SELECT * FROM read_json('{source}', format='newline_delimited', union_by_name=true)"
    )
    (rows,) = base.execute("SELECT count(*) FROM records").fetchone() or (0,)
    base.close()
    other = time.perf_counter() - start
    for path in (plain, duck, source):
        path.unlink(missing_ok=True)
    return [
        (f"the same by hand with sqlite3, {count:,} records", f"{count / took:,.0f} records/s", ""),
        (
            f"the same with DuckDB, {rows:,} records",
            f"{rows / other:,.0f} records/s (one bulk load, it does not keep up)",
            "",
        ),
    ]


def by_hand(path: Path, lines: Iterator[bytes]) -> int:
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute(
        "CREATE TABLE records (time, kind, run, bottle, agent, host, method, path, verdict, rule, status, text)"
    )
    for column in ("time", "host", "verdict"):
        base.execute(f"CREATE INDEX by_{column} ON records ({column})")
    count, batch = 0, list[tuple[Any, ...]]()
    for line in lines:
        one = json.loads(line)
        names = ("time", "kind", "run", "bottle", "agent", "target", "method", "path", "verdict", "rule", "status")
        batch.append((*(one.get(name) for name in names), line.decode()))
        count += 1
        if len(batch) == 10_000:
            with base:
                base.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", batch)
            batch.clear()
    with base:
        base.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", batch)
    base.close()
    return count


def queries(home: Home) -> list[tuple[str, str, str]]:
    index, now = Index(home.index, home), seeded.END
    reach, took = index.reach, dict[str, list[float]]()
    runs = reach.runs(parse(""), now, 60)

    def timed(name: str, call: Callable[[], object]) -> None:
        for _ in range(5):
            start = time.perf_counter()
            call()
            took.setdefault(name, []).append((time.perf_counter() - start) * 1000)

    for text in FILTERS:
        timed("a page of records", lambda text=text: index.page(parse(text), now, 100, None, 0.2))
    for text in FILTERS[:6]:
        timed("how many fit", lambda text=text: index.count(parse(text), now))
    for text in REACH:
        timed("hosts of a subject", lambda text=text: reach.hosts(parse(text), now))
        timed("timeline", lambda text=text: reach.timeline(parse(text), now, now - 30 * DAY, now, 120))
    for run in runs[::6]:
        timed("hosts of a run", lambda run=run: reach.hosts(parse(f"run:{run.run}"), now))
    timed("paths of a host", lambda: reach.paths(parse("host:registry.example.org since:30d"), now))
    timed("first-seen hosts", lambda: reach.first_seen(now - 7 * DAY, 50))
    timed("use of rules", lambda: reach.rules(parse("bottle:infra"), now, now - 30 * DAY))
    timed("runs", lambda: reach.runs(parse("agent:codex"), now, 100))
    index.close()
    every = sorted(one for values in took.values() for one in values)
    rows = [
        (
            f"query, all kinds, {len(every)} calls",
            f"p50 {every[len(every) // 2]:.0f} ms, **p95 {p95(every):.0f} ms**, most {every[-1]:.0f} ms",
            "p95 < 300 ms",
        )
    ]
    return rows + [
        (f"query: {name}", f"p50 {statistics.median(v):.0f} ms, p95 {p95(v):.0f} ms", "") for name, v in took.items()
    ]


def p95(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.95))]


def pages(work: Path, seconds: int, rate: int) -> list[tuple[str, str, str]]:
    """A real web process, confined, and a real browser."""
    rows: list[tuple[str, str, str]] = []
    with Stage(work) as stage, sync_playwright() as playwright:
        bottle = stage.running("bench-live")
        web = stage.web().sign_in()
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        name, _, value = web.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": web.url, "httpOnly": True, "sameSite": "Strict"}])
        page = context.new_page()
        page.goto(f"{web.url}/log")
        page.wait_for_timeout(3000)
        for title, path in PAGES:
            painted = [paint(page, web.url + path) for _ in range(5)]
            rows.append(
                (
                    f"first paint: {title}",
                    f"{statistics.median(painted):.0f} ms, most {max(painted):.0f} ms",
                    "< 1000 ms",
                )
            )
            say(f"{title}: {painted}")
        rows += live(page, web, bottle, seconds, rate)
        browser.close()
    return rows


def paint(page: Page, url: str) -> float:
    page.goto(url)
    found = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    if found is None:
        page.wait_for_timeout(300)
        found = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    return float(found)


def live(page: Page, web: Web, bottle: Bottle, seconds: int, rate: int) -> list[tuple[str, str, str]]:
    page.goto(f"{web.url}/live?q=verdict:deny%20host:flood*.example")
    page.wait_for_timeout(1000)
    session = page.context.new_cdp_session(page)
    count, heaps, start = seconds * rate, list[float](), time.monotonic()

    def write() -> None:
        for number in range(count):
            bottle.log.append(
                bottle.stage.record(bottle.identity, **denied(f"flood{number % 5000}.example", f"/{number}"))
            )
            ahead = start + number / rate - time.monotonic()
            if ahead > 0.005:
                time.sleep(ahead)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        writer.join(max(1.0, seconds / 10))
        session.send("HeapProfiler.collectGarbage")
        heaps.append(session.send("Runtime.getHeapUsage")["usedSize"] / 1e6)
    took = time.monotonic() - start
    end = time.monotonic() + 30
    while received(page) < count and time.monotonic() < end:
        page.wait_for_timeout(100)
    late, kept = time.monotonic() - start - took, page.locator("#live tbody tr").count()
    lost = page.evaluate("document.querySelector('#live').dataset.lost")
    memory = resident(web.process.pid)
    return [
        (f"live: {count:,} records at {count / took:,.0f}/s for {took:.0f} s", f"received {received(page):,}, lost {lost}, last one {late * 1000:.0f} ms late", "2,000/s for 300 s, none lost"),
        ("live: heap of the page after collection", f"{heaps[0]:.1f} MB at the beginning, {max(heaps):.1f} MB at most, {heaps[-1]:.1f} MB at the end; {kept} rows", "bounded"),
        ("live: memory of the web process", f"{memory:.0f} MB resident", "bounded"),
    ]  # fmt: skip


def received(page: Page) -> int:
    return int(page.evaluate("Number(document.querySelector('#live').dataset.received)"))


def resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


if __name__ == "__main__":
    main()
