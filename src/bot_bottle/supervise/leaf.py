"""`always`: a yes that becomes a route in the bottle file that started this bottle, and in no other (D25, B44).

What is shown is what is written: `propose` makes the new file and its diff, `write` puts exactly that in its place,
unless the file changed in between. The new file is read again and must differ from the old one by this one route; the
route never carries a secret, pins no address, and allows what was asked about and nothing else.
"""

import contextlib
import difflib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Sequence

import msgspec
from msgspec import UNSET

from bot_bottle.base.errors import BusyFault, HostFault, ManifestFault, OperatorFault
from bot_bottle.policy import merge, model
from bot_bottle.policy.check import BottleFile, check_bottle
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.frontmatter import MAX_BYTES
from bot_bottle.policy.routes import effective_route
from bot_bottle.policy.verdict import Kind, Request
from bot_bottle.supervise.leaf_text import Unfit, with_route
from bot_bottle.supervise.model import Wanted

_WRITE = "Add them by hand."
_HINT = "Answer with scope bottle, and write the rule yourself."


class Change(msgspec.Struct, frozen=True):
    """A change of one bottle file. path: the real file. before: sha256 hex of what it replaces, "" where there is no
    file yet. after: the whole new file. diff: unified."""

    path: str
    before: str
    after: bytes
    diff: str


class Proposal(Change, frozen=True):
    """route: the one that comes, as written. policy: the bottle's with it."""

    route: model.Route
    policy: Policy


def route_of(wanted: Wanted) -> model.Route:
    """The narrowest route that allows what was asked: this target, this path, these methods, no secret."""
    target = wanted.target
    own = 443 if target.scheme == "https" else 80
    path = model.PathCondition("exact" if wanted.method else "prefix", wanted.path)
    methods = [wanted.method] if wanted.method else list(wanted.methods)
    return model.Route(
        host=target.host,
        scheme=UNSET if target.scheme == "https" else "http",
        ports=UNSET if target.port == own else [target.port],
        protocols=["websocket"] if wanted.protocol == "websocket" else UNSET,
        matches=[model.Condition(paths=[path], methods=methods)],
    )


def propose(path: str, policy: Policy, wanted: Wanted, comment: str = "") -> Proposal:
    """What `always` would write for an ask of a bottle that has this policy. Reads the file, writes nothing.

    comment: one line of ours for the file. Raises OperatorFault or ManifestFault where the file cannot take it.
    """
    real = os.path.realpath(path)
    raw = _read(real)
    name = os.path.basename(path).removesuffix(".md")
    old = check_bottle(raw or b"", name, path)
    route = route_of(wanted)
    try:
        after = with_route((raw or b"").decode(), route, comment).encode()
        new = check_bottle(after, name, path)
    except (Unfit, ManifestFault) as error:
        raise OperatorFault("leaf.unfit", f"{path} cannot take the rule: {error}.", _HINT) from None
    if not _more(old, new, (route,)):
        raise OperatorFault("leaf.unfit", f"{path} cannot take the rule: it would change more than one.", _HINT)
    grown = grown_policy(policy, new, wanted)
    before = _digest(raw)
    return Proposal(real, before, after, _diff(path, raw or b"", after), route, grown)


def propose_routes(path: str, routes: Sequence[model.Route], comment: str = "", start: bytes = b"") -> Change:
    """What a bottle file is with these routes at the end of its own: `policy learn --write`. Reads, writes nothing.

    start: what it begins as where there is no file yet, so that it keeps what a shipped bottle of its name gives.
    The same care as for one route; what the whole policy makes of them is for `policy diff` to say.
    """
    real = os.path.realpath(path)
    raw = _read(real)
    name = os.path.basename(path).removesuffix(".md")
    first = raw if raw is not None else start
    text, old = first.decode(), check_bottle(first, name, path)
    try:
        for number, route in enumerate(routes):
            text = with_route(text, route, "" if number else comment)
        new = check_bottle(text.encode(), name, path)
    except (Unfit, ManifestFault) as error:
        raise OperatorFault("leaf.unfit", f"{path} cannot take the rules: {error}.", _WRITE) from None
    if not _more(old, new, routes):
        raise OperatorFault("leaf.unfit", f"{path} cannot take the rules: more would change.", _WRITE)
    before = _digest(raw)
    return Change(real, before, text.encode(), _diff(path, raw or b"", text.encode()))


def write(proposal: Change) -> Callable[[], None]:
    """Puts the proposed file in its place: whole or not at all, with the permissions that the old one has.

    Returns what takes it back, for whoever learns afterwards that the yes did not count. Raises BusyFault when the
    file is another one by now, HostFault when it cannot be written.
    """
    raw = _read(proposal.path)
    if _digest(raw) != proposal.before:
        what = f"{proposal.path} changed since the rule was shown."
        raise BusyFault("leaf.changed", what, "Look at the ask again.")
    try:
        _replace(proposal.path, proposal.after)
    except OSError as error:
        what = f"{proposal.path} cannot be written: {error.strerror}."
        raise HostFault("leaf.unwritable", what, "Free space or mend its permissions.") from None
    return lambda: _take_back(proposal, raw)


def _digest(raw: bytes | None) -> str:
    """Of what stands there; a file that is not there is one without content, so that this, too, can be shown."""
    return hashlib.sha256(raw or b"").hexdigest()


def _take_back(written: Change, raw: bytes | None) -> None:
    """The file as it was; one that somebody changed since stays. Raises HostFault where it cannot be written."""
    if _read(written.path) != written.after:
        return
    try:
        if raw is None:
            os.unlink(written.path)
        else:
            _replace(written.path, raw)
    except OSError as error:
        what = f"{written.path} holds a rule of an answer that did not count: {error.strerror}."
        raise HostFault("leaf.unwritable", what, "Take its last route out.") from None


def grown_policy(policy: Policy, file: BottleFile, wanted: Wanted) -> Policy:
    """The policy with the last route of a bottle file behind the written ones. Raises OperatorFault where the merged
    policy would change otherwise than by this route, or where the route would not allow what was asked."""
    line = file.lines[-1] if file.lines else 0
    route = effective_route(file.bottle.egress.routes[-1], file.name, f"{file.file}:{line}")
    given = [one for one in policy.routes if _is_given(one)]
    short = route.rule.partition("/")[2]
    if any(one.host == route.host for one in given):
        what = f"A written rule for {route.host} would replace those that the harness brings for it."
        raise OperatorFault("leaf.replaces", what, _HINT)
    if any(one.rule.partition("/")[2] == short for one in policy.routes if one not in given):
        raise OperatorFault("leaf.exists", "The same rule is there already.", _HINT)
    at = len(policy.routes) - len(given)
    routes = (*policy.routes[:at], route, *policy.routes[at:])
    grown = msgspec.structs.replace(policy, routes=routes, revision=policy.revision + 1)
    grown = msgspec.structs.replace(grown, digest=merge.digest(grown))
    compiled = compile(grown)
    for method in wanted.methods or (wanted.method,):
        verdict = decide(compiled, Request(wanted.target, method, wanted.path, protocol=wanted.protocol))
        if verdict.kind is not Kind.ALLOW or verdict.rule != route.rule:
            raise OperatorFault("leaf.no-effect", f"The rule would not allow it: {verdict.hint}", _HINT)
    return grown


def _is_given(route: Route) -> bool:
    """Whether a route comes from the harness or a registry: those stand behind the written ones (policy.merge)."""
    return route.origin.startswith("harness ") or route.rule.startswith("registry/")


def _more(old: BottleFile, new: BottleFile, more: Sequence[model.Route]) -> bool:
    egress = msgspec.structs.replace(old.bottle.egress, routes=[*old.bottle.egress.routes, *more])
    bottle = msgspec.structs.replace(old.bottle, egress=egress)
    return new.bottle == bottle and new.notes.strip("\n") == old.notes.strip("\n")


def _diff(path: str, before: bytes, after: bytes) -> str:
    old, new = (text.decode().splitlines(keepends=True) for text in (before, after))
    name = os.path.basename(path)
    lines = difflib.unified_diff(old, new, f"{name} (now)", f"{name} (with the rule)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ no newline at the end\n" for line in lines)


def _read(path: str) -> bytes | None:
    """The file; None where there is none. Raises OperatorFault where it is no plain file that only we can write."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorFault("leaf.unreadable", f"{path} cannot be read: {error.strerror}.", _HINT) from None
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in (0, os.geteuid()) or facts.st_mode & stat.S_IWOTH:
            raise OperatorFault("leaf.unsafe", f"{path} is no plain file that only you can write.", _HINT)
        with open(fd, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    finally:
        os.close(fd)


def _replace(path: str, data: bytes) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=folder, prefix=".new-", suffix=".tmp")
    try:
        with os.fdopen(fd, "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
