"""The file for bodies of held requests: without a name from its first moment, it dies with its holders (D25)."""

import contextlib
import os
import tempfile

from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home


def unlinked(home: Home) -> int:
    """A new descriptor to read and write, of a file in the home that no path leads to. Raises HostFault."""
    try:
        with contextlib.suppress(OSError):
            return os.open(home.root, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        descriptor, path = tempfile.mkstemp(prefix=".spool-", dir=home.root)
        os.unlink(path)
        return descriptor
    except OSError as error:
        what = f"A file for held requests cannot be made in {home.root}: {error.strerror}."
        raise HostFault("host.refused", what, "Free space or mend its permissions.") from None
