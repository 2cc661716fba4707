"""One entry of every kind, as real traffic and keepers write them, and the same with hostile content everywhere."""

import pytest
from msgspec import structs

from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.entries import Entry, entry, mirrored
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.merkle import leaf_hash
from bot_bottle.audit.record import VERSION, Kind, Record

RUN = "20261125t023842-9f3a00112233"
HOSTILE = (
    '=HYPERLINK("http://x")', "\x1b[31mred", "a\r\nInjected: yes", "a\nCEF:0|x|y|1|z|z|9|act=allow", "x|y\\|z", "k=v a\\=b",
    "</script><script>alert(1)</script>", "\u202eevil", "\u200bz\u2028", "\ud800", "@channel <!everyone> [x](http://y)",
    "'; DROP TABLE r; --", "\x00nul", "é漢字😀", '"}{"verdict":"allow', "<165>1 2026-01-01T00:00:00Z h a p m - x", "%s%n", " lead and trail ",
)  # fmt: skip


def a_record(kind: str, **fields: object) -> Record:
    known: dict[str, object] = {
        "run": RUN, "time": 1_700_000_000_123_000_000, "mono": 7, "bottle": "work", "agent": "fixer", "harness": "claude",
        "label": "one", "policy": "d" * 64,
    }  # fmt: skip
    return Record(v=VERSION, kind=kind, **(known | fields))  # type: ignore[arg-type]


REQUEST: dict[str, object] = {
    "request": 3, "entry": "forward", "protocol": "http1", "target": "https://api.example.com:443", "method": "POST",
    "path": "/v1/issues", "query_names": ("q",), "query_digest": "ab" * 8, "headers": ("host", "x-a"),
    "matched": {"x-a": "1"}, "verdict": "allow", "rule": "work/issues", "secrets": ("example",),
}  # fmt: skip
BY_KIND: dict[str, dict[str, object]] = {
    Kind.INTENT: REQUEST | {"ask": "a1", "grant": "g1", "approver": "os/0/root"},
    Kind.PINNED: {"request": 3, "target": "https://api.example.com:443", "address": "93.184.216.34"},
    Kind.OUTCOME: REQUEST | {"address": "2606:2800::1", "status": 201, "up": 12, "down": 3456, "ms": 12.5},
    Kind.DENIED: REQUEST | {"verdict": "deny", "reason": "no route", "rule": "policy.no-route"},
    Kind.NAME: {"target": "evil.example", "verdict": "deny", "reason": "no route", "entry": "dns"},
    Kind.LIMITED: {"reason": "too many names", "count": 40, "rule": "limits.names"},
    Kind.BODY: {"request": 3, "detail": {"piece": "1", "text": "hello"}},
    Kind.ASK: {"ask": "a1", "target": "https://x.example:443", "verdict": "ask", "detail": {"request": "e" * 64}},
    Kind.ANSWER: {"ask": "a1", "approver": "os/0/root", "detail": {"scope": "once"}},
    Kind.CONTROL: {"approver": "os/0/root", "detail": {"what": "paired"}},
    Kind.CHECKPOINT: {"detail": {"origin": f"bot-bottle/run/{RUN}", "size": "3", "root": "x"}},
}


def samples() -> list[Record]:
    found = [a_record(kind, **BY_KIND.get(kind, {"detail": {"fact": "1"}})) for kind in Kind]
    finding = REQUEST | {"verdict": "deny", "findings": ("aws-key",), "reason": "leaks a secret"}
    return [*found, a_record(Kind.DENIED, **finding), a_record("later-kind", detail={"new": "1"})]


def hostile() -> list[Record]:
    """Every text field, list and mapping of every kind, with every hostile text in it."""
    found: list[Record] = []
    for kind in (Kind.DENIED, Kind.OUTCOME, Kind.NAME, Kind.LIMITED, Kind.REPORT, Kind.CONTROL):
        for text in HOSTILE:
            changes: dict[str, object] = {}
            for name in Record.__struct_fields__:
                old = getattr(a_record(kind), name)
                if name in ("v", "kind", "run"):
                    continue
                if isinstance(old, str):
                    changes[name] = text
                elif isinstance(old, tuple):
                    changes[name] = (text, text)
                elif isinstance(old, dict):
                    changes[name] = {text: text}
            found.append(decode(encode(structs.replace(a_record(kind), **changes))))
    return found


def chain(records: list[Record], log: str = RUN) -> list[Entry]:
    """The records as entries of one log, each with the hash of the one before."""
    found: list[Entry] = []
    before = b""
    for number, record in enumerate(records):
        found.append(entry(log, number, encode(record), before))
        before = leaf_hash(found[-1].line)
    return found


@pytest.fixture(scope="session")
def key() -> LogKey:
    return LogKey.generate()


@pytest.fixture
def note(key: LogKey) -> bytes:
    """A signed checkpoint of the host log."""
    from bot_bottle.audit.checkpoint import Checkpoint, sign

    return sign(Checkpoint("bot-bottle/host", 4, b"r" * 32), key)


@pytest.fixture
def entries(note: bytes) -> list[Entry]:
    """All kinds, hostile ones, a line that is no record and a checkpoint on its way."""
    found = chain([*samples(), *hostile()])
    wild = entry(RUN, len(found), b'\x1b[2J{"half\n', leaf_hash(found[-1].line))
    return [*found, wild, mirrored("host", note, 1_700_000_000_000_000_000)]
