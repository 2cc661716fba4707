"""Where a mount may lie: never over what the seal itself put there (B61)."""

import os

from bot_bottle.base.errors import OperatorFault
from bot_bottle.bottles.seal import etc, layout

CLOSED = ("/proc", "/dev", "/sys", layout.PRIVATE)  # nothing in or over these
ROOTS = ("/", "/run", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/tmp", "/home")  # noqa: S108 - not over these
OWN = (*etc.NAMES, "/etc/gitconfig", "/etc/alternatives", *etc.AUTHORITY_PLACES)


def check(target: str) -> None:
    """Raises OperatorFault for a target that is no plain absolute path or would shadow a part of the seal."""
    if not os.path.isabs(target) or os.path.normpath(target) != target:
        raise refusal(target, "it must be an absolute path without dots")
    if target in ROOTS or any(under(target, closed) for closed in CLOSED):
        raise refusal(target, "it belongs to the seal")
    for own in OWN:
        if under(own, target) or under(target, own):
            raise refusal(target, f"it would hide {own}")


def under(path: str, top: str) -> bool:
    return path == top or path.startswith(top + "/")


def refusal(target: str, why: str) -> OperatorFault:
    return OperatorFault("plan.bad-target", f"Nothing can be mounted at {target!r}: {why}.", "Choose another target.")
