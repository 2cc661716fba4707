"""The run log: seals, rotates, settles into bundles, keeps nothing half on a full disk or in a read-only place."""

import os

import pytest

from bot_bottle.audit import journal, sealer
from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.encode import encode
from bot_bottle.audit.journal import Writer
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.tiles import Tiles, number
from bot_bottle.audit.verify import verify
from bot_bottle.base.errors import AuditFault

from .conftest import RUN


def lines(directory: str) -> list[bytes]:
    found: list[bytes] = []
    for start, batch in LogReader(directory).batches():
        assert start == len(found)
        found += batch
    return found


def test_a_run_from_start_to_seal(key: LogKey, make, directory: str) -> None:
    log = RunLog.create(directory, run_origin(RUN), key)
    assert verify(directory, key.fingerprint).state == "open"
    log.append(make("start"))
    writer = Writer(log.writer_fd())
    written = [encode(make("denied", request=n)) for n in range(700)]
    writer.write(b"".join(written))
    assert log.checkpoint().size == 701
    before = log.note
    log.checkpoint()
    assert log.note == before
    log.checkpoint(force=True)
    head = log.close(make("stop"))
    report = verify(directory, key.fingerprint, before)
    assert (report.state, report.size, report.problems) == ("sealed", 702, [])
    assert head.size == 702
    assert sorted(os.listdir(directory)) == ["checkpoint", "key", "tile"]
    assert lines(directory)[1:-1] == written


def test_unsigned_lines_are_open_and_counted(filled, key: LogKey, directory: str) -> None:
    log = filled(5)
    os.write(log.writer_fd(), b"whole\ntorn")
    report = verify(directory, key.fingerprint)
    assert (report.state, report.size, report.unproven, report.torn) == ("open", 5, 1, 4)
    log.abandon()


def test_rotation_loses_nothing_and_needs_no_answer(key: LogKey, make, directory: str) -> None:
    log = RunLog.create(directory, run_origin(RUN), key)
    writer, expected = Writer(log.writer_fd()), []
    for turn in range(6):
        batch = [encode(make("denied", request=turn * 1000 + n)) for n in range(100 * turn + 1)]
        writer.write(b"".join(batch))
        expected += batch
        descriptor = log.rotate()
        late = encode(make("denied", path="/late"))
        writer.write(late)
        expected.append(late)
        if turn % 2:
            own = make("freeze", count=turn)
            log.append(own)
            expected.append(encode(own))
        writer.switch(descriptor)
        log.checkpoint()
        assert verify(directory, key.fingerprint).ok
    log.close(make("stop"))
    assert lines(directory)[:-1] == expected
    assert verify(directory, key.fingerprint).state == "sealed"


def test_rotates_when_the_segment_is_long(filled, monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled(100)
    assert not log.should_rotate
    monkeypatch.setattr(journal, "SEGMENT", 1000)
    assert log.should_rotate
    log.rotate()
    assert not log.should_rotate
    log.close()


def test_a_segment_is_deleted_only_when_its_lines_are_in_bundles(filled, make, directory: str) -> None:
    log = filled(300)
    writer = Writer(log.rotate())
    writer.write(encode(make("denied")))
    log.checkpoint()
    assert sorted(os.listdir(f"{directory}/journal")) == ["0000000000000000", "0000000000000300"]
    assert os.listdir(f"{directory}/tile/entries") == ["000"]
    writer.write(b"".join(encode(make("denied", request=n)) for n in range(300)))
    writer.switch(log.rotate())
    writer.write(encode(make("denied")))
    log.checkpoint()
    assert sorted(os.listdir(f"{directory}/journal")) == ["0000000000000300", "0000000000000601"]
    log.close()


def test_a_change_in_a_settled_segment_is_noticed_before_its_deletion(filled, make, directory: str) -> None:
    """The tail alone is compared each second; the whole segment when it becomes bundles."""
    log = filled(3000)
    with open(f"{directory}/journal/0000000000000000", "r+b") as file:
        file.seek(40)
        file.write(b"X")
    with pytest.raises(AuditFault) as fault:
        log.close(make("stop"))
    assert fault.value.slug == "audit.changed"
    assert os.path.exists(f"{directory}/journal/0000000000000000")


def test_never_two_logs_in_one_place(filled, key: LogKey, directory: str) -> None:
    filled(3).close()
    with pytest.raises(AuditFault) as fault:
        RunLog.create(directory, run_origin(RUN), key)
    assert fault.value.slug == "audit.exists"


def test_only_the_newest_partial_tiles_are_kept(filled, make, directory: str) -> None:
    log = filled(10)
    for n in range(300):
        log.append(make("denied", request=n))
        log.checkpoint()
    found = sorted(
        os.path.join(path, name)[len(directory) :] for path, _, names in os.walk(directory) for name in names
    )
    assert [path for path in found if ".p/" in path] == ["/tile/0/001.p/54", "/tile/1/000.p/1"]
    log.close()


def test_directories_and_files_are_private(filled, directory: str) -> None:
    log = filled(5)
    assert os.stat(directory).st_mode & 0o077 == 0
    assert os.stat(f"{directory}/journal/0000000000000000").st_mode & 0o077 == 0
    log.abandon()


def test_the_reserve_pays_for_the_last_records(filled, make, key: LogKey, directory: str, monkeypatch) -> None:
    """The disk is full until the reserve is given back."""
    log, real = filled(10), os.write

    def full(descriptor: int, data: bytes) -> int:
        if os.path.exists(f"{directory}/reserve"):
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    log.close(make("stop"))
    monkeypatch.undo()
    assert verify(directory, key.fingerprint).state == "sealed"


def test_without_a_reserve_a_full_disk_is_one_sentence(filled, make, monkeypatch) -> None:
    log = filled(10)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AuditFault) as fault:
        log.append(make("freeze"))
    assert fault.value.slug == "audit.cannot-write"
    monkeypatch.undo()
    log.abandon()


def test_a_failed_tile_is_written_by_the_next_checkpoint(
    filled, make, key: LogKey, directory: str, monkeypatch
) -> None:
    log = filled(200)
    for n in range(400):
        log.append(make("denied", request=n))
    with monkeypatch.context() as patch:
        patch.setattr(Tiles, "write_full", lambda self, tiles: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(AuditFault):
            log.checkpoint()
    assert log.checkpoint().size == 600
    log.close(make("stop"))
    assert verify(directory, key.fingerprint).state == "sealed"
    assert os.path.exists(f"{directory}/tile/0/001")


def test_many_files_are_synced_at_once(filled, make, key: LogKey, directory: str, monkeypatch) -> None:
    monkeypatch.setattr("bot_bottle.audit.tiles.MANY_FILES", 2)
    filled(900).close(make("stop"))
    assert verify(directory, key.fingerprint).state == "sealed"


def test_numbers_of_tiles() -> None:
    assert [number(n) for n in (0, 5, 999, 1000, 1234067)] == ["000", "005", "999", "x001/000", "x001/x234/067"]


def test_records_without_a_checkpoint_are_not_taken_over(key: LogKey, directory: str) -> None:
    os.makedirs(f"{directory}/journal")
    with open(f"{directory}/journal/{journal.segment_name(0)}", "wb") as file:
        file.write(b"{}\n")
    with pytest.raises(AuditFault):
        sealer.Sealer.create(directory, run_origin(RUN), key)
