"""Skills of an agent: copied into the bottle's state and shown read-only, after their digest was checked again (D21).

A skill is what the person saw when the plan was shown: a file that changed since, a link or a special file stops the
start. Finding and confirming skills is `bottles.skill_files`.
"""

import os

from bot_bottle.base.errors import OperatorFault
from bot_bottle.bottles import skill_files
from bot_bottle.bottles.plan import Mount, Plan, Skill
from bot_bottle.bottles.workspace.copying import copy_tree
from bot_bottle.bottles.workspace.reach import Entry, Limits, Tree
from bot_bottle.bottles.workspace.removal import remove

LIMITS = Limits(entries=2 * skill_files.MAX_FILES, depth=skill_files.MAX_DEPTH, seconds=10)


def copy_skills(plan: Plan, state: str) -> tuple[Mount, ...]:
    """Copies every skill of the plan; the mounts that show the copies, read-only. Raises BottleError."""
    place = os.path.join(state, "skills")
    if os.path.lexists(place):
        remove(place)
    return tuple(_copy(skill, os.path.join(place, skill.name)) for skill in plan.skills)


def _copy(skill: Skill, target: str) -> Mount:
    os.makedirs(target, 0o755)
    with Tree(skill.source) as tree:
        copy_tree(tree, target, LIMITS, _refuse_strange)
    if skill.digest != skill_files.skill_digest(target, (), skill.name):
        raise OperatorFault(
            "skill.changed", f"The skill {skill.name} changed since the plan was made.", "Look at it and start again."
        )
    return Mount(target, skill.target, "ro", f"skill {skill.name}", ours=True)


def _refuse_strange(entry: Entry) -> bool:
    if entry.kind not in ("file", "dir"):
        raise OperatorFault("skill.unusable", f"A skill holds a {entry.kind}.", "Only regular files may be in it.")
    return False
