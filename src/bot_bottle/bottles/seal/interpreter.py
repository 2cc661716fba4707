"""Our own Python, shown at a private read-only place inside, so that the probe is never the image's or the agent's
interpreter (D23). It may live outside /usr (pyenv, uv, a venv's base); installed packages are not shown.
"""

import os
import sys
from dataclasses import dataclass

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.seal.layout import PROBE, PYTHON
from bot_bottle.bottles.seal.spec import Bind


@dataclass(frozen=True, slots=True)
class Interpreter:
    """run: sh words that start it, a script's path follows. binds, masks: what the bottle needs for it."""

    run: str
    binds: tuple[Bind, ...] = ()
    masks: tuple[str, ...] = ()

    @property
    def probe(self) -> str:
        """The sh command of the seal probe, for `Spec.probe`."""
        return f"{self.run} {PROBE}"


def interpreter() -> Interpreter:
    """The interpreter that runs us, without its virtual environment."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = os.path.realpath(sys.base_prefix)
    program = f"bin/{version}"
    if not os.access(f"{prefix}/{program}", os.X_OK):
        raise HostFault(
            "host.no-interpreter",
            f"There is no {prefix}/{program} to run the seal probe with.",
            "Install bot-bottle with a standard Python (distribution, pyenv or uv).",
        )
    if prefix == "/usr" or prefix.startswith("/usr/"):
        return Interpreter(f"{prefix}/{program} -I -S -B")
    masks = (
        [f"{PYTHON}/lib/{version}/site-packages"] if os.path.isdir(f"{prefix}/lib/{version}/site-packages") else []
    )
    command = f"LD_LIBRARY_PATH={PYTHON}/lib {PYTHON}/{program} -I -S -B"
    return Interpreter(command, (Bind(prefix, PYTHON, mapped=False),), tuple(masks))
