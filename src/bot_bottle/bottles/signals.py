"""Signals as callbacks in the loop: a handler that only writes a byte cannot run in the middle of a step."""

import os
import signal
from collections.abc import Callable

from bot_bottle.keeper.loop import Loop


class Signals:
    """While entered, the numbers call back from the loop; afterwards the old handlers are in force again."""

    def __init__(self, loop: Loop, numbers: tuple[int, ...], callback: Callable[[int], None]) -> None:
        self._loop = loop
        self._numbers = numbers
        self._callback = callback
        self._read = self._write = -1
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Signals":
        self._read, self._write = os.pipe()
        for fd in (self._read, self._write):
            os.set_blocking(fd, False)
        self._before = {number: signal.signal(number, self._note) for number in self._numbers}
        self._loop.read(self._read, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # pyright: ignore[reportArgumentType]
        self._loop.forget(self._read)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, _frame: object) -> None:
        try:
            os.write(self._write, bytes([number]))
        except BlockingIOError:
            pass

    def _heard(self) -> None:
        try:
            numbers = os.read(self._read, 64)
        except BlockingIOError:
            return
        for number in numbers:
            self._callback(number)
