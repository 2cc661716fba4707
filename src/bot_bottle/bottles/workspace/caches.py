"""Package caches that outlive a bottle, one set per bottle name, never shared between bottles of another policy."""

import os

from bot_bottle.base.errors import OperatorFault
from bot_bottle.bottles.plan import Mount

CACHES: dict[str, tuple[str, dict[str, str]]] = {
    "pip": (".cache/pip", {}),
    "uv": (".cache/uv", {}),
    "npm": (".npm", {}),
    "yarn": (".cache/yarn", {}),
    "pnpm": (".local/share/pnpm/store", {}),
    "cargo": (".cargo/registry", {}),
    "go": ("go/pkg/mod", {"GOMODCACHE": "go/pkg/mod"}),
    "go-build": (".cache/go-build", {}),
}  # name -> directory below HOME, variables (value below HOME)


Caches = tuple[tuple[Mount, ...], dict[str, str]]


def prepare_caches(place: str, bottle: str, names: tuple[str, ...], inside: str) -> Caches:
    """Directories in `place` (<home>/caches/<bottle>, made, 0700) as mounts below `inside` (HOME), with variables.

    Raises OperatorFault for a name that is none.
    """
    unknown = sorted(set(names) - CACHES.keys())
    if unknown:
        raise OperatorFault(
            "workspace.cache", f"There is no cache called {unknown[0]}.", f"Known are {', '.join(sorted(CACHES))}."
        )
    mounts: list[Mount] = []
    variables: dict[str, str] = {}
    for name in names:
        below, environment = CACHES[name]
        store = os.path.join(place, name)
        os.makedirs(store, 0o700, exist_ok=True)
        if os.path.islink(store):
            raise OperatorFault("workspace.cache", f"{store} is a link.", "Remove it.")
        mounts.append(Mount(store, os.path.join(inside, below), "rw", f"{name} cache of the bottle {bottle}", True))
        variables |= {key: os.path.join(inside, value) for key, value in environment.items()}
    return tuple(mounts), variables
