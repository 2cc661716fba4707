"""A seeded home, and a server inside this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from web_stage import Inside, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


@pytest.fixture
def inside(stage: Stage) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found
