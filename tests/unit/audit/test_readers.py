"""Reader, proof, purge, index, export."""

import io
import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit import proof
from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.entries import entries
from bot_bottle.audit.formats.registry import format_of
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.index import Index, Query
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.note import split
from bot_bottle.audit.purge import purge
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.tiles import pack, unpack
from bot_bottle.audit.verify import verify
from bot_bottle.base.errors import AuditFault, BusyFault, UsageFault
from bot_bottle.base.home import Home

from .conftest import RUN


def numbers(reader: LogReader) -> list[int]:
    return [at for start, lines in reader.batches() for at in range(start, start + len(lines))]


def test_a_reader_goes_on_where_it_was_while_the_log_moves(filled, make, directory: str) -> None:
    log = filled(300)
    reader = LogReader(directory)
    seen = numbers(reader)
    for turn in range(4):
        os.write(log.rotate(), encode(make("denied", request=turn)))
        log.checkpoint()
        for n in range(300):
            log.append(make("denied", request=n))
        if turn % 2:
            log.checkpoint()
        seen += numbers(reader)
    log.close(make("stop"))
    seen += numbers(reader)
    assert seen == list(range(300 + 4 * 301 + 1))
    assert numbers(LogReader(directory, 1000)) == list(range(1000, 1505))


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert unpack(pack(entries)) == entries


@given(st.binary(max_size=300))
def test_any_bytes_are_some_entries(data: bytes) -> None:
    unpack(data)


def test_proof_text_is_strict_and_checks(filled, make, key: LogKey, directory: str) -> None:
    filled(600).close(make("stop"))
    lines = [line for _, batch in LogReader(directory).batches() for line in batch]
    verifier = key.verifier(run_origin(RUN))
    for index in (0, 1, 255, 256, 599, 600):
        text = proof.prove(directory, index).text
        made = proof.parse(text)
        assert made.text == text
        assert proof.check(made, lines[index], verifier).size == 601
        with pytest.raises(AuditFault):
            proof.check(made, lines[index - 1], verifier)
        for wrong in (text.replace(b"index ", b"index 0"), text[1:], text.replace(b"\n\n", b"\n", 1), b""):
            with pytest.raises(AuditFault):
                proof.check(proof.parse(wrong), lines[index], verifier)
    with pytest.raises(UsageFault):
        proof.prove(directory, 601)


def test_proof_of_a_purged_record_still_holds(filled, make, key: LogKey, directory: str) -> None:
    filled(600).close(make("stop"))
    line = next(batch for _, batch in LogReader(directory).batches())[7]
    purge(directory, run_origin(RUN), key)
    proof.check(proof.prove(directory, 7), line, key.verifier(run_origin(RUN)))
    assert numbers(LogReader(directory)) == []


def test_an_open_log_is_not_purged(filled, key: LogKey, directory: str) -> None:
    log = filled(5)
    with pytest.raises(BusyFault):
        purge(directory, run_origin(RUN), key)
    log.abandon()


def test_a_file_of_many_checkpoints_is_a_memory(filled, make, key: LogKey, directory: str) -> None:
    log = filled(5)
    sink = log.note
    for n in range(4):
        log.append(make("denied", request=n))
        log.checkpoint()
        sink += log.note
    log.close(make("stop"))
    assert len(split(sink)) == 5
    assert verify(directory, key.fingerprint, sink).state == "sealed"
    assert not verify(directory, key.fingerprint, sink[:-10]).ok
    assert not verify(directory, key.fingerprint, b"").ok


def test_the_sink_gets_every_host_checkpoint(tmp_path, key: LogKey, make) -> None:
    host = HostLog.open(str(tmp_path / "log" / "host"), key)
    host.append(make("start"))
    sink = tmp_path / "log" / "sink"
    sink.touch()
    for _ in range(3):
        host.append(make("policy"))
    assert len(split(sink.read_bytes())) == 3
    assert verify(str(tmp_path / "log" / "host"), key.fingerprint, sink.read_bytes()).ok
    sink.unlink()
    sink.symlink_to("/dev/full")
    with pytest.raises(AuditFault):
        host.append(make("policy"))


@pytest.fixture
def home(tmp_path, make) -> Home:
    """Three runs of 302 records, one of them with another host."""
    home, key = Home(str(tmp_path / "home"), str(tmp_path / "run")), LogKey.generate()
    for run in ("r1", "r2", "r3"):
        log = RunLog.create(home.run_log(run), run_origin(run), key)
        for n in range(300):
            host = "api.example.com" if run == "r2" and n == 7 else "evil.example"
            log.append(
                make(
                    "denied",
                    run=run,
                    time=n + 1,
                    request=n,
                    target=f"https://{host}:443",
                    path=f"/p%_{n}",
                    verdict="deny",
                )
            )
        log.append(make("outcome", run=run, request=1, status=200))
        log.close(make("stop", run=run))
    return home


def test_search_by_every_field(home: Home) -> None:
    index = Index(home.index)
    assert index.refresh(home) == 906
    assert index.refresh(home) == 0
    assert [(hit.run, hit.number) for hit in index.search(Query(host="api.example.com"))] == [("r2", 7)]
    assert len(index.search(Query(host="*.example.com"))) == 1
    assert len(index.search(Query(verdict="deny", limit=10_000))) == 900
    assert len(index.search(Query(kind="stop"))) == 3
    assert [hit.number for hit in index.search(Query(run="r3", text="p%_29", limit=3))] == [297, 298, 299]
    assert index.search(Query(text="p%x")) == []
    assert index.search(Query(run="' OR 1=1 --")) == []
    assert len(index.search(Query(since=300, run="r1"))) == 3
    index.close()


def test_the_index_is_rebuilt_from_the_logs_at_any_time(home: Home) -> None:
    index = Index(home.index)
    index.refresh(home)
    expected = index.search(Query(limit=10_000))
    index.close()
    for harm in (lambda: os.unlink(home.index), lambda: Path(home.index).write_bytes(b"rubbish" * 1000)):
        harm()
        index = Index(home.index)
        index.refresh(home)
        assert index.search(Query(limit=10_000)) == expected
        index.close()
    base = sqlite3.connect(home.index)
    base.execute("PRAGMA user_version = 99")
    base.close()
    index = Index(home.index)
    assert index.refresh(home) == 906
    index.close()


def test_a_log_that_was_exchanged_is_indexed_anew(home: Home) -> None:
    index = Index(home.index)
    index.refresh(home)
    os.rename(home.run_log("r1"), home.run_log("x"))
    os.rename(home.run_log("r2"), home.run_log("r1"))
    os.rename(home.run_log("x"), home.run_log("r2"))
    index.refresh(home)
    assert [(hit.run, hit.number) for hit in index.search(Query(host="api.example.com"))] == [("r1", 7)]
    index.close()


def test_a_purge_empties_the_index_too(filled, make, tmp_path) -> None:
    home, key = Home(str(tmp_path / "h"), str(tmp_path / "run")), LogKey.generate()
    log = filled(300, directory=home.run_log(RUN), key=key)
    index = Index(home.index)
    index.refresh(home)
    log.close(make("stop"))
    purge(home.run_log(RUN), run_origin(RUN), key)
    index.refresh(home)
    assert index.search(Query(text="evil")) == []
    index.close()


def test_exports_hold_every_record(home: Home) -> None:
    written = {name: io.BytesIO() for name in ("jsonl", "csv")}
    for name, file in written.items():
        format_of(name).write(entries(home.run_log("r2"), "r2"), file)
    lines = written["jsonl"].getvalue().splitlines(keepends=True)
    assert len(lines) == 302
    assert decode(lines[7]).target == "https://api.example.com:443"
    rows = written["csv"].getvalue().splitlines()
    assert len(rows) == 303
    assert rows[0].startswith(b'"log","number","v","kind"')
