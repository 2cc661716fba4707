"""The relay: every byte once, in order, with back-pressure; a terminal gets the filtered bytes, a file all of them."""

import os
import pty
import termios
from pathlib import Path

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.bottles.execute import close, stdio
from bot_bottle.bottles.relay import Pump
from bot_bottle.bottles.streams import Pipes, Recorder
from bot_bottle.bottles.terminal import RESET, Screen, resize, size
from bot_bottle.bottles.terminal_filter import TerminalFilter
from bot_bottle.keeper.loop import Loop


def through(data: bytes, chunk: int) -> bytes:
    """`data` by a pump over two pipes, read slowly."""
    loop = Loop()
    (in_r, in_w), (out_r, out_w) = os.pipe(), os.pipe()
    for fd in (in_r, in_w, out_r, out_w):
        os.set_blocking(fd, False)
    left, got = [data], bytearray()

    def feed() -> None:
        try:
            sent = os.write(in_w, left[0][:chunk])
        except BlockingIOError:
            return
        left[0] = left[0][sent:]
        if not left[0]:
            loop.forget(in_w)
            os.close(in_w)

    def take() -> None:
        got.extend(os.read(out_r, chunk))

    pump = Pump(loop, in_r, out_w)
    loop.write(in_w, feed)
    loop.read(out_r, take)
    assert loop.run(lambda: pump.done and len(got) >= len(data), 20)
    for fd in (in_r, out_r, out_w):
        os.close(fd)
    return bytes(got)


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=1, max_size=3000), st.integers(1, 700))
def test_every_byte_passes_once_and_in_order(data: bytes, chunk: int) -> None:
    assert through(data, chunk) == data


def test_a_megabyte_meets_back_pressure_and_arrives() -> None:
    data = os.urandom(1 << 20)
    assert through(data, 65536) == data


def test_a_reader_that_goes_away_ends_the_pump() -> None:
    loop = Loop()
    (in_r, in_w), (out_r, out_w) = os.pipe(), os.pipe()
    ended: list[bool] = []
    pump = Pump(loop, in_r, out_w, None, lambda: ended.append(True))
    os.close(out_r)
    os.write(in_w, b"x")
    assert loop.run(lambda: pump.done, 5)
    assert ended == [True]
    for fd in (in_r, in_w, out_w):
        os.close(fd)


def test_a_file_gets_the_bytes_and_a_terminal_gets_them_filtered(tmp_path: Path) -> None:
    hostile = b"a\x1b]52;c;aGk=\x07b\n"
    file = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
    master, slave = pty.openpty()
    null = os.open(os.devnull, os.O_RDONLY)
    inner, outer = stdio(False)
    streams, loop = Pipes(null, file, slave), Loop()
    streams.attach(loop, outer)
    os.write(inner[1], hostile)
    os.write(inner[2], hostile)
    close(inner)
    assert loop.run(streams.drained, 5)
    streams.close()
    assert (tmp_path / "out").read_bytes() == hostile
    assert os.read(master, 100).startswith(b"ab\r\n")
    for fd in (file, master, slave, null):
        os.close(fd)


def test_a_recorder_closes_the_input_and_hears_both_outputs() -> None:
    heard: list[bytes] = []
    inner, outer = stdio(False)
    read, write = os.pipe()
    streams, loop = Recorder(heard.append, write), Loop()
    streams.attach(loop, outer)
    assert os.read(inner[0], 1) == b""
    os.write(inner[1], b"out")
    os.write(inner[2], b"err")
    close(inner)
    assert loop.run(streams.drained, 5)
    streams.close()
    assert (b"".join(heard), os.read(read, 10)) == (b"out", b"err")
    os.close(read)
    os.close(write)


@pytest.fixture
def person() -> "tuple[int, int]":
    master, slave = pty.openpty()
    yield master, slave  # pyright: ignore
    os.close(master)
    os.close(slave)


def test_d15_the_terminal_is_raw_inside_and_as_before_outside(person: tuple[int, int]) -> None:
    master, slave = person
    before = termios.tcgetattr(slave)
    with Screen(slave, slave) as screen:
        assert not termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
        assert screen.show(b"\x1b[?1049h\x1b]0;t\x07x") == b"\x1b[?1049hx"
        os.write(master, b"typed while it ended\n")
    assert termios.tcgetattr(slave) == before
    os.set_blocking(slave, False)
    with pytest.raises(BlockingIOError):
        os.read(slave, 100)
    assert RESET.rstrip(b"\r\n") in os.read(master, 4096)


def test_d15_our_own_reset_would_pass_no_filter_but_leaves_no_open_sequence() -> None:
    one = TerminalFilter()
    one.feed(RESET)
    assert one.finish() == b""
    assert RESET.endswith(b"\r\n")


def test_d15_a_cursor_request_is_ours_and_at_most_four_are_under_way(person: tuple[int, int]) -> None:
    with Screen(person[1], person[1]) as screen:
        assert screen.show(b"\x1b[6n" * 10).count(b"\x1b[6n") == 4
        assert screen.keys(b"\x1b[1;1R\x1b[1;1R") == b"\x1b[1;1R\x1b[1;1R"
        assert screen.show(b"\x1b[6n" * 10).count(b"\x1b[6n") == 2
        screen.show(b"\x1b[c\x1b[5n")
        assert bytes(screen.answers) == b"\x1b[?62;22c\x1b[0n"
        os.write(person[0], b"\x1b[1;1R" * 4)


def test_a_pty_learns_its_size(person: tuple[int, int]) -> None:
    resize(person[0], 40, 120)
    assert size(person[1]) == (40, 120)
    assert size(os.open(os.devnull, os.O_RDONLY)) == (24, 80)


def test_what_comes_after_the_reset_stands_below_what_the_agent_wrote() -> None:
    """Resetting the margins moves the cursor home: the summary stood on top of the last lines."""
    screen = pyte.Screen(40, 10)
    stream = pyte.ByteStream(screen)
    stream.feed(b"first\r\nan answer without an end of line" + RESET + b"allowed   1")
    shown = [line.rstrip() for line in screen.display]
    assert shown[0] == "first"
    assert shown[1].startswith("an answer without an end of line")  # pyte prints what it does not know
    assert shown[2] == "allowed   1"
