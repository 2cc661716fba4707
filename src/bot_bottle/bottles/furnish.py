"""HOME, its seeds, the authority's file and the caches of one bottle, in its state directory (never on tmpfs: 404 MB
of one agent's own packages were seen in HOME). All of it is written before an agent exists, so no link of its can
lead these writes anywhere.
"""

import os

import msgspec

from bot_bottle.base.home import Home
from bot_bottle.bottles.plan import Plan, Seed
from bot_bottle.bottles.ports import Layout
from bot_bottle.bottles.workspace.caches import prepare_caches
from bot_bottle.bottles.workspace.prepare import Prepared
from bot_bottle.bottles.workspace.skills import copy_skills


def stock(plan: Plan, home: Home) -> Plan:
    """The plan with the mounts of its skills and caches, which are copied or made here."""
    skills = copy_skills(plan, home.state(plan.label)) if plan.skills else ()
    if not plan.caches:
        return msgspec.structs.replace(plan, mounts=(*plan.mounts, *skills)) if skills else plan
    caches, variables = prepare_caches(home.caches(plan.bottle), plan.bottle, plan.caches, plan.home)
    return msgspec.structs.replace(plan, mounts=(*plan.mounts, *skills, *caches), env={**variables, **plan.env})


def furnish(plan: Plan, home: Home, prepared: Prepared, authority: str) -> Layout:
    """The layout for the backend. authority: PEM of the bottle's CA, the only one that the bottle trusts."""
    state = home.state(plan.label)
    inside = os.path.join(state, "home")
    os.makedirs(inside, 0o700, exist_ok=True)
    bundle = os.path.join(state, "authority.pem")
    _write(bundle, authority.encode(), 0o644)
    files: dict[str, str] = {}
    for number, seed in enumerate(plan.seeds):
        _seed(plan, inside, state, number, seed, files)
    layout = prepared.layout(inside, bundle)
    layout.files.update(files)
    return layout


def _seed(plan: Plan, inside: str, state: str, number: int, seed: Seed, files: dict[str, str]) -> None:
    """Below HOME it is a file that the agent owns; elsewhere it is shown read-only."""
    mode = 0o755 if seed.executable else 0o644
    relative = os.path.relpath(seed.path, plan.home)
    if relative.startswith("../"):
        target = os.path.join(state, "seeds", str(number))
        files[seed.path] = target
    else:
        target = os.path.join(inside, relative)
    os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
    _write(target, seed.content.encode(), mode)


def _write(path: str, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        file.write(data)
        os.fchmod(fd, mode)
