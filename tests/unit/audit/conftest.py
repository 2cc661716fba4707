"""A key, records and small logs for the tests of the audit room."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog

RUN = "20261125t023842-9f3a00112233"
MakeRecord = Callable[..., Record]
MakeLog = Callable[..., RunLog]


@pytest.fixture(scope="session")
def key() -> LogKey:
    return LogKey.generate()


@pytest.fixture
def make() -> MakeRecord:
    """A record with the fields that matter to the test."""

    def record(kind: str = "intent", run: str = RUN, **fields: object) -> Record:
        defaults: dict[str, object] = {
            "time": 1_700_000_000_000_000_000, "mono": 7, "bottle": "default", "agent": "a", "harness": "claude",
            "label": "one", "policy": "d" * 64,
        }  # fmt: skip
        return Record(v=VERSION, kind=kind, run=run, **(defaults | fields))  # type: ignore[arg-type]

    return record


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path / "runs" / RUN)


@pytest.fixture
def filled(key: LogKey, make: MakeRecord, directory: str) -> MakeLog:
    """An open log with `count` records in the journal; signed unless told otherwise."""

    def log(count: int = 600, sign: bool = True, directory: str = directory, key: LogKey = key) -> RunLog:
        found = RunLog.create(directory, run_origin(RUN), key)
        found.append(make("start"))
        for number in range(1, count):
            found.append(
                make("denied", request=number, mono=number, target="https://evil.example:443", verdict="deny")
            )
        if sign:
            found.checkpoint()
        return found

    return log
