"""The rotating file: whole lines after a crash, rotation, somebody else's rotation, links."""

import os
from pathlib import Path

import pytest

from bot_bottle.audit.sinks.file import FileConfig, FileSink, problems
from bot_bottle.audit.sinks.model import SinkFault

from .conftest import batch


def test_it_rotates_and_loses_nothing(tmp_path: Path) -> None:
    sink = FileSink(FileConfig(path=str(tmp_path / "log"), rotate="4KB"))
    for number in range(0, 100, 5):
        sink.send(batch(number, 5))
    sink.close()
    files = sorted(tmp_path.iterdir(), key=lambda path: (path.name == "log", path.name))
    assert len(files) > 3
    assert all(file.stat().st_size < 8000 for file in files)
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    assert [f'"number":{number},' in line.decode() for number, line in enumerate(lines)] == [True] * 100


def test_only_a_wish_deletes_old_ones(tmp_path: Path) -> None:
    sink = FileSink(FileConfig(path=str(tmp_path / "log"), rotate="4KB", keep=2))
    for number in range(0, 200, 5):
        sink.send(batch(number, 5))
    sink.close()
    assert len(list(tmp_path.iterdir())) == 3
    assert b'"number":199,' in (tmp_path / "log").read_bytes()


def test_a_torn_line_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"log":"x","num')
    sink = FileSink(FileConfig(path=str(path)))
    sink.send(batch(0, 2))
    sink.close()
    assert path.read_bytes().split(b"\n")[0] == b'{"log":"x","num'
    assert len(path.read_bytes().splitlines()) == 3


def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = FileSink(FileConfig(path=str(path), group_read=True))
    sink.send(batch(0, 2))
    path.rename(tmp_path / "moved")
    sink.send(batch(2, 2))
    sink.close()
    assert len(path.read_bytes().splitlines()) == len((tmp_path / "moved").read_bytes().splitlines()) == 2
    assert os.stat(path).st_mode & 0o777 == 0o640


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SinkFault):
        FileSink(FileConfig(path=str(tmp_path / "log"))).send(batch(0, 1))
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_a_fault() -> None:
    sink = FileSink(FileConfig(path="/dev/full"))
    with pytest.raises(SinkFault, match="cannot be written"):
        sink.send(batch(0, 1))


def test_settings_that_do_not_fit() -> None:
    assert problems(FileConfig(path="/x")) == []
    found = problems(FileConfig(path="x", rotate="1", keep=-1))
    assert [name for name, _ in found] == ["path", "rotate", "keep"]
    assert problems(FileConfig(path="/x", rotate="big"))[0][0] == "rotate"
