"""The index: what grew and what is built now are equal, filters mean the same as on records, and sums are right."""

import os
import random
import sqlite3
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot_bottle.audit import journal
from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.filter_match import Seen, matcher
from bot_bottle.audit.filters import Filter, parse
from bot_bottle.audit.index import Index, Query
from bot_bottle.audit.index_rows import MOST_PATTERNS, Taker, Who, pattern, place
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.purge import purge
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home

HOUR = 3_600_000_000_000
NOW = 500_000 * HOUR
HOSTS = ("api.example.com", "npm.example.org", "evil.test", "10.0.0.1", "[::1]")
FILTERS = (
    "", "verdict:deny", "host:*.example.com", "-host:*.example.com", "kind:denied", "kind:start,stop", "-kind:intent",
    "method:POST status:200", "status:4xx", "rule:shop/api", "reason:policy.*", "secret:KEY", "-secret:KEY",
    "agent:a1", "label:l2 verdict:allow", "bottle:shop", "person:ann", "project:*site", "run:r1", "path:/v1/items/3",
    "path:/v1/*", '"items/4"', '-"items"', "up:>500", "ask:a-1", "approver:os:ann", "-approver:*", "grant:*",
    "since:3h", "since:5h until:2h", "scheme:dns", "verdict:deny method:GET host:evil.test", "host:none.test",
    "harness:claude -label:l1 since:4h",
)  # fmt: skip


def some(run: str, count: int, seed: int) -> list[Record]:
    """Records of one run, of every kind that matters."""
    chance = random.Random(seed)
    number = int(run[1:])
    common = (
        "shop" if number % 2 else "infra",
        f"a{number}",
        "claude" if number < 3 else "codex",
        f"l{number}",
        "d" * 64,
    )
    at = NOW - 6 * HOUR + number * 1000
    made = [
        Record(
            VERSION,
            "start",
            run,
            at,
            1,
            *common,
            detail={"project": "/work/site", "person": "ann" if number % 2 else "ben"},
        )
    ]
    for _ in range(count):
        at += chance.randrange(1, HOUR // 20)
        host = chance.choice(HOSTS)
        said = {
            "target": f"https://{host}:443",
            "method": chance.choice(("GET", "POST")),
            "path": f"/v1/items/{chance.randrange(9)}",
        }
        match chance.randrange(5):
            case 0:
                made.append(
                    Record(
                        VERSION, "denied", run, at, 2, *common, **said, verdict="deny", reason="policy.no-route", up=3
                    )
                )
            case 1:
                made.append(
                    Record(VERSION, "name", run, at, 2, *common, target=f"dns://{host}", method="A", verdict="allow")
                )
            case 2:
                made.append(
                    Record(VERSION, "ask", run, at, 2, *common, **said, verdict="ask", rule="shop/hooks", ask="a-1")
                )
            case 3:
                made.append(Record(VERSION, "limited", run, at, 2, *common, reason="limit.x", count=4))
            case _:
                more = {"ask": "a-1", "grant": "g-1", "approver": "os:ann"} if chance.random() < 0.3 else {}
                said |= {"verdict": "allow", "rule": "shop/api", "secrets": ("KEY",) if chance.random() < 0.5 else ()}
                made.append(Record(VERSION, "intent", run, at, 2, *common, **said, **more))
                status = chance.choice((200, 404))
                made.append(
                    Record(
                        VERSION,
                        "outcome",
                        run,
                        at + 5,
                        2,
                        *common,
                        **said,
                        status=status,
                        up=chance.randrange(999),
                        down=7,
                        address=("203.0.113.7:443", "")[number % 2],
                    )
                )
    return [*made, Record(VERSION, "stop", run, at + 9, 3, *common)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("index")
    home, key = Home(str(folder / "home"), str(folder / "run")), LogKey.generate()
    for number in (1, 2, 3):
        log = RunLog.create(home.run_log(f"r{number}"), run_origin(f"r{number}"), key)
        *rows, stop = some(f"r{number}", 300, number)
        for record in rows:
            log.append(record)
        log.close(stop)
    return home


def everything(home: Home) -> list[tuple[str, int, Record, str]]:
    found: list[tuple[str, int, Record, str]] = []
    for run in sorted(os.listdir(home.run_logs)):
        for start, lines in LogReader(home.run_log(run)).batches():
            found += [(run, n, decode(line), line.decode().rstrip()) for n, line in enumerate(lines, start)]
    return found


@pytest.fixture(scope="module")
def index(home: Home) -> Index:
    index = Index(home.index)
    index.refresh(home)
    return index


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_means_the_same_in_the_index_as_on_records(home: Home, index: Index, text: str) -> None:
    fits = matcher(parse(text), NOW)
    people = {"r1": "ann", "r2": "ben", "r3": "ann"}
    expected = [
        (run, number)
        for run, number, record, line in everything(home)
        if fits(Seen(record, run, place(record.target)[1], line.lower(), "/work/site", people[run]))
    ]
    found = index.page(parse(text), NOW, 10_000)
    assert found.complete
    assert sorted((hit.run, hit.number) for hit in found.hits) == sorted(expected)
    times = [(hit.time, hit.number) for hit in found.hits]
    assert [one for one, _ in times] == sorted((one for one, _ in times), reverse=True)


@pytest.mark.parametrize("text", ["", "verdict:deny", "host:*.example.com", '"items/4"', "label:l2"])
def test_pages_put_together_are_the_whole(index: Index, text: str) -> None:
    whole = index.page(parse(text), NOW, 10_000).hits
    found, before = [], None
    while True:
        page = index.page(parse(text), NOW, 7, before)
        found += page.hits
        before = page.before
        if before is None:
            break
    assert found == whole


def test_every_way_through_the_index_finds_the_same(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot_bottle.audit import index_search

    wanted = parse("verdict:deny -method:GET")
    expected = index.page(wanted, NOW, 10_000).hits
    assert len(expected) > 50
    for few_records, few_groups in ((0, 10_000), (0, 0)):
        monkeypatch.setattr(index_search, "_FEW_RECORDS", few_records)
        monkeypatch.setattr(index_search, "_FEW_GROUPS", few_groups)
        assert index.page(wanted, NOW, 10_000).hits == expected
        assert index.page(wanted, NOW, 9).hits == expected[:9]


def test_a_search_that_takes_too_long_says_how_far_it_got(index: Index) -> None:
    found = index.page(parse('"nothing like this"'), NOW, 10, None, 1e-9)
    assert not found.complete
    assert found.before is not None
    assert 0 < found.looked < 1000
    rest = index.page(parse('"nothing like this"'), NOW, 10, found.before)
    assert rest.complete
    assert rest.before is None


def test_sums_are_those_of_the_records(home: Home, index: Index) -> None:
    rows = everything(home)
    for text in ("", "agent:a1", "host:evil.test", "verdict:allow", "since:200000d"):
        fits = matcher(parse(text), NOW)
        chosen = [r for run, _, r, line in rows if fits(Seen(r, run, place(r.target)[1], line.lower()))]
        requests, up, asks = Counter[str](), Counter[str](), Counter[str]()
        for record in chosen:
            host = place(record.target)[1]
            requests[host] += record.kind in ("intent", "denied")
            asks[host] += record.kind == "ask"
            up[host] += record.up if record.kind == "outcome" else 0
        found = {one.name: one for one in index.reach.hosts(parse(text), NOW)}
        assert {name: one.requests for name, one in found.items()} == {
            h: n for h, n in requests.items() if h and (n or asks[h])
        }
        for name, one in found.items():
            assert (one.up, one.asks) == (up[name], asks[name])
            assert sum(one.verdicts.values()) == one.requests
        assert index.count(parse(text), NOW) == len(chosen)


def test_paths_times_rules_runs(home: Home, index: Index) -> None:
    rows = [record for _, _, record, _ in everything(home)]
    paths = index.reach.paths(parse("host:api.example.com"), NOW)
    decided = [r for r in rows if r.kind in ("intent", "denied") and "api.example.com" in r.target]
    assert sum(one.requests for one in paths) == len(decided)
    assert {one.name for one in paths} == {"/v1/items/*"}
    first, last = min(r.time for r in rows), max(r.time for r in rows)
    for count in (1, 7, 120):
        buckets = index.reach.timeline(Filter(), NOW, first, last + 1, count)
        assert sum(one.allow for one in buckets) == sum(r.kind == "intent" for r in rows)
        assert sum(one.deny for one in buckets) == sum(r.kind == "denied" for r in rows)
        assert sum(one.ask for one in buckets) == sum(r.kind == "ask" for r in rows)
        several = index.reach.timelines(parse("-agent:a3"), NOW, first, last + 1, count, HOSTS[:3])
        for host in HOSTS[:3]:
            own = Filter((*parse("-agent:a3").terms, *Filter().plus("host", host).terms))
            assert several[host] == index.reach.timeline(own, NOW, first, last + 1, count)
    used = index.reach.rules(parse("bottle:shop"), NOW, NOW - 3 * HOUR)
    api = [r for r in rows if r.rule == "shop/api" and r.bottle == "shop" and r.kind == "intent"]
    assert used["shop/api"].all == len(api)
    assert used["shop/api"].hits == sum(r.time >= NOW - 3 * HOUR for r in api)
    runs = {one.run: one for one in index.reach.runs(Filter(), NOW, 10)}
    assert runs["r1"].person == "ann" and runs["r1"].ended and runs["r2"].label == "l2"
    assert sum(one.records for one in runs.values()) == len(rows)
    assert index.reach.totals() == (len(rows), 3)
    assert set(index.reach.subjects("agent", 9)) == {"a1", "a2", "a3"}


def test_the_uses_of_a_grant_are_what_left_under_it(home: Home, index: Index) -> None:
    left = Counter(r.grant for _, _, r, _ in everything(home) if r.kind == "intent" and r.grant)
    assert left["g-1"] > 50
    assert index.uses(["g-1", "g-none", ""]) == {"g-1": left["g-1"]}


def test_first_seen_hosts_are_paged_newest_first(home: Home, index: Index) -> None:
    whole = index.reach.first_seen(0, 100)
    assert {one.host for one in whole} == set(HOSTS)
    assert [one.first for one in whole] == sorted((one.first for one in whole), reverse=True)
    assert all(one.run == "r1" for one in whole if one.host == "evil.test") or len(whole) == 5
    found, before = [], None
    while page := index.reach.first_seen(0, 2, before):
        found += page
        before = (page[-1].first, page[-1].host)
    assert found == whole
    firsts = index.reach.host_first(["evil.test", "none"])
    rows = everything(home)
    assert firsts["evil.test"][0] == min(r.time for _, _, r, _ in rows if "evil.test" in r.target)


TRIES: dict[str, tuple[dict[str, object] | None, ...]] = {
    "ok.test": ({"address": "203.0.113.7:443", "status": 200},),
    "nowhere.test": ({"reason": "upstream.unresolved", "status": 502},) * 2,
    "shut.test": ({"reason": "upstream.refused", "status": 502, "address": "203.0.113.7:443"},),
    "late.test": ({"reason": "upstream.timeout", "address": "203.0.113.7:443"},),
    "proxied.test": ({"reason": "upstream.proxy", "address": "203.0.113.9:3128"},),
    "broken.test": ({"reason": "upstream.certificate", "address": "203.0.113.7:443"},),
    "once.test": ({"reason": "upstream.unresolved"}, {"address": "203.0.113.7:443", "status": 200}),
    "open.test": ({"reason": "upstream.unresolved"}, None),
    "denied.test": (),
}
"""host -> how its allowed requests ended; None: one goes on."""


def test_reached_is_where_a_connection_was_made_or_may_stand(tmp_path: Path) -> None:
    """Allowed is not reached: a name that nobody has leads nowhere."""
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    log = RunLog.create(home.run_log("r1"), run_origin("r1"), LogKey.generate())
    common = ("b", "a", "h", "l", "d")
    for host, ends in TRIES.items():
        said = {"target": f"https://{host}:443", "method": "GET", "path": "/"}
        if not ends:
            log.append(Record(VERSION, "denied", "r1", NOW, 1, *common, **said, verdict="deny"))
        for end in ends:
            log.append(Record(VERSION, "intent", "r1", NOW, 1, *common, **said, verdict="allow"))
            if end is not None:
                log.append(Record(VERSION, "outcome", "r1", NOW, 1, *common, **said, verdict="allow", **end))
    log.close(Record(VERSION, "stop", "r1", NOW + 1, 1, *common))
    index = Index(home.index)
    index.refresh(home)
    reached = {"ok.test", "broken.test", "once.test", "open.test"}
    firsts = index.reach.first_seen(0, 100)
    assert {one.host for one in firsts if one.reached} == reached
    assert {one.host for one in firsts if one.allowed} == TRIES.keys() - {"denied.test"}
    for text in ("", "since:1h", "run:r1 verdict:allow"):
        assert {one.name for one in index.reach.hosts(parse(text), NOW + 2) if one.reached} == reached
    assert [one.reached for one in index.reach.paths(parse("host:ok.test"), NOW)] == [None]  # not known by path
    index.close()


def dump(path: str) -> dict[str, object]:
    """All that an index holds, by names instead of numbers."""
    base = sqlite3.connect(path)
    names = dict(base.execute("SELECT id, text FROM names"))
    names[0] = ""
    runs = {
        row[0]: row[1:]
        for row in base.execute(
            "SELECT id, run, bottle, agent, harness, label, project, person, policy, first, last, records, ended, next, purged FROM runs"
        )
    }
    hosts = {row[0]: row[1:] for row in base.execute("SELECT id, host, first, last FROM hosts")}
    groups = {
        row[0]: (runs[row[1]][0], hosts[row[2]][0], *(names[n] for n in row[3:9]), *row[9:])
        for row in base.execute(
            "SELECT id, run, host, scheme, method, verdict, rule, reason, secrets, solo, kinds, records, requests, asks, missed, up, down, first, last FROM groups"
        )
    }
    found: dict[str, object] = {
        "runs": sorted(runs.values()), "hosts": sorted(hosts.values()), "groups": sorted(groups.values()),
        "hours": sorted((groups[row[0]], *row[1:]) for row in base.execute("SELECT * FROM hours")),
        "paths": sorted((groups[row[0]], names[row[1]], *row[2:]) for row in base.execute("SELECT * FROM paths")),
        "records": sorted((row[0], runs[row[1]][0], row[2], row[3], groups[row[4]], row[5]) for row in base.execute("SELECT * FROM records")),
        "uses": sorted((row[0], runs[row[1]][0], row[2]) for row in base.execute("SELECT granted, run, count FROM uses")),
    }  # fmt: skip
    base.close()
    return found


class Grower:
    """A home that grows, and two indexes of it: one that keeps up and one that is made anew."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(str(folder / "home"), str(folder / "run"))
        self.key = LogKey.generate()
        self.logs: dict[str, RunLog] = {}
        self.rest: dict[str, list[Record]] = {}
        self.index = Index(self.home.index)

    def write(self, run: str, count: int) -> None:
        if run not in self.logs:
            self.logs[run] = RunLog.create(self.home.run_log(run), run_origin(run), self.key)
            self.rest[run] = some(run, 120, int(run[1:]))[:-1]
        for record in self.rest[run][:count]:
            self.logs[run].append(record)
        del self.rest[run][:count]
        if count % 2:
            self.logs[run].checkpoint()
        if count % 3 == 0:
            self.logs[run].rotate()

    def end(self, run: str) -> None:
        if run in self.logs:
            self.logs.pop(run).close(some(run, 0, 1)[-1])

    def equal(self) -> None:
        self.index.refresh(self.home)
        anew = f"{self.home.root}/anew/records.sqlite"
        for name in (anew, f"{anew}-wal", f"{anew}-shm"):
            if os.path.exists(name):
                os.unlink(name)
        fresh = Index(anew)
        fresh.refresh(self.home)
        fresh.close()
        assert dump(self.home.index) == dump(anew)


_steps = st.lists(
    st.tuples(st.sampled_from(("write", "end", "refresh", "purge", "vanish")), st.integers(1, 4), st.integers(1, 60)), max_size=14
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
def test_an_index_that_kept_up_equals_one_that_is_made_now(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    grower = Grower(tmp_path_factory.mktemp("grow"))
    gone: set[str] = set()
    for what, number, count in steps:
        run = f"r{number}"
        if what == "write" and run not in gone:
            grower.write(run, count)
        elif what == "end":
            grower.end(run)
            gone.add(run)
        elif what == "refresh":
            grower.index.refresh(grower.home)
        elif what == "purge" and run in gone and os.path.isdir(grower.home.run_log(run)):
            purge(grower.home.run_log(run), run_origin(run), grower.key)
        elif what == "vanish" and run in gone and os.path.isdir(grower.home.run_log(run)):
            os.rename(grower.home.run_log(run), f"{grower.home.root}/gone-{run}-{count}-{number}")
    grower.equal()
    for run in list(grower.logs):
        grower.end(run)
    grower.equal()
    grower.index.close()


def test_lines_are_found_in_bundles_and_in_the_journal(tmp_path: Path) -> None:
    grower = Grower(tmp_path)
    grower.write("r1", 100)
    for _ in range(4):
        grower.rest["r1"] = some("r1", 120, 5)
        grower.write("r1", 119)
        grower.index.refresh(grower.home)
    rows = everything(grower.home)
    for run, number, _, line in rows:
        assert grower.index.line(run, number) == line.encode() + b"\n"
    assert grower.index.line("r1", len(rows)) is None
    segments = journal.segments(grower.home.run_log("r1"))
    assert segments, "some lines are in the journal"
    grower.end("r1")
    grower.index.refresh(grower.home)
    assert grower.index.line("r1", 3) == rows[3][3].encode() + b"\n"
    grower.index.close()


def test_a_line_that_came_after_its_neighbours_were_read_is_found(tmp_path: Path) -> None:
    """Live in a browser lost rows: lines were remembered by the bundle, and what came to it later was taken for none."""
    grower = Grower(tmp_path)
    grower.write("r1", 4)
    grower.index.refresh(grower.home)
    assert len(grower.index.page(Filter(), NOW, 100).hits) == 4
    grower.write("r1", 5)
    grower.index.refresh(grower.home)
    assert [hit.number for hit in grower.index.page(Filter(), NOW, 100).hits] == [*range(8, -1, -1)]
    grower.index.close()


def test_many_read_while_one_writes(tmp_path: Path) -> None:
    grower = Grower(tmp_path)
    grower.write("r1", 60)
    grower.index.refresh(grower.home)
    over, failed = threading.Event(), list[Exception]()

    def read() -> None:
        mine = Index(grower.home.index, grower.home)
        try:
            while not over.is_set():
                found = mine.page(Filter(), NOW, 1000)
                assert len(found.hits) >= 60
                mine.reach.hosts(Filter(), NOW)
        except Exception as error:
            failed.append(error)
        finally:
            mine.close()

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    other = Index(grower.home.index, grower.home)
    for turn in range(20):
        grower.rest["r1"] = some("r1", 40, turn)[1:-1]
        grower.write("r1", 35)
        assert other.refresh(grower.home) == 35
    over.set()
    for thread in threads:
        thread.join()
    assert not failed, failed
    other.close()
    grower.index.close()


def test_only_one_process_fills_the_index(home: Home, tmp_path: Path) -> None:
    import fcntl

    path = str(tmp_path / "own" / "records.sqlite")
    index = Index(path)
    lock = os.open(str(tmp_path / "own" / "writer.lock"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert index.refresh(home, wait=False) == -1
    os.close(lock)
    assert index.refresh(home, wait=False) > 900
    assert index.refresh(home, only=("r1",)) == 0
    index.close()


def test_what_a_gateway_that_was_taken_over_writes_breaks_nothing(tmp_path: Path) -> None:
    home, key = Home(str(tmp_path / "home"), str(tmp_path / "run")), LogKey.generate()
    log = RunLog.create(home.run_log("r1"), run_origin("r1"), key)
    common = ("b", "a", "h", "l", "d")
    for up in (2**62, 2**62, 2**62, -5):
        for _ in range(3):
            log.append(
                Record(
                    VERSION, "outcome", "r1", NOW, 1, *common, target="https://x:443", up=up, down=up, verdict="allow"
                )
            )
    log.append(Record(VERSION, "denied", "r1", 2**63 - 1, 1, *common, target="https://x:443", status=2**62))
    log.append(Record(VERSION, "denied", "r1", -7, 1, *common, target="no target at all", verdict="deny\x00'\"%"))
    log.append(
        Record(
            VERSION,
            "new-kind",
            "r1",
            5,
            1,
            *common,
            target="https://\u202e\x00:443",
            secrets=("a,b", "'; DROP TABLE records"),
        )
    )
    os.write(log.rotate(), b"not a record\n" + b'{"kind":"denied"}\n' + b"[]\n" + b'{"kind":7,"time":1}\n')
    for number in range(MOST_PATTERNS + 300):
        words = f"/{'abcdefghij'[number % 10]}{'klmnopqrst'[number // 10 % 10]}x{'uvwxyzabcd'[number // 100 % 10]}/w{'ghijklmnop'[number // 1000]}"
        log.append(
            Record(VERSION, "denied", "r1", NOW, 1, *common, target="https://y:443", path=words, verdict="deny")
        )
    log.close(Record(VERSION, "stop", "r1", NOW, 1, *common))
    index = Index(home.index)
    index.refresh(home)
    found = index.page(Filter(), NOW, 10_000)
    assert len(found.hits) == 12 + 3 + MOST_PATTERNS + 300 + 1
    hosts = {one.name: one for one in index.reach.hosts(Filter(), NOW)}
    assert hosts["x"].up <= 2**60
    paths = index.reach.paths(parse("host:y"), NOW)
    assert len(paths) <= MOST_PATTERNS + 1
    assert sum(one.requests for one in paths) == MOST_PATTERNS + 300
    assert index.search(Query(host="x", limit=1))
    index.close()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/messages", "/v1/messages"),
        ("/repos/o/r/pulls/17", "/repos/o/r/pulls/**"),
        ("/items/17/x", "/items/*/x"),
        ("/a/9f31c2d/in", "/a/*/in"),
        ("/simple/pytest/", "/simple/pytest/"),
        ("/p/pytest-8.4.1-py3-none-any.whl", "/p/*"),
        ("", ""),
        ("/" + "x" * 50, "/*"),
        ("/a/b/c/d/e/f", "/a/b/c/d/**"),
    ],
)
def test_patterns(path: str, expected: str) -> None:
    assert pattern(path) == expected


@given(st.text(max_size=100))
def test_any_path_has_a_pattern_and_any_target_a_place(text: str) -> None:
    assert pattern(text).count("/") <= 5
    place(text)


@given(st.binary(max_size=300))
def test_any_line_is_taken_or_left(data: bytes) -> None:
    taker = Taker(Who(), set())
    taker.take(0, data + b"\n")
    taker.take(1, encode(Record(VERSION, "denied", "r", 1, 1, "b", "a", "h", "l", "d")))
    assert 1 <= len(taker.batch.rows) <= 2


def test_a_damaged_index_is_made_anew_while_it_is_open(home: Home, tmp_path: Path) -> None:
    path = str(tmp_path / "own" / "records.sqlite")
    index, other = Index(path, home), Index(path, home)
    count = index.refresh(home)
    index.close()
    base = sqlite3.connect(path)
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()
    data = bytearray(Path(path).read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    Path(path).write_bytes(data)
    damaged = Index(path, home)
    with pytest.raises(HostFault, match="damaged"):
        damaged.refresh(home)
    assert other.stale
    fresh = Index(path, home)
    assert not fresh.stale
    assert fresh.refresh(home) == count
    for one in (damaged, other, fresh):
        one.close()
