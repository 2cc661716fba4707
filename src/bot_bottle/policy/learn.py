"""The smallest readable set of routes for requests of the past: `policy learn`. Pure.

Paths of one host are put side by side. A segment that comes back in several runs is a word of the interface and stays
as it is; one that is an id (number, hash, uuid, version), or a name that differs from run to run, becomes an
expression no wider than what was seen (`shapes`). Names are generalised in reading only; what is written is written
to where it was, but for its ids. A route never stands for a whole host, names no secret, and reading never brings
writing. What was learned is a suggestion: `coverage` says what it is worth on runs that it has not seen, `allowed`
what it would let through besides.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET

from bot_bottle.policy import model, shapes
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.grants import DEFAULT, LEARNED
from bot_bottle.policy.hosts import is_address
from bot_bottle.policy.regex import compile_regex
from bot_bottle.policy.routes import effective_route
from bot_bottle.policy.verdict import Kind, Request, Target

READS = ("GET", "HEAD")
FAN = 3
"""Different names in one place before a name is taken for any name."""
WHOLE = 5
"""The same where the name is the whole path."""
CROWD = 8
"""Shapes below one path before the path stands for all below it."""

Site = tuple[str, str, int, str]
Shape = tuple[str, ...]


class Past(msgspec.Struct, frozen=True):
    """One request of the past. run: what it belongs to, for telling words from names and for holding out."""

    request: Request
    run: str = ""


class Learned(msgspec.Struct, frozen=True):
    """One path condition that was found. seen: requests that it comes from; paths: different ones; runs: how many.
    open: segments that stand for more than what was seen."""

    host: str
    methods: tuple[str, ...]
    path: model.PathCondition
    seen: int
    paths: int
    runs: int
    open: int


class Suggestion(msgspec.Struct, frozen=True):
    """routes: as a manifest writes them, one a host, scheme, port and protocol. parts: what they consist of."""

    routes: tuple[model.Route, ...]
    parts: tuple[Learned, ...]


def learn(past: Iterable[Past]) -> Suggestion:
    """Routes for these requests. The same requests in any order give the same routes."""
    sites: dict[Site, list[Past]] = {}
    for one in past:
        target = one.request.target
        if not is_address(target.host):  # a route to an address is a person's to write
            sites.setdefault((target.scheme, target.host, target.port, one.request.protocol), []).append(one)
    routes: list[model.Route] = []
    parts: list[Learned] = []
    for site in sorted(sites):
        found = _site(site[1], sites[site])
        parts += found
        routes.append(_route(site, found))
    return Suggestion(tuple(routes), tuple(parts))


class Left(msgspec.Struct, frozen=True):
    """Requests to one host about which a route decides already, so that a learned one would never."""

    verdict: str
    rule: str
    host: str
    requests: int


def beside(policy: Policy, past: Iterable[Past]) -> tuple[list[Past], list[Left]]:
    """Those about which no route of this policy decides, and what is left out of them: an ask or a deny beats every
    allow (decide), and what is allowed already needs no second rule."""
    compiled, kept, counts = compile(policy), list[Past](), dict[tuple[str, str, str], int]()
    for one in past:
        verdict = decide(compiled, one.request)
        if verdict.rule in ("", DEFAULT, LEARNED):
            kept.append(one)
        else:
            key = (verdict.kind.value, verdict.rule, one.request.target.host)
            counts[key] = counts.get(key, 0) + 1
    return kept, [Left(*key, counts[key]) for key in sorted(counts)]


def as_policy(routes: Sequence[model.Route], bottle: str = "learned") -> Policy:
    """Routes alone as a policy that denies everything else."""
    return Policy(bottle, tuple(effective_route(route, bottle, "learned") for route in routes))


def coverage(policy: Policy, past: Sequence[Past]) -> float:
    """Which part of these requests a policy allows, 0 to 1; 1 of none."""
    return allowed(policy, [one.request for one in past]) / len(past) if past else 1.0


def allowed(policy: Policy, requests: Iterable[Request]) -> int:
    """How many of these requests a policy allows."""
    compiled = compile(policy)
    return sum(decide(compiled, one).kind is Kind.ALLOW for one in requests)


def held_out(past: Sequence[Past], folds: int = 5) -> tuple[int, int]:
    """(covered, all): each run is left out once, learned from the others, and asked; dealt in their order."""
    runs = sorted({one.run for one in past})
    covered = 0
    for fold in range(min(folds, len(runs))):
        out = set(runs[fold::folds])
        known = as_policy(learn(one for one in past if one.run not in out).routes)
        covered += allowed(known, (one.request for one in past if one.run in out))
    return covered, len(past)


def _site(host: str, past: list[Past]) -> list[Learned]:
    words = _words(past)
    verbs: dict[str, list[Past]] = {}
    for one in past:
        verbs.setdefault(_verb(one.request), []).append(one)
    return _without_covered([part for verb in sorted(verbs) for part in _verb_parts(host, verbs[verb], words)])


def _verb(request: Request) -> str:
    """Reading is one verb, so that its paths are put side by side; what is given is the methods that were seen."""
    return READS[0] if request.method in READS else request.method


def _words(past: list[Past]) -> set[tuple[int, str]]:
    """Segments, by their place, that come back: in another run, or where there is one run only, in another path."""
    many = len({one.run for one in past}) > 1
    homes: dict[tuple[int, str], set[str]] = {}
    for one in past:
        for place, segment in enumerate(_segments(one.request.path)):
            homes.setdefault((place, segment), set()).add(one.run if many else one.request.path)
    return {word for word, found in homes.items() if len(found) > 1}


def _verb_parts(host: str, past: list[Past], words: set[tuple[int, str]]) -> list[Learned]:
    groups: dict[Shape, list[Past]] = {}
    for one in past:
        groups.setdefault(_shape(one.request, words), []).append(one)
    if past[0].request.method in READS:
        crowded = _crowded(groups)
        parts = [_prefix_part(host, prefix, crowded[prefix]) for prefix in sorted(crowded)]
        taken = {id(one) for some in crowded.values() for one in some}
        groups = {shape: some for shape, some in groups.items() if id(some[0]) not in taken}
        return parts + [part for shape in sorted(groups) for part in _parts(host, shape, groups[shape])]
    return [part for shape in sorted(groups) for part in _parts(host, shape, groups[shape])]


def _shape(request: Request, words: set[tuple[int, str]]) -> Shape:
    """Words as they are, ids by their type, names as ``*``; a name of a request that writes is a word too."""
    reads = request.method in READS or request.path.endswith("/git-upload-pack")  # git fetches by POST
    return tuple(
        _cell(segment, (place, segment) in words, reads, request.path)
        for place, segment in enumerate(_segments(request.path))
    )


def _cell(segment: str, word: bool, reads: bool, path: str) -> str:
    typed = "" if word and shapes.shard(segment, path) else shapes.shard(segment, path) or shapes.kind(segment)
    if typed:
        return f"~{typed}"
    if word or not reads:
        return segment
    return "*" if shapes.is_word(segment) else "@" if shapes.is_scoped(segment) else segment


def _crowded(groups: dict[Shape, list[Past]]) -> dict[Shape, list[Past]]:
    """Prefixes of two words or more below which there are many shapes, with the requests below them."""
    below: dict[Shape, list[Shape]] = {}
    for shape in groups:
        if len(shape) > 2 and not any(cell in ("*", "@") or cell[:1] == "~" for cell in shape[:2]):
            below.setdefault(shape[:2], []).append(shape)
    return {
        prefix: [one for shape in some for one in groups[shape]]
        for prefix, some in below.items()
        if len(some) > CROWD
    }


def _parts(host: str, shape: Shape, past: list[Past]) -> list[Learned]:
    """One expression for a shape that was seen with enough names, else one for each way its names were seen."""
    rows = sorted({_segments(one.request.path) for one in past})
    columns = [sorted(set(column)) for column in zip(*rows, strict=True)]
    named = [place for place, cell in enumerate(shape) if cell in ("*", "@") and len(columns[place]) > 1]
    enough = len({tuple(row[place] for place in named) for row in rows}) >= (WHOLE if set(shape) == {"*"} else FAN)
    if not named or enough:
        path = past[0].request.path
        cells = [_column(columns[place], len(past), path) for place in range(len(columns))]
        return _part(host, cells, past)
    split: dict[tuple[str, ...], list[Past]] = {}
    for one in past:
        segments = _segments(one.request.path)
        split.setdefault(tuple(segments[place] for place in named), []).append(one)
    return [part for key in sorted(split) for part in _parts(host, shape, split[key])]


def _column(values: list[str], seen: int, path: str) -> tuple[str, bool]:
    """(expression, whether it stands for more than what was seen)."""
    typed = shapes.shard(values[0], path) or shapes.kind(values[0])
    if len(values) == 1:
        return (typed, True) if typed and seen < FAN else (shapes.escaped(values[0]), False)
    if all(shapes.shard(value, path) for value in values):
        return typed, True
    return shapes.covering(values), True


def _part(host: str, cells: list[tuple[str, bool]], past: list[Past]) -> list[Learned]:
    """One expression, or the very paths where nothing is open or the expression would be too large."""
    opened = sum(one for _, one in cells)
    text = "/" + "/".join(cell for cell, _ in cells)
    if opened and _compiles(text):
        return [_learned(host, model.PathCondition("regex", text), past, opened)]
    exact: dict[str, list[Past]] = {}
    for one in past:
        exact.setdefault(one.request.path, []).append(one)
    return [_learned(host, model.PathCondition("exact", path), some, 0) for path, some in sorted(exact.items())]


def _compiles(text: str) -> bool:
    try:
        compile_regex(text)
    except ValueError:
        return False
    return True


def _prefix_part(host: str, prefix: Shape, past: list[Past]) -> Learned:
    longest = list(prefix)
    rows = [_segments(one.request.path) for one in past]
    while all(len(row) > len(longest) + 1 and row[: len(longest) + 1] == rows[0][: len(longest) + 1] for row in rows):
        longest.append(rows[0][len(longest)])
    return _learned(host, model.PathCondition("prefix", "/" + "/".join(longest)), past, 1)


def _learned(host: str, path: model.PathCondition, past: list[Past], opened: int) -> Learned:
    paths, runs = {one.request.path for one in past}, {one.run for one in past}
    methods = tuple(sorted({one.request.method for one in past}))
    return Learned(host, methods, path, len(past), len(paths), len(runs), opened)


def _without_covered(parts: list[Learned]) -> list[Learned]:
    """Without exact paths that an expression with their methods covers already."""
    wide = [(one, compile_regex(one.path.value)) for one in parts if one.path.type == "regex"]
    return [
        one
        for one in parts
        if one.path.type != "exact"
        or not any({*w.methods} >= {*one.methods} and test.fullmatch(one.path.value.encode()) for w, test in wide)
    ]


def _route(site: Site, parts: list[Learned]) -> model.Route:
    scheme, host, port, protocol = site
    verbs: dict[tuple[str, ...], list[model.PathCondition]] = {}
    for part in parts:
        verbs.setdefault(part.methods, []).append(part.path)
    matches = [model.Condition(paths=paths, methods=list(methods)) for methods, paths in verbs.items()]
    return model.Route(
        host=host,
        scheme=UNSET if scheme == "https" else "http",
        ports=UNSET if port == (443 if scheme == "https" else 80) else [port],
        protocols=UNSET if protocol == "http1" else ["websocket"],
        matches=matches,
    )


def _segments(path: str) -> tuple[str, ...]:
    """Without the first slash; a slash at the end is an empty last segment."""
    return tuple(path[1:].split("/"))


def target_of(text: str) -> Target | None:
    """``https://host:port`` of a record; None where it is something else."""
    scheme, _, rest = text.partition("://")
    host, _, port = rest.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if scheme not in ("http", "https") or not host or not port.isdecimal() or not port.isascii():
        return None
    return Target(scheme, host, int(port))
