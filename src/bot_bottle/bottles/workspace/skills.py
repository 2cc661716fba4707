"""Skills: small directories of regular files, copied into the bottle and hashed (D21); all else is refused."""

import hashlib
import os

from bot_bottle.base.errors import AgentFault, OperatorFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.plan import Mount, Plan, Skill
from bot_bottle.bottles.workspace.copying import copy_tree
from bot_bottle.bottles.workspace.reach import Entry, Limits, Tree

LIMITS = Limits(entries=500, depth=8, seconds=10)
FILE_BYTES, ALL_BYTES = 1_000_000, 10_000_000


def digest_of(source: str) -> str:
    """sha256 over names, executable bits and contents. Raises OperatorFault for what a skill may not hold."""
    state = hashlib.sha256()
    total = 0
    try:
        with Tree(source) as tree:
            for entry in tree.walk(LIMITS):
                if entry.kind == "dir":
                    continue
                data = tree.read(_regular(source, entry), FILE_BYTES)
                total += len(data)
                if total > ALL_BYTES:
                    raise AgentFault("workspace.skill-size", f"It holds more than {ALL_BYTES} bytes.")
                executable = b"x" if entry.stat.st_mode & 0o100 else b"-"
                inner = hashlib.sha256(data).digest()
                state.update(os.fsencode(entry.path) + b"\0" + executable + inner)
    except (OSError, AgentFault) as error:
        raise OperatorFault(
            "skill.unusable",
            f"The skill in {source} cannot be used: {error}",
            "A skill is a directory of small files.",
        ) from None
    return state.hexdigest()


def _regular(source: str, entry: Entry) -> str:
    if entry.kind != "file" or entry.stat.st_nlink > 1:
        what = "a file with several hard links" if entry.kind == "file" else f"a {entry.kind}"
        raise OperatorFault(
            "skill.unusable",
            f"The skill in {source} holds {visible(entry.path)}, {what}.",
            "Only regular files may be.",
        )
    return entry.path


def copy_skills(plan: Plan, state: str) -> tuple[Mount, ...]:
    """Copies every skill of the plan; the mounts that show the copies, read-only. Raises OperatorFault.

    A skill that is no longer what the plan was shown with (its digest) stops the start.
    """
    return tuple(_copy(skill, os.path.join(state, "skills", skill.name)) for skill in plan.skills)


def _copy(skill: Skill, target: str) -> Mount:
    os.makedirs(target, 0o700)
    with Tree(skill.source) as tree:
        copy_tree(tree, target, LIMITS)
    if skill.digest and digest_of(target) != skill.digest:
        raise OperatorFault(
            "skill.changed", f"The skill {skill.name} changed since the plan was made.", "Look at it and start again."
        )
    return Mount(target, skill.target, "ro", f"skill {skill.name}")
