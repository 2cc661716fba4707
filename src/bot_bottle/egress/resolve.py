"""Names to addresses, off the loop; called only after an intent is written (D09), and its answer is what is dialled
(B17).

Classification happens here, on the answer itself: a name that resolves to nothing public is refused, whoever owns its
zone (B18, B20). A route's `address:` is never resolved.
"""

import queue
import socket
import threading
from collections.abc import Callable

from bot_bottle.egress.loop import Loop
from bot_bottle.policy.addresses import AddressClass, classify

_THREADS = 4
_WAITING = 256
Answered = Callable[[list[str], str], None]


class Resolver:
    """A few threads around getaddrinfo. `resolve` answers on the loop's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._questions: queue.Queue[tuple[str, Answered]] = queue.Queue(_WAITING)
        self._started = False

    def start(self) -> None:
        """Starts the threads; after confinement, so that they are confined as well."""
        if not self._started:
            self._started = True
            for number in range(_THREADS):
                threading.Thread(target=self._work, name=f"resolver-{number}", daemon=True).start()

    def resolve(self, host: str, answered: Answered) -> None:
        """answered(addresses in the host's order, error): error is one sentence when there are none."""
        try:
            self._questions.put_nowait((host, answered))
        except queue.Full:
            answered([], "Too many names wait to be resolved.")

    def _work(self) -> None:
        while True:
            host, answered = self._questions.get()
            addresses, error = lookup(host)
            self._loop.post(lambda a=addresses, e=error, call=answered: call(a, e))


def lookup(host: str) -> tuple[list[str], str]:
    """Blocking getaddrinfo: distinct address texts, or an error sentence."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return [], f"The name cannot be resolved: {getattr(error, 'strerror', '') or 'no answer'}."
    return list(dict.fromkeys(str(entry[4][0]) for entry in found)), ""


def public_only(addresses: list[str]) -> tuple[list[str], AddressClass]:
    """The addresses that may be dialled, and the class of the first one that may not (PUBLIC when all may)."""
    kinds = [classify(address) for address in addresses]
    bad = next((kind for kind in kinds if not kind.dialable), AddressClass.PUBLIC)
    return [address for address, kind in zip(addresses, kinds, strict=True) if kind.dialable], bad
