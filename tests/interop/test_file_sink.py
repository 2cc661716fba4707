"""The rotating file gets every record while the forwarder is killed -9 in the middle of writing and rotating."""

import json
import random
import time
from pathlib import Path

import pytest

from forward_world import Growing, arrived, forwarder


def uids(folder: Path) -> set[str]:
    found: set[str] = set()
    for file in folder.iterdir():
        for line in file.read_bytes().splitlines():
            try:
                document = json.loads(line)
            except ValueError:
                continue  # a line that a kill tore; its record came again
            if "number" in document:
                found.add(f"{document['log']}/{document['number']}")
    return found


@pytest.mark.slow
def test_a_file_gets_every_record_under_kill_9(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    growing = Growing(tmp_path / "home")
    Path(growing.home.settings).write_text(
        f'[sink.disk]\nkind = "file"\npath = "{folder}/records"\nrotate = "64KB"\n'
    )
    sender = forwarder(growing.home, "disk")
    chance = random.Random(53)
    try:
        for _ in range(8):
            time.sleep(chance.uniform(0.3, 0.9))
            sender.kill()
            sender.start()
        wanted = growing.finish()
        assert arrived(lambda: uids(folder), wanted) == set()
    finally:
        sender.kill()
    assert len(list(folder.iterdir())) > 3
