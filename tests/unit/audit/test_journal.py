"""The journal: where a leaf ends, what a writer may do, what a reader notices."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit.encode import MAX_LINE
from bot_bottle.audit.journal import Segment, Writer, leaves
from bot_bottle.base.errors import AuditFault, BusyFault

chunks = st.lists(
    st.one_of(st.binary(max_size=50), st.just(b"\n"), st.integers(1, 3).map(lambda n: b"x" * (n * 9000))), max_size=8
)


@given(chunks)
def test_leaves_are_the_bytes_whatever_the_chunking(parts: list[bytes]) -> None:
    data = b"".join(parts)
    whole, rest = leaves(data)
    assert b"".join(whole) + rest == data
    assert all(len(leaf) <= MAX_LINE and (leaf.endswith(b"\n") or len(leaf) == MAX_LINE) for leaf in whole)
    assert all(leaf.find(b"\n") in (-1, len(leaf) - 1) for leaf in whole)
    stepwise: list[bytes] = []
    left = b""
    for part in parts:
        found, left = leaves(left + part)
        stepwise += found
    assert (stepwise, left) == (whole, rest)


def test_an_endless_line_becomes_leaves_quickly() -> None:
    whole, rest = leaves(b"x" * (MAX_LINE * 50 + 5))
    assert (len(whole), len(rest)) == (50, 5)


@pytest.fixture
def segment(tmp_path):
    found = Segment(str(tmp_path / "0"), 0, create=True)
    yield found
    found.close()


def test_reads_whole_lines_only(segment: Segment) -> None:
    os.write(segment.append_fd, b"one\ntw")
    assert segment.read() == [b"one\n"]
    assert segment.read() == []
    os.write(segment.append_fd, b"o\nthree\n")
    assert segment.read() == [b"two\n", b"three\n"]


def test_an_own_line_after_a_torn_one_stands_alone(segment: Segment) -> None:
    os.write(segment.append_fd, b"torn")
    segment.append(b"own\n")
    assert segment.read() == [b"torn\n", b"own\n"]


@pytest.mark.parametrize("harm", ["truncate", "edit", "exchange", "remove"])
def test_what_was_read_and_changed_is_noticed(segment: Segment, harm: str) -> None:
    os.write(segment.append_fd, b"one\ntwo\n")
    segment.read()
    segment.read()
    if harm == "truncate":
        os.truncate(segment.path, 4)
    elif harm == "edit":
        with open(segment.path, "r+b") as file:
            file.write(b"ONE")
    else:
        os.rename(segment.path, segment.path + ".old")
        if harm == "exchange":
            with open(segment.path, "wb") as file:
                file.write(b"one\ntwo\n")
    with pytest.raises(AuditFault) as fault:
        segment.read()
    assert fault.value.slug == "audit.changed"


def test_writer_fails_for_good_after_the_first_failure(segment: Segment) -> None:
    writer = Writer(os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(AuditFault):
        writer.write(b"x\n")
    writer_fd = os.dup(segment.append_fd)
    with pytest.raises(AuditFault):
        writer.write(b"x\n")
    writer.switch(writer_fd)
    writer.write(b"x\n")
    os.close(writer_fd)
    assert segment.read() == [b"x\n"]


def test_writer_syncs_each_batch_when_asked(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    Writer(segment.append_fd).write(b"x\n")
    assert not synced
    Writer(segment.append_fd, sync_each=True).write(b"x\n")
    assert synced == [segment.append_fd]


def test_a_descriptor_in_another_process_keeps_the_lock(segment: Segment) -> None:
    segment.lock()
    gateway = os.dup(segment.append_fd)
    segment.close()
    other = Segment(segment.path, 0, create=False)
    with pytest.raises(BusyFault):
        other.lock(exclusive=True)
    os.close(gateway)
    other.lock(exclusive=True)
    segment.append_fd, segment._read_fd = other.append_fd, other._read_fd
