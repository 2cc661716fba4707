"""The spool of held bodies: as written or not at all, whatever the pieces; bounded; slots are used again (D25)."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.egress import spool as spooling
from bot_bottle.egress.spool import PIECE, Spool, Spooled, SpoolFull, Tampered

STRIDE = PIECE + 32


@pytest.fixture
def fd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    found = os.open(tmp_path_factory.mktemp("spool"), os.O_TMPFILE | os.O_RDWR, 0o600)
    yield found
    os.close(found)


def written(spool: Spool, *pieces: bytes) -> Spooled:
    body = spool.body()
    for piece in pieces:
        body.write(piece)
    body.finish()
    return body


def whole(body: Spooled) -> bytes:
    found = b""
    while not body.done:
        found += body.read()
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 100_000), max_size=6), st.integers(0, 200_000))
def test_any_pieces_come_back_as_one(sizes: list[int], most: int) -> None:
    fd = os.memfd_create("spool")
    try:
        pieces = [os.urandom(size) for size in sizes]
        body, data = written(Spool(fd, 100), *pieces), b"".join(pieces)
        body.check()
        assert body.first(most) == data[:most] and body.size == len(data)
        assert whole(body) == data and body.read() == b""
        assert os.fstat(fd).st_size == len(data) + 32 * -(-len(data) // PIECE)
    finally:
        os.close(fd)


def test_bodies_that_come_in_turns_stay_apart(fd: int) -> None:
    spool = Spool(fd, 100)
    bodies = [spool.body() for _ in range(5)]
    for _ in range(40):
        for number, body in enumerate(bodies):
            body.write(bytes((number,)) * 7001)
    for number, body in enumerate(bodies):
        body.finish()
        assert whole(body) == bytes((number,)) * 7001 * 40


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 3 * PIECE), st.data())
def test_d25_one_flipped_bit_anywhere_is_seen(size: int, data: st.DataObject) -> None:
    fd = os.memfd_create("spool")
    try:
        body = written(Spool(fd, 100), os.urandom(size))
        at = data.draw(st.integers(0, os.fstat(fd).st_size - 1))
        byte = os.pread(fd, 1, at)[0]
        os.pwrite(fd, bytes((byte ^ 1 << data.draw(st.integers(0, 7)),)), at)
        with pytest.raises(Tampered):
            body.check()
        with pytest.raises(Tampered):
            whole(body)
        os.pwrite(fd, bytes((byte,)), at)
        body.check()
    finally:
        os.close(fd)


def test_d25_an_older_content_of_the_same_slot_is_refused(fd: int) -> None:
    spool = Spool(fd, 1)
    old = written(spool, b"a" * 1000)
    before = os.pread(fd, STRIDE, 0)
    old.close()
    new = written(spool, b"b" * 1000)
    os.pwrite(fd, before, 0)
    with pytest.raises(Tampered):
        new.check()


def test_d25_pieces_of_one_body_cannot_change_places(fd: int) -> None:
    body = written(Spool(fd, 9), b"a" * PIECE, b"b" * PIECE)
    one, two = (os.pread(fd, STRIDE, at) for at in (0, STRIDE))
    os.pwrite(fd, two, 0)
    os.pwrite(fd, one, STRIDE)
    with pytest.raises(Tampered):
        body.read()


def test_d25_a_file_that_is_cut_or_gone_is_refused(fd: int) -> None:
    body = written(Spool(fd, 9), b"a" * 1000)
    os.ftruncate(fd, 500)
    with pytest.raises(Tampered):
        body.check()
    closed = os.dup(fd)
    body = written(Spool(closed, 9), b"a" * 1000)
    os.close(closed)
    with pytest.raises(Tampered):
        body.check()


def test_b74_what_is_full_says_so_and_is_usable_again(fd: int) -> None:
    spool = Spool(fd, 3)
    first = written(spool, b"x" * 2 * PIECE)
    second = spool.body()
    second.write(b"y" * PIECE)
    with pytest.raises(SpoolFull):
        second.write(b"y" * PIECE)
    second.close()
    first.close()
    assert whole(written(spool, b"z" * 3 * PIECE)) == b"z" * 3 * PIECE
    assert os.fstat(fd).st_size == 3 * STRIDE


def test_without_a_file_nothing_with_a_body_is_held() -> None:
    body = Spool(-1, 100).body()
    body.finish()
    body.write(b"x")
    with pytest.raises(SpoolFull):
        body.finish()


def test_a_disk_that_takes_no_more_is_full(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, body = Spool(fd, 9), None
    with monkeypatch.context() as patch:
        patch.setattr(spooling.os, "write", lambda _fd, data: len(data) - 1)
        body = spool.body()
        body.write(b"x")
        with pytest.raises(SpoolFull):
            body.finish()
    assert whole(written(spool, b"y")) == b"y"


def test_d25_nothing_in_clear_and_nothing_twice(fd: int) -> None:
    spool = Spool(fd, 9)
    body = b"a marker that would be found" * 10
    noise: set[bytes] = set()
    for _ in range(5):
        held = written(spool, body)
        noise.add(os.pread(fd, 280, 0))
        held.close()
    assert len(noise) == 5 and not any(body[:8] in one for one in noise)
    other = Spool(os.dup(fd), 9)
    assert whole(written(other, body)) == body and os.pread(fd, 280, 0) not in noise
