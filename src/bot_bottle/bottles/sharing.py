"""Which other bottles a rule in one bottle file holds for too: all that extend it, near or far."""

import os

from bot_bottle.base.errors import BottleError
from bot_bottle.base.home import Home
from bot_bottle.bottles.manifests import Library
from bot_bottle.policy import merge


def sharing(home: Home, path: str) -> tuple[str, ...]:
    """Names of the bottles that extend this bottle file of the home, sorted. One that cannot be read starts none,
    and is left out."""
    name, folder = os.path.basename(path).removesuffix(".md"), os.path.dirname(path)
    if not path or os.path.realpath(folder) != os.path.realpath(home.bottles):
        return ()
    shelf = Library(home, "/")
    return tuple(other for other in shelf.bottle_names() if other != name and _extends(shelf, other, name))


def _extends(shelf: Library, other: str, name: str) -> bool:
    try:
        return any(file.name == name for file in merge.order(other, shelf.bottle))
    except BottleError:
        return False
