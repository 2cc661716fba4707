"""Operations on records, reach and policies: what they give, and the pure parts behind them."""

import fcntl
import http.client
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle import egress
from bot_bottle.audit.entries import Entry
from bot_bottle.audit.export import all_entries
from bot_bottle.audit.filters import parse
from bot_bottle.audit.index import Index
from bot_bottle.audit.index_counts import Reached
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.policy.effective import Match, PathMatch, Policy, Route
from bot_bottle.policy.verdict import Auth
from bot_bottle.web import export
from bot_bottle.web.api.compare import compared
from bot_bottle.web.api.policies import shadows, too_broad
from bot_bottle.web.checks import Checks
from bot_bottle.web.export import Exports
from bot_bottle.web.pages.log import why
from bot_bottle.web.pages.reach import drawn, picture
from bot_bottle.web.problem import WebFault
from bot_bottle.web.reviewed import Reviewed
from bot_bottle.web.rows import ENDS, judged
from bot_bottle.web.watch import Watch
from records_stage import traffic
from web_stage import Inside, Stage, until

READ = Match((PathMatch("prefix", "/repos"),), ("GET",))


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        found.ended("one", rows=traffic(60, 1), ago=900)
        found.ended("two", rows=traffic(60, 2), ago=600)
        yield found


def test_search_goes_on_at_its_cursor(busy: Stage) -> None:
    web = busy.web().sign_in()
    found, before = [], ""
    while True:
        reply = web.api("GET", f"/records?q=kind:outcome&limit=30&before={before}").json()
        assert reply["complete"] and reply["indexed"]
        found += [(one["run"], one["number"]) for one in reply["items"]]
        before = reply["next"]
        if not before:
            break
    assert len(found) == len(set(found)) > 90
    assert web.api("GET", "/records?before=rubbish").status == 422
    reply = web.api("GET", "/records?q=hst:x")
    assert reply.status == 422
    assert "Character 1" in reply.json()["title"]


def test_reach_refuses_what_it_cannot_count(busy: Stage) -> None:
    web = busy.web().sign_in()
    for field in ("path:/x", "status:200", "kind:denied", '"word"'):
        assert web.api("GET", f"/reach?q={field.replace(chr(34), '%22')}").json()["slug"] == "reach.field"
    reply = web.api("GET", "/reach?q=label:one").json()
    assert reply["sums"]["hosts"] == len(reply["items"]) > 4
    paths = web.api("GET", "/reach?q=label:one&host=api.model.example").json()["items"]
    assert [one["name"] for one in paths] == ["/v1/messages"]


def test_marks_outlive_the_index_and_a_reader_may_not_make_them(busy: Stage) -> None:
    web = busy.web().sign_in()
    hosts = [one["host"] for one in web.api("GET", "/hosts/first-seen").json()["items"]]
    assert "api.model.example" in hosts
    assert web.api("PUT", "/hosts/api.model.example/reviewed", token=web.token("read")).status == 403
    assert web.api("PUT", "/hosts/api.model.example/reviewed").status == 204
    Path(busy.home.index).unlink()
    until(lambda: web.api("GET", "/records").json()["indexed"])
    left = [one["host"] for one in web.api("GET", "/hosts/first-seen").json()["items"]]
    assert set(left) == set(hosts) - {"api.model.example"}
    every = web.api("GET", "/hosts/first-seen?reviewed=true").json()["items"]
    assert {one["host"]: one["reviewed"] for one in every}["api.model.example"] == "os:1000"
    assert web.api("DELETE", "/hosts/api.model.example/reviewed").status == 204
    assert Reviewed(busy.home).of(["api.model.example"]) == {}


def reached(name: str, requests: int, **more: object) -> Reached:
    return msgspec.structs.replace(Reached(name, requests), **more)


def test_what_is_different_between_two_runs() -> None:
    before = [
        reached("a", 10),
        reached("b", 20),
        reached("c", 5, secrets=["K"]),
        reached("d", 100),
        reached("same", 7),
    ]
    after = [
        reached("a", 40),
        reached("c", 5, secrets=["K", "L"]),
        reached("d", 3),
        reached("e", 1),
        reached("same", 8),
    ]
    found = compared(before, after)
    assert [(one.host, one.what) for one in found.changes] == [
        ("e", "new"), ("c", "other"), ("a", "grown"), ("b", "gone"), ("d", "less"),
    ]  # fmt: skip
    assert found.same == 1
    assert found.changes[1].said == ["secret L is new"]


def test_rules_that_leave_nothing_for_others() -> None:
    wide = Route("p/wide", "*.github.com")
    policy = Policy("p", (
        Route("p/inside", "api.github.com", matches=(READ,)), wide, Route("p/other", "api.example.com"),
        Route("p/denied", "x.metrics.example"), Route("p/deny", "*.metrics.example", action="deny", scheme="", ports=()),
        Route("p/keyed", "uploads.github.com", auth=Auth("KEY", "bearer")),
    ))  # fmt: skip
    assert shadows(policy) == {"p/inside": "p/wide", "p/denied": "p/deny"}
    twins = Policy("p", (Route("p/a", "a.example"), Route("p/b", "a.example")))
    assert len(shadows(twins)) == 1


def test_what_is_too_broad() -> None:
    assert too_broad(Route("p/a", "*.github.com"))
    assert too_broad(Route("p/a", "a.example", auth=Auth("KEY", "bearer")))
    assert not too_broad(Route("p/a", "a.example"))
    assert not too_broad(Route("p/a", "*.github.com", matches=(READ,)))
    assert not too_broad(Route("p/a", "*.github.com", action="deny"))


_some = st.lists(
    st.builds(
        lambda n, a, d, k: Reached(str(n), a + d, k, verdicts={"allow": a, "deny": d}),
        st.integers(0, 99), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 99),
    ), max_size=11,
)  # fmt: skip


@given(_some)
def test_the_picture_has_one_ribbon_a_host_and_what_did_not_leave_ends_at_the_wall(found: list[Reached]) -> None:
    made, rows = picture(found), drawn(found)
    assert len(made.ribbons) == len(rows) == len(found)
    for ribbon, (_, state) in zip(made.ribbons, rows, strict=True):
        assert ribbon.far == ribbon.d.endswith("H100") == (state == "allow")
        assert 2 <= ribbon.width <= 18.3
    states = [state != "allow" for _, state in rows]
    assert states == sorted(states)


def test_the_watch_takes_in_what_is_written_and_survives_a_lost_index(busy: Stage) -> None:
    watch = Watch(busy.home)
    assert watch.fresh(20)
    index = Index(busy.home.index, busy.home)
    count = index.count(parse(""), 0)
    bottle = busy.running("three")
    bottle.record(kind="denied", target="https://late.example:443", verdict="deny")
    assert watch.fresh(20)
    assert index.count(parse("host:late.example"), 0) == 1
    assert (index.count(parse(""), 0) or 0) > (count or 0)
    Path(busy.home.index).unlink()
    until(lambda: watch.fresh(5) and Path(busy.home.index).exists())
    fresh = Index(busy.home.index, busy.home)
    until(lambda: watch.fresh(5) and fresh.count(parse("host:late.example"), 0) == 1)
    index.close()
    fresh.close()


def test_the_watch_does_not_call_fresh_what_another_process_is_filling(busy: Stage) -> None:
    watch = Watch(busy.home)
    assert watch.fresh(20)
    lock = os.open(f"{os.path.dirname(busy.home.index)}/writer.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    busy.running("four").record(kind="denied", target="https://late.example:443", verdict="deny")
    assert not watch.fresh(5)
    os.close(lock)
    assert watch.fresh(20)
    index = Index(busy.home.index, busy.home)
    assert index.count(parse("host:late.example"), 0) == 1
    index.close()


def test_runs_go_on_at_their_cursor(busy: Stage) -> None:
    for number in range(3):
        busy.ended(f"more-{number}", ago=300)
    with Inside(busy) as web:
        person, found, more = web.session(), list[str](), ""
        for _ in range(9):
            reply = web.raw("GET", f"/api/v1/runs?limit=2&cursor={more}", person).json()
            found += [one["label"] for one in reply["items"]]
            more = reply["next"]
            if not more:
                break
        whole = web.raw("GET", "/api/v1/runs", person).json()
        assert [one["label"] for one in whole["items"]] == found
        assert whole["next"] == ""
        assert sorted(found) == ["more-0", "more-1", "more-2", "one", "two"]
        assert web.raw("GET", "/api/v1/runs?cursor=AAAA", person).status == 422


def test_a_download_that_nobody_takes_ends(busy: Stage) -> None:
    before = threading.active_count()
    pieces = Exports().begin(busy.home, parse(""), "csv", 0)
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    until(lambda: threading.active_count() <= before)


def test_a_download_that_fails_ends_and_does_not_look_whole(busy: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def entries(_: object) -> Iterator[Entry]:
        yield next(all_entries(busy.home))
        raise IsADirectoryError

    monkeypatch.setattr(export, "all_entries", entries)
    exports = Exports(most=1)
    for _ in range(3):  # each gives its place back
        pieces = exports.begin(busy.home, parse(""), "jsonl", 0)
        with pytest.raises(IsADirectoryError):
            list(pieces)
        until(lambda: exports.running == 0)
    with Inside(busy) as web, pytest.raises(http.client.IncompleteRead):
        web.raw("GET", "/log/export?format=jsonl", web.session())


def test_only_a_few_downloads_run_at_once(busy: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def entries(_: object) -> Iterator[Entry]:
        yield from all_entries(busy.home)
        go_on.wait(30)

    monkeypatch.setattr(export, "all_entries", entries)
    exports = Exports(most=2)
    running = [exports.begin(busy.home, parse(""), "jsonl", 0) for _ in range(2)]
    with pytest.raises(WebFault) as caught:
        exports.begin(busy.home, parse(""), "jsonl", 0)
    assert caught.value.status == 429
    go_on.set()
    assert all(b"".join(pieces) for pieces in running)
    until(lambda: exports.running == 0)
    assert b"".join(exports.begin(busy.home, parse(""), "jsonl", 0))


def test_a_download_of_nothing_sees_that_the_browser_is_gone(busy: Stage) -> None:
    exports = Exports(most=1)
    pieces = exports.begin(busy.home, parse("host:nowhere.example"), "jsonl", 0)
    pieces.close()  # type: ignore[attr-defined]
    until(lambda: exports.running == 0)


def test_a_check_is_joined_and_not_repeated() -> None:
    checks, go_on, calls = Checks(), threading.Event(), list[int]()

    def call(told: object) -> str:
        calls.append(1)
        go_on.wait(10)
        return "done"

    one, other = checks.begin("r1", 5, call), checks.begin("r1", 5, call)
    assert one is other
    assert one.wait(0.01) is None
    go_on.set()
    assert one.wait(10) == "done"
    assert calls == [1]
    assert checks.find("r1") is one
    assert checks.find("r2") is None


@pytest.mark.parametrize(
    ("reason", "shown", "said"),
    [
        ("", ("allow", "Allow"), "Allowed"),
        ("upstream.unresolved", ("", "Name not found"), "Name not found"),
        ("upstream.refused", ("", "No connection"), "No connection"),
        ("upstream.timeout", ("", "No answer"), "No answer"),
        ("timeout.idle", ("", "Nothing moved"), "Nothing moved"),
        ("client.gone", ("", "Hung up"), "Hung up"),
        ("bottle.ended", ("", "Bottle ended"), "Bottle ended"),
        ("upstream.of-another-version", ("", "Failed"), "Failed"),
        ("reply.length", ("deny", "Stopped"), "Stopped"),
        ("policy.denied-by-rule", ("deny", "Stopped"), "Stopped"),
    ],
)
def test_what_was_allowed_and_did_not_end_well_says_whose_doing_it_was(
    reason: str, shown: tuple[str, str], said: str
) -> None:
    record = Record(VERSION, "outcome", "r1", 1, 1, "b", "a", "h", "l", "p", verdict="allow", reason=reason)
    assert judged(record) == shown
    assert why(record)[0] == said
    granted = msgspec.structs.replace(record, grant="g-1", approver="mara", ask="a-1")
    assert why(granted)[0] == said
    assert "mara" in why(granted)[1]
    left_nothing = reason in ("upstream.unresolved", "upstream.refused", "upstream.timeout")
    assert ("nothing of it left" in why(record)[1]) == left_nothing


def test_every_way_to_fail_has_a_word() -> None:
    """Those that the gateway's own source names."""
    source = "".join(path.read_text() for path in Path(egress.__path__[0]).rglob("*.py"))
    named = set(re.findall(r'"((?:upstream|client|timeout|bottle)\.[a-z-]+)"', source))
    assert len(named) > 8 and named <= ENDS.keys(), named - ENDS.keys()


@pytest.mark.parametrize(
    ("kind", "verdict", "shown"),
    [
        ("answer", "allow", ("allow", "Yes")),
        ("answer", "deny", ("deny", "No")),
        ("settled", "allowed", ("allow", "Allowed")),
        ("settled", "expired", ("deny", "Expired")),
        ("grant", "revoked", ("", "Grant revoked")),
        ("grant", "\x1b[31m", ("", r"Grant \u{1b}[31m")),
    ],
)
def test_what_a_person_said_is_read_without_opening_the_record(
    kind: str, verdict: str, shown: tuple[str, str]
) -> None:
    assert judged(Record(VERSION, kind, "r1", 1, 1, "b", "a", "h", "l", "p", verdict=verdict)) == shown
