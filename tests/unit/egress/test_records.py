"""A fast line is the line that audit.encode writes of the same record."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.audit.encode import decode, encode
from bot_bottle.egress.messages import Identity
from bot_bottle.egress.records import Journal, outcome_members

WHO = Identity("run-1", "dev", "fixer", "command", "label-1")
TEXT = st.text(max_size=30)


def journal(tmp: Path, quota: int = 0) -> Journal:
    fd = os.open(tmp / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return Journal(fd, WHO, "sha256:0", quota, False)


@settings(deadline=None, max_examples=300)
@given(
    st.builds(dict, path=TEXT, query_names=st.lists(TEXT, max_size=4).map(tuple), method=TEXT, target=TEXT, rule=TEXT,
              matched=st.dictionaries(TEXT, TEXT, max_size=3), reason=TEXT, secrets=st.lists(TEXT, max_size=2).map(tuple)),
    st.integers(1, 10**9), st.integers(0, 599), st.integers(0, 10**12), st.integers(0, 10**12),
    st.integers(0, 10**9).map(lambda us: round(us / 1000, 3)),
    st.sampled_from(["", "127.0.0.1:443", "[2001:db8::1]:8443"]),
)  # fmt: skip
def test_a_template_line_is_byte_identical_to_the_encoded_record(
    facts: dict[str, object], number: int, status: int, up: int, down: int, ms: float, address: str
) -> None:
    log = Journal(-1, WHO, "sha256:0", 0, False)
    template = log.template("outcome", **facts)
    assert template is not None
    quoted = f'"{address}"'.encode() if address else b""
    line = template.line(number, outcome_members(quoted, status, up, down, ms))
    record = decode(line)
    assert encode(record) == line
    assert (record.request, record.status, record.up, record.down, record.ms) == (number, status, up, down, ms)
    slow = log.record("outcome", **facts, request=number, address=address, status=status, up=up, down=down, ms=ms)
    slow.time, slow.mono = record.time, record.mono
    assert encode(slow) == line


def test_agent_text_that_looks_like_the_open_numbers_changes_nothing() -> None:
    log = Journal(-1, WHO, "sha256:0", 0, False)
    template = log.template("intent", path="/1111111111111111111/2222222222222222222/3333333333333333333")
    assert template is not None
    assert decode(template.line(7)).path == "/1111111111111111111/2222222222222222222/3333333333333333333"
    assert decode(template.line(7)).request == 7


def test_what_waits_runs_after_one_write(tmp_path: Path) -> None:
    log = journal(tmp_path)
    order: list[str] = []
    path = tmp_path / "log"
    for number in range(3):
        log.write(
            log.record("intent", request=number + 1), lambda n=number: order.append(f"{n}:{path.stat().st_size}")
        )
    assert path.stat().st_size == 0
    log.flush()
    size = path.stat().st_size
    assert order == [f"{number}:{size}" for number in range(3)]
    assert [msgspec.json.decode(line)["request"] for line in path.read_bytes().splitlines()] == [1, 2, 3]


def test_d17_a_failed_write_runs_nothing(tmp_path: Path) -> None:
    log = journal(tmp_path)
    os.close(log.fd)
    log.fd = os.open(tmp_path / "log", os.O_RDONLY)
    said: list[str] = []
    log.on_failure = said.append
    log.write(log.record("intent", request=1), lambda: pytest.fail("went on without a record"))
    log.flush()
    log.write(log.record("intent", request=2), lambda: pytest.fail("went on without a record"))
    log.flush()
    assert len(said) == 1 and "cannot be written" in said[0]
    os.close(log.fd)


def test_d18_the_quota_is_told_and_extended(tmp_path: Path) -> None:
    log = journal(tmp_path, quota=300)
    told: list[int] = []
    log.on_quota = lambda: told.append(log.written)
    for _ in range(3):
        log.write(log.record("intent", request=1))
        log.flush()
    assert told
    log.extend()
    told.clear()
    log.write(log.record("intent", request=1))
    log.flush()
    assert not told
