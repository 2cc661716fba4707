"""Threads by what they are for, so that a control which makes a bottle safer waits behind nothing that may take long:
not in the web process, not in the starter."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lanes:
    """threads: at most so many of each lane, begun when they are needed; what comes beyond waits in its own lane."""

    def __init__(self, threads: Mapping[str, int]) -> None:
        self._pools = {name: ThreadPoolExecutor(count, f"lane-{name}") for name, count in threads.items()}

    def submit(self, lane: str, call: Callable[P, T], *args: P.args, **more: P.kwargs) -> Future[T]:
        """Raises RuntimeError after `close`."""
        return self._pools[lane].submit(call, *args, **more)

    def close(self) -> None:
        """What runs is waited for, what waits is not begun."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools.values():
            pool.shutdown(wait=True)
