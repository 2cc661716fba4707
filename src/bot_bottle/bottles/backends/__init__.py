"""Backends: one module and one line here each. A backend says what it enforces; nothing weakens silently."""

from importlib import import_module

from bot_bottle.base.errors import UsageFault
from bot_bottle.bottles.ports import Backend

BACKENDS = {"bubblewrap": "bot_bottle.bottles.backends.bubblewrap:Bubblewrap"}


def backend(name: str) -> Backend:
    """The backend of this name, made ready. Raises UsageFault for an unknown one."""
    if name not in BACKENDS:
        known = ", ".join(sorted(BACKENDS))
        raise UsageFault("backend.unknown", f"There is no backend {name!r}.", f"Known: {known}.")
    module, _, attribute = BACKENDS[name].partition(":")
    return getattr(import_module(module), attribute)()
