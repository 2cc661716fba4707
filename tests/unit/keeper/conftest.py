"""Keepers whose other ends are the test's own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bot_bottle.base.home import Home
from unit.keeper.stand import IDENTITY, Stand


@pytest.fixture
def keepers(tmp_path: Path) -> Iterator[Callable[..., Stand]]:
    """Makes stands of one home: name of the label, run number, bottle."""
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    made: list[Stand] = []

    def make(label: str = "one", number: int = 0, bottle: str = "b") -> Stand:
        run = f"20261125t000000-{number:012x}"
        made.append(Stand(home, msgspec.structs.replace(IDENTITY, label=label, run=run, bottle=bottle)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def asking(keepers: Callable[..., Stand]) -> Stand:
    """A started keeper whose policy asks about what no route names."""
    one = keepers()
    one.start()
    return one
