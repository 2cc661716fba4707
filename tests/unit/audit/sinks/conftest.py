"""Entries to send, servers to take them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_bottle.audit.checkpoint import Checkpoint, sign
from bot_bottle.audit.encode import encode
from bot_bottle.audit.entries import Entry, entry, mirrored
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from sink_receivers import Certificates, certificates

RUN = "20261125t023842-9f3a00112233"


def a_record(number: int, **fields: object) -> Record:
    known: dict[str, object] = {
        "run": RUN, "time": 1_700_000_000_123_456_000 + number, "mono": number, "bottle": "work", "agent": "fixer",
        "harness": "claude", "label": "one", "policy": "d" * 64, "request": number, "kind": "denied", "verdict": "deny",
        "target": "https://evil.example:443", "method": "GET", "path": f"/{number}", "reason": "no route",
    }  # fmt: skip
    return Record(v=VERSION, **(known | fields))  # type: ignore[arg-type]


def batch(start: int, count: int, **fields: object) -> list[Entry]:
    return [entry(RUN, number, encode(a_record(number, **fields))) for number in range(start, start + count)]


@pytest.fixture(scope="session")
def note() -> bytes:
    return sign(Checkpoint("bot-bottle/host", 9, b"r" * 32), LogKey.generate())


@pytest.fixture
def entries(note: bytes) -> list[Entry]:
    return [*batch(0, 20), mirrored("host", note, 1_700_000_000_000_000_000)]


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certificates]:
    yield certificates(Path(tmp_path_factory.mktemp("certificates")))
