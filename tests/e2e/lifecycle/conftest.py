"""One world per test: a home, a project, a counting upstream, a bottle file and its secret."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.lifecycle.world import World, serving
from e2e.lifecycle.world import world as make


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving(tmp_path) as server:
        one = make(tmp_path, server)
        one.bottle()
        one.secret()
        try:
            yield one
        finally:
            one.close()
        left = one.quiet()
        one.sweep()
        assert left == [], "processes were left behind"
