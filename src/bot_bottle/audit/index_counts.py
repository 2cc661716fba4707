"""What the index says of hosts, paths, rules, runs and times: counts, no lines (index_reach makes them)."""

import msgspec

from bot_bottle.audit.index_schema import MOST


class Reached(msgspec.Struct):
    """One host, or one path of it. name: the host, or the path with what varies as ``*``. verdicts: requests by
    verdict. asks: requests that waited for a person. up, down: body bytes. first, last: wall ns. reached: see
    index_reached; None of a path, where it is not known."""

    name: str
    requests: int = 0
    asks: int = 0
    up: int = 0
    down: int = 0
    first: int = MOST
    last: int = 0
    methods: list[str] = []
    secrets: list[str] = []
    verdicts: dict[str, int] = {}
    rules: list[str] = []
    reached: bool | None = None


class FirstSeen(msgspec.Struct):
    """A host and when the log named it first. run, label: where that was. allowed: requests; reached: whether one of
    them got there (index_reached)."""

    host: str
    first: int
    last: int
    run: str
    label: str
    requests: int = 0
    allowed: int = 0
    reached: bool = False


class RuleUse(msgspec.Struct):
    """A rule. hits: requests that it decided since `since`; all: ever. last: wall ns, 0 for never."""

    rule: str
    hits: int
    all: int
    last: int


class RunRow(msgspec.Struct):
    """A run as the index knows it. ended: its log says so. purged: all its records were, and with them its names."""

    run: str
    bottle: str
    agent: str
    harness: str
    label: str
    project: str
    person: str
    first: int
    last: int
    records: int
    ended: bool
    purged: bool = False


class Bucket(msgspec.Struct):
    """A span of a timeline. start: wall ns."""

    start: int
    allow: int = 0
    ask: int = 0
    deny: int = 0
