"""Real secrets that lie in the files of a workspace: found before the bottle exists, and hidden in it (D07).

We open the files, through the one careful module, and hold no secret; the keeper holds them, gets the descriptors and
answers with names. Limits, said plainly in what a person is shown: files above `MOST` bytes, what may not be read and
what is left after `SECONDS` are not looked into, and neither are git's own objects.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from bot_bottle.base.errors import AgentFault
from bot_bottle.base.sizes import human
from bot_bottle.base.text import visible
from bot_bottle.bottles.workspace import names
from bot_bottle.bottles.workspace.prepare import Prepared, hide_from_git, save
from bot_bottle.bottles.workspace.reach import Entry, Limits, Tree
from bot_bottle.bottles.workspace.snapshot import Snapshot

MOST = 5_000_000
SECONDS = 2.0
HOLDS = " holds the secret "
_BATCH = 64
_ENTRIES = 500_000
Ask = Callable[[tuple[int, ...]], dict[int, str]]
"""Descriptors of files, at most 64 -> number of the descriptor to the name of a secret in it. They stay ours."""


@dataclass(slots=True)
class Exposed:
    """found: relative path -> name of a secret in it. large: files above `MOST`. stopped: the time was over."""

    found: dict[str, str] = field(default_factory=dict[str, str])
    large: list[str] = field(default_factory=list[str])
    unread: int = 0
    stopped: bool = False


def conceal(prepared: Prepared, keep: tuple[str, ...], ask: Ask) -> tuple[Prepared, tuple[str, ...]]:
    """Hides every file that holds a real secret; sentences for the person. keep: globs that stay, and are named."""
    if prepared.mode == "none":
        return prepared, ()
    exposed = look(prepared, ask)
    hidden = tuple(path for path in exposed.found if not names.is_kept(path, keep))
    if hidden:
        prepared = hide(prepared, hidden)
    return prepared, tuple(_sentences(exposed, frozenset(hidden)))


def look(prepared: Prepared, ask: Ask) -> Exposed:
    """Asks about every file that the bottle would see, in batches."""
    exposed = Exposed()
    until = time.monotonic() + SECONDS
    with Tree(prepared.workspace or prepared.lower) as tree:
        batch: list[tuple[str, int]] = []
        try:
            for path in _candidates(prepared, tree, exposed):
                with contextlib.suppress(AgentFault):
                    _open(tree, path, batch, exposed)
                if len(batch) == _BATCH:
                    _answered(batch, ask, exposed)
                    if time.monotonic() > until:
                        exposed.stopped = True
                        break
            _answered(batch, ask, exposed)
        except AgentFault:
            exposed.stopped = True
        finally:
            for _, fd in batch:
                os.close(fd)
    return exposed


def _open(tree: Tree, path: str, batch: list[tuple[str, int]], exposed: Exposed) -> None:
    try:
        batch.append((path, tree.open_file(path)))
    except OSError:
        exposed.unread += 1


def _answered(batch: list[tuple[str, int]], ask: Ask, exposed: Exposed) -> None:
    """Empties the batch."""
    if not batch:
        return
    for number, secret in ask(tuple(fd for _, fd in batch)).items():
        exposed.found[batch[number][0]] = secret
    while batch:
        os.close(batch.pop()[1])


def _candidates(prepared: Prepared, tree: Tree, exposed: Exposed) -> Iterator[str]:
    """Files that the bottle would see as they lie there: not what is masked or has something laid over it."""
    covered = {*prepared.masks, *prepared.files}

    def seen(entry: Entry) -> bool:
        place = os.path.join(prepared.source, entry.path)
        upper = bool(prepared.upper) and os.path.lexists(os.path.join(prepared.upper, entry.path))
        return place not in covered and (entry.kind == "dir" or not upper) and not _is_objects(entry.path)

    for entry in tree.walk(Limits(entries=_ENTRIES, seconds=SECONDS), seen, closed=[]):
        if entry.kind != "file" or not entry.stat.st_size or not seen(entry):
            continue
        if entry.stat.st_size > MOST:
            exposed.large.append(entry.path)
            continue
        yield entry.path


def _is_objects(path: str) -> bool:
    """git's compressed objects, in which no bytes can be compared."""
    return path.endswith("/objects") and ".git" in path.split("/")


def hide(prepared: Prepared, paths: tuple[str, ...]) -> Prepared:
    """Takes the files out of a copy, masks them in an overlay or a bound workspace; stored again."""
    gone = frozenset(paths)
    masks: tuple[str, ...] = ()
    if prepared.mode == "copy":
        bases = [prepared.base] if prepared.base and not prepared.base_is_source else []
        for top in (prepared.workspace, *bases):
            _remove(top, paths)
        hide_from_git(paths, prepared.workspace)
    else:
        masks = tuple(os.path.join(prepared.source, path) for path in paths)
    for name in ("start.marks", "source.marks"):
        if os.path.exists(prepared.path(name)):
            Snapshot.load(prepared.path(name)).without(gone).save(prepared.path(name))
    digest = Snapshot.load(prepared.path("source.marks")).digest()
    return save(
        msgspec.structs.replace(
            prepared, masks=(*prepared.masks, *masks), masked=(*prepared.masked, *paths), digest=digest
        )
    )


def _remove(top: str, paths: tuple[str, ...]) -> None:
    with Tree(top) as tree:
        for path in paths:
            directory, _, name = path.rpartition("/")
            with contextlib.suppress(FileNotFoundError):
                parent = tree.directory(directory)
                try:
                    os.unlink(name, dir_fd=parent)
                finally:
                    os.close(parent)


def _sentences(exposed: Exposed, hidden: frozenset[str]) -> Iterator[str]:
    for path, secret in exposed.found.items():
        what = "is hidden" if path in hidden else "stays visible, because the bottle keeps it"
        yield f"{visible(path, 200)}{HOLDS}{visible(secret)} and {what}"
    if exposed.large:
        more = f" and {len(exposed.large) - 1} more" if len(exposed.large) > 1 else ""
        first = visible(exposed.large[0], 120)
        yield f"not looked into for secrets, larger than {human(MOST)}: {first}{more}"
    if exposed.unread:
        yield f"{exposed.unread} files may not be read and were not looked into for secrets"
    if exposed.stopped:
        yield f"the look for secrets in the workspace ended after {SECONDS:g} s; the rest was not looked into"
