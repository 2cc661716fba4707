"""A log that is written, rotated, sealed; the files that other people's tools want."""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot_bottle.audit import merkle, proof
from bot_bottle.audit.checkpoint import parse, run_origin
from bot_bottle.audit.encode import encode
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.tiles import Tiles, TileSource

RUN = "20261125t023842-9f3a00112233"


@dataclass
class Written:
    """place: where the other files lie. index: of the record. inclusion, consistency: one base64 hash a line."""

    directory: str
    key: str
    index: int
    old: Path
    record: Path
    inclusion: Path
    consistency: Path

    @property
    def root(self) -> str:
        """Base64, as the third line of the checkpoint says it."""
        return Path(self.directory, "checkpoint").read_text().split("\n")[2]

    @property
    def old_root(self) -> str:
        return self.old.read_text().split("\n")[2]


def _record(kind: str, number: int = 0) -> Record:
    return Record(
        VERSION, kind, RUN, number, number, "b", "a", "h", "l", "p", request=number, path="/\u202e" + "x" * number
    )


@pytest.fixture(params=[3, 256, 70_000])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Written:
    """Sizes at which tiles are partial, just full, and three levels high."""
    directory, key, size = str(tmp_path / RUN), LogKey.generate(), request.param
    log = RunLog.create(directory, run_origin(RUN), key)
    log.append(_record("start"))
    log.checkpoint()
    old = tmp_path / "old"
    old.write_bytes(log.note)
    os.write(log.writer_fd(), b"".join(encode(_record("denied", number % 200)) for number in range(size - 2)))
    log.close(_record("stop"))
    index = size - 2
    line = next(lines for start, lines in LogReader(directory, index).batches() if start == index)[0]
    source = TileSource(Tiles(directory), size)
    before = parse(old.read_text().rpartition("\n\n")[0] + "\n")
    files = {
        "record": line,
        "inclusion": _lines(proof.prove(directory, index).path),
        "consistency": _lines(merkle.consistency(before.size, size, source)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [tmp_path / name for name in files]
    return Written(directory, Path(directory, "key").read_text().strip(), index, old, *paths)


def _lines(hashes: object) -> bytes:
    return b"".join(base64.b64encode(one) + b"\n" for one in hashes)  # type: ignore[attr-defined]
