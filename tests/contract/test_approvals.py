"""What every approval store promises; memory is the twin of the SQLite one."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_bottle.base.errors import HostFault, OurFault
from bot_bottle.supervise import store as store_module
from bot_bottle.supervise.expiry import SECOND
from bot_bottle.supervise.memory import MemoryStore
from bot_bottle.supervise.model import AskState, Scope, StoredGrant
from bot_bottle.supervise.ports import ApprovalReader, ApprovalStore, AskQuery
from bot_bottle.supervise.schema import VERSION
from bot_bottle.supervise.store import SqliteReader, SqliteStore
from unit.supervise.make import ANA, T0, answer, ask, changed, wanted

ALL = AskQuery()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ApprovalStore]:
    made = MemoryStore() if request.param == "memory" else SqliteStore(f"{tmp_path}/approvals/a.sqlite")
    yield made
    made.close()


def grant(name: str = "g1", **values: object) -> StoredGrant:
    made = StoredGrant(
        name, "a1", "n1", Scope.BOTTLE, "web", "p1", "default/ask", wanted(), T0, T0 + 3600 * SECOND, ANA
    )
    return changed(made, **values)


def test_an_ask_is_read_back_as_it_was(store: ApprovalStore) -> None:
    full = ask(
        says="«please»\n\x1b[31m", wanted=wanted(query="a=1", headers=("host", "x"), secrets=("k",), findings=("f",))
    )
    store.add(full)
    assert store.ask("a1") == full and store.ask("other") is None
    assert store.asks(ALL) == [full] and store.count(ALL) == 1 and store.answers("a1") == []


def test_an_id_is_used_once(store: ApprovalStore) -> None:
    store.add(ask())
    with pytest.raises(OurFault):
        store.add(ask(label="other"))
    assert store.ask("a1") == ask()


def test_asks_are_found_by_every_field_newest_first(store: ApprovalStore) -> None:
    for number in range(6):
        store.add(
            ask(
                f"a{number}", asked=T0 + number, run=f"r{number % 2}", bottle=f"b{number % 3}", label=f"l{number}",
                project="/p" if number else "", wanted=wanted(f"h{number}.example"),
            )
        )  # fmt: skip
    store.settle("a5", 1, AskState.EXPIRED, T0)

    def found(query: AskQuery) -> list[str]:
        names = [one.id for one in store.asks(query)]
        if query.limit > 5:
            assert store.count(query) == len(names)
        return names

    assert found(ALL) == ["a5", "a4", "a3", "a2", "a1", "a0"]
    assert found(AskQuery(run="r1")) == ["a5", "a3", "a1"]
    assert found(AskQuery(bottle="b0", run="r0")) == ["a0"]
    assert found(AskQuery(label="l2")) == ["a2"]
    assert found(AskQuery(host="h3.example")) == ["a3"]
    assert found(AskQuery(project="/p", states=(AskState.WAITING,))) == ["a4", "a3", "a2", "a1"]
    assert found(AskQuery(states=(AskState.EXPIRED, AskState.ENDED))) == ["a5"]
    assert found(AskQuery(before=T0 + 3, limit=2)) == ["a2", "a1"]
    assert store.count(AskQuery(limit=1)) == 6


def test_no_run_takes_the_places_of_the_others(store: ApprovalStore) -> None:
    for number in range(9):
        store.add(ask(f"a{number}", run="r2" if number == 1 else "r1", asked=T0 + number))
    assert [one.id for one in store.asks(AskQuery(each=2))] == ["a8", "a7", "a1"]
    assert [one.id for one in store.asks(AskQuery(each=2, limit=2))] == ["a8", "a7"]
    assert [one.id for one in store.asks(AskQuery((AskState.WAITING,), run="r2", each=2, before=T0 + 8))] == ["a1"]
    assert store.count(AskQuery(each=2)) == 9


def test_an_ask_is_settled_once_and_at_its_version(store: ApprovalStore) -> None:
    store.add(ask())
    said = answer(ask())
    assert not store.settle("a1", 2, AskState.ALLOWED, T0 + 1, said, grant())
    assert store.answers("a1") == [] and store.grants() == []
    assert store.settle("a1", 1, AskState.ALLOWED, T0 + 1, said, grant())
    found = store.ask("a1")
    assert found and (found.state, found.version, found.settled, found.answer) == (AskState.ALLOWED, 2, T0 + 1, "n1")
    assert store.answers("a1") == [said] and store.grants() == [grant()] and store.grant("g1") == grant()
    for version in (1, 2, 3):
        assert not store.settle("a1", version, AskState.DENIED, T0 + 2)
    assert store.ask("a1") == found
    assert not store.settle("none", 1, AskState.DENIED, T0)


@pytest.mark.parametrize("state", [AskState.EXPIRED, AskState.ENDED, AskState.WITHDRAWN])
def test_what_was_missed_can_still_be_answered_but_not_wait_again(store: ApprovalStore, state: AskState) -> None:
    store.add(ask())
    assert store.settle("a1", 1, state, T0 + 1)
    for other in (AskState.WAITING, AskState.EXPIRED, AskState.REFUSED, AskState.ENDED):
        assert not store.settle("a1", 2, other, T0 + 2)
    assert store.settle("a1", 2, AskState.ALLOWED, T0 + 2, answer(ask()), grant(retry="s", uses=1))
    assert not store.settle("a1", 3, AskState.DENIED, T0 + 3)


def test_what_waits_is_never_settled_as_waiting(store: ApprovalStore) -> None:
    store.add(ask())
    assert not store.settle("a1", 1, AskState.WAITING, T0)


def test_answers_of_a_quorum_move_the_version(store: ApprovalStore) -> None:
    store.add(ask())
    first, second = answer(ask(), id="n1", at=T0 + 2), answer(ask(), id="n2", at=T0 + 1)
    assert store.note(first, 1) and not store.note(second, 1) and store.note(second, 2)
    assert store.answers("a1") == [second, first]
    found = store.ask("a1")
    assert found and found.version == 3 and found.state is AskState.WAITING
    assert store.settle("a1", 3, AskState.DENIED, T0 + 3, answer(ask(), False, id="n3"))
    assert not store.note(answer(ask(), id="n4"), 4) and not store.note(changed(first, ask="none"), 1)


def test_a_new_policy_moves_the_version_of_what_waits(store: ApprovalStore) -> None:
    store.add(ask())
    new = ask(policy="p2", revision=2, rule="web/asks", reason="policy.needs-approval", hint="h", label="ignored")
    assert not store.renew(new, 2) and store.renew(new, 1)
    assert store.ask("a1") == changed(new, version=2, label="fix-login")
    assert store.settle("a1", 2, AskState.DENIED, T0) and not store.renew(new, 3)


def test_a_grant_is_used_as_often_as_it_says(store: ApprovalStore) -> None:
    store.add(ask())
    store.settle("a1", 1, AskState.ALLOWED, T0, answer(ask()), grant(uses=2))
    at = T0 + SECOND
    assert store.grants(live_at=at)
    assert store.use("g1", at) and store.use("g1", at) and not store.use("g1", at)
    found = store.grant("g1")
    assert found and found.used == 2 and store.grants(live_at=at) == [] and store.grants() == [found]
    assert not store.use("none", at)


def test_a_grant_dies_by_time_and_by_hand(store: ApprovalStore) -> None:
    store.add(ask())
    store.settle("a1", 1, AskState.ALLOWED, T0, answer(ask()), grant())
    assert store.use("g1", T0 + 1) and not store.use("g1", T0 + 3600 * SECOND)
    assert not store.use("g1", T0 - 3600 * SECOND)  # a clock that was set back
    assert store.revoke("g1", T0 + 5) and not store.revoke("g1", T0 + 6) and not store.revoke("none", T0)
    assert not store.use("g1", T0 + 1) and store.grants(live_at=T0 + 1) == []
    found = store.grant("g1")
    assert found and found.revoked == T0 + 5 and not (found.with_run or found.with_policy)


@pytest.mark.parametrize("why", ["with_run", "with_policy"])
def test_a_grant_says_with_what_it_ended_and_it_stays_so(store: ApprovalStore, why: str) -> None:
    store.add(ask())
    store.settle("a1", 1, AskState.ALLOWED, T0, answer(ask()), grant())
    assert store.revoke("g1", T0 + 5, **{why: True}) and not store.revoke("g1", T0 + 6)
    found = store.grant("g1")
    assert found and [name for name in ("with_run", "with_policy") if getattr(found, name)] == [why]
    assert store.grants(live_at=T0 + 6) == [] and not store.use("g1", T0 + 6)


def test_grants_come_newest_first_and_limited(store: ApprovalStore) -> None:
    for number in range(4):
        store.add(ask(f"a{number}"))
        store.settle(f"a{number}", 1, AskState.ALLOWED, T0, None, grant(f"g{number}", given=T0 + number))
    assert [one.id for one in store.grants(limit=3)] == ["g3", "g2", "g1"]
    assert [one.id for one in store.grants(live_at=T0 + 10, limit=2)] == ["g3", "g2"]


def test_changes_differ_after_every_write_and_only_then(store: ApprovalStore) -> None:
    seen = [store.changes()]

    def moved(expected: bool) -> None:
        now = store.changes()
        assert (now != seen[-1]) == expected
        seen.append(now)

    moved(False)
    store.add(ask())
    moved(True)
    store.note(answer(ask()), 9)
    moved(False)
    store.note(answer(ask()), 1)
    moved(True)
    store.settle("a1", 2, AskState.ALLOWED, T0, None, grant(uses=1))
    moved(True)
    store.use("g1", T0 + 1)
    moved(True)
    store.use("g1", T0 + 1)
    moved(False)
    store.revoke("g1", T0)
    moved(True)


def test_old_asks_and_grants_are_forgotten(store: ApprovalStore) -> None:
    for name in ("old", "new", "waits"):
        store.add(ask(name))
    store.settle("old", 1, AskState.ALLOWED, T0 + 1, answer(ask("old")), grant("g-old", expires=T0 + 1))
    store.settle("new", 1, AskState.ALLOWED, T0 + 9, answer(ask("new"), id="n2"), grant("g-new"))
    assert store.prune(T0 + 5) == 2 and store.prune(T0 + 5) == 0
    assert sorted(one.id for one in store.asks(ALL)) == ["new", "waits"]
    assert store.answers("old") == [] and store.answers("new") and [one.id for one in store.grants()] == ["g-new"]


# ---- the file


def path_in(folder: Path) -> str:
    return f"{folder}/approvals/a.sqlite"


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(path_in(tmp_path))
    store.add(ask())
    store.settle("a1", 1, AskState.ALLOWED, T0, answer(ask()), grant())
    store.close()
    again: ApprovalReader = SqliteStore(path_in(tmp_path))
    assert again.grants(live_at=T0 + 1) == [grant()] and again.answers("a1") == [answer(ask())]
    again.close()
    assert os.stat(path_in(tmp_path)).st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "approvals").st_mode & 0o777 == 0o700


READ_ONLY = """
import ctypes, os, sys
from bot_bottle.supervise.store import SqliteReader
from bot_bottle.supervise.ports import AskQuery
os.setgroups([]); os.setgid(65534); os.setuid(65534)
reader = SqliteReader(sys.argv[1])
print(reader.count(AskQuery()), reader.changes(), os.access(os.path.dirname(sys.argv[1]), os.W_OK))
"""


def test_a_reader_needs_no_right_to_write(tmp_path: Path) -> None:
    """As the web process: it may read file and directory, and write neither."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody who may not write")
    store = SqliteStore(path_in(tmp_path))
    store.add(ask())
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and len(folder.parts) > 2:
            folder.chmod(0o755)
    (tmp_path / "approvals").chmod(0o755)
    os.chmod(path_in(tmp_path), 0o644)
    found = subprocess.run(
        [sys.executable, "-I", "-c", READ_ONLY, path_in(tmp_path)], cwd="/", capture_output=True, text=True
    )
    store.close()
    assert found.stdout.split() == ["1", "1", "False"], found.stderr


def test_a_reader_sees_what_a_writer_adds_and_writes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(path_in(tmp_path))
    reader = SqliteReader(path_in(tmp_path))
    assert reader.count(ALL) == 0
    store.add(ask())
    assert reader.count(ALL) == 1 and reader.changes() == store.changes()
    with pytest.raises(sqlite3.OperationalError):
        reader._database.execute("DELETE FROM asks")
    reader.close()
    store.close()


def test_a_row_that_is_damaged_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    store = SqliteStore(path_in(tmp_path))
    store.add(ask())
    store.settle("a1", 1, AskState.ALLOWED, T0, answer(ask()), grant())
    for table in ("asks", "answers", "grants"):
        store._database.execute(f"UPDATE {table} SET body = x'7b'")
    reads = (
        lambda: store.ask("a1"), lambda: store.asks(ALL), lambda: store.answers("a1"),
        lambda: store.grant("g1"), store.grants,
    )  # fmt: skip
    for read in reads:
        with pytest.raises(HostFault, match="damaged"):
            read()
    store.close()


def test_no_file_and_no_directory_say_so(tmp_path: Path) -> None:
    with pytest.raises(HostFault) as fault:
        SqliteReader(f"{tmp_path}/none/a.sqlite")
    assert fault.value.slug == "approvals.none" and not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(HostFault) as fault:
        SqliteStore(f"{tmp_path}/file/a.sqlite")
    assert fault.value.slug == "approvals.unusable"


@pytest.mark.parametrize("where", [0, 40, 4096, 5000])
def test_damage_says_so_and_hides_nothing(tmp_path: Path, where: int) -> None:
    store = SqliteStore(path_in(tmp_path))
    for number in range(40):
        store.add(ask(f"a{number}", says="x" * 500))
    store.close()
    raw = bytearray(Path(path_in(tmp_path)).read_bytes())
    raw[where : where + 200] = b"\xa5" * 200
    Path(path_in(tmp_path)).write_bytes(raw)

    def used() -> None:
        damaged = SqliteStore(path_in(tmp_path))
        try:
            assert damaged.count(ALL) == 40
            damaged.asks(ALL)
            damaged._one("PRAGMA integrity_check")
            damaged.add(ask("new"))
        finally:
            damaged.close()

    try:
        used()
    except HostFault as fault:
        assert fault.slug == "approvals.damaged", fault.slug
        assert "records" not in fault.what and "logs" in fault.hint
    else:
        assert where == 5000  # free space of a page


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    SqliteStore(path_in(tmp_path)).close()
    database = sqlite3.connect(path_in(tmp_path))
    database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    for kind in (SqliteStore, SqliteReader):
        with pytest.raises(HostFault) as fault:
            kind(path_in(tmp_path))
        assert fault.value.slug == "approvals.newer"


def test_an_older_file_is_brought_up_to_date_by_a_writer(tmp_path: Path) -> None:
    path = Path(path_in(tmp_path))
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = TRUNCATE")
    database.close()
    path.touch()
    with pytest.raises(HostFault) as fault:
        SqliteReader(str(path))
    assert fault.value.slug == "approvals.older"
    SqliteStore(str(path)).close()
    SqliteReader(str(path)).close()


KILLED = """
import sys
from bot_bottle.supervise.store import SqliteStore
from unit.supervise.make import ask
store = SqliteStore(sys.argv[1])
number = 0
while True:
    store.add(ask(f"{sys.argv[2]}-{number}"))
    print(number, flush=True)
    number += 1
"""


def test_kill_9_loses_nothing_that_was_told(tmp_path: Path) -> None:
    """A keeper dies in the middle of writing, ten times: all that it reported is there, and the next one goes on."""
    root = Path(__file__).resolve().parents[1]
    told: list[str] = []
    for turn in range(10):
        code = f"import sys; sys.path.insert(0, {str(root)!r})\n{KILLED}"
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", code, path_in(tmp_path), f"t{turn}"], stdout=subprocess.PIPE, cwd="/"
        )
        assert child.stdout
        for _ in range(3 + turn):
            told.append(f"t{turn}-{int(child.stdout.readline())}")
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        told += [f"t{turn}-{int(number)}" for number in rest]
        child.stdout.close()
        child.wait()
        store = SqliteStore(path_in(tmp_path))
        assert {one.id for one in store.asks(AskQuery(limit=10_000))} >= set(told)
        assert store._one("PRAGMA integrity_check") == ("ok",)
        assert store.changes() == store.count(ALL)
        store.close()


HALF_WAY = """
import os, sys
from bot_bottle.supervise.store import SqliteStore
from unit.supervise.make import ask
store = SqliteStore(sys.argv[1])
store._database.execute("PRAGMA cache_size = 1")
store._database.execute("BEGIN IMMEDIATE")
for number in range(500):
    store._put(ask(f"lost-{number}", says="x" * 1000))
os._exit(9)
"""


def test_half_a_change_is_never_seen(tmp_path: Path) -> None:
    """The keeper dies while pages of one change are on the disk already: a reader says so, the next writer mends it."""
    store = SqliteStore(path_in(tmp_path))
    store.add(ask())
    store.close()
    root = Path(__file__).resolve().parents[1]
    code = f"import sys; sys.path.insert(0, {str(root)!r})\n{HALF_WAY}"
    assert subprocess.run([sys.executable, "-I", "-c", code, path_in(tmp_path)], cwd="/").returncode == 9
    assert os.path.getsize(path_in(tmp_path) + "-journal") > 0
    with pytest.raises(HostFault) as fault:
        SqliteReader(path_in(tmp_path)).count(ALL)
    assert fault.value.slug == "approvals.recovering"
    mended = SqliteStore(path_in(tmp_path))
    assert [one.id for one in mended.asks(ALL)] == ["a1"]
    mended.close()
    reader = SqliteReader(path_in(tmp_path))
    assert reader.count(ALL) == 1
    reader.close()


def _race(path: str, start: "multiprocessing.synchronize.Barrier", state: AskState, name: str) -> None:
    store = SqliteStore(path)
    start.wait()
    won = store.settle("a1", 1, state, T0 + 1, answer(ask(), state is AskState.ALLOWED, id=name))
    os._exit(7 if won else 0)


def test_of_two_processes_one_settles(tmp_path: Path) -> None:
    """Two approvers at the same instant, through two keepers: one answer counts, and the store holds that one."""
    context = multiprocessing.get_context("fork")
    for turn in range(5):
        path = f"{tmp_path}/{turn}/a.sqlite"
        first = SqliteStore(path)
        first.add(ask())
        first.close()
        start = context.Barrier(2)
        pairs = ((AskState.ALLOWED, "yes"), (AskState.DENIED, "no"))
        racers = [context.Process(target=_race, args=(path, start, *pair)) for pair in pairs]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert sorted(racer.exitcode or 0 for racer in racers) == [0, 7]
        after = SqliteReader(path)
        found = after.ask("a1")
        won = "yes" if racers[0].exitcode == 7 else "no"
        assert found and found.answer == won and [one.id for one in after.answers("a1")] == [won]
        after.close()


def test_who_is_about_to_change_reads_alone(tmp_path: Path) -> None:
    """Between reading a version and writing it nobody else writes: that is what makes compare-and-set one step."""
    store = SqliteStore(path_in(tmp_path))
    other = sqlite3.connect(path_in(tmp_path), timeout=0, isolation_level=None)
    with store._change() as undo:
        store.count(ALL)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        undo()
    other.execute("BEGIN IMMEDIATE")
    other.close()
    store.close()


def test_one_that_hangs_in_its_turn_does_not_hang_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped keeper in the middle of a change: another one hears that the store is busy, and goes on with its life."""
    monkeypatch.setattr(store_module, "WAIT", 0.2)
    hangs, other = SqliteStore(path_in(tmp_path)), SqliteStore(path_in(tmp_path))
    with hangs._in_turn(), pytest.raises(HostFault) as fault:
        other.add(ask())
    assert fault.value.slug == "approvals.busy"
    other.add(ask())
    hangs.close()
    other.close()


def test_many_writers_wait_for_each_other(tmp_path: Path) -> None:
    SqliteStore(path_in(tmp_path)).close()
    faults: list[BaseException] = []

    def write(name: int) -> None:
        try:
            store = SqliteStore(path_in(tmp_path))
            for number in range(20):
                store.add(ask(f"{name}-{number}"))
            store.close()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = SqliteReader(path_in(tmp_path))
    assert faults == [] and reader.count(ALL) == 120 and reader.changes() == 120
    reader.close()
