"""The dashboard as a person has it: a seeded home, the server inside this process, one Chromium for each file."""

import base64
import hashlib
import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from node_clients import NPM
from records_stage import chromium as browser
from records_stage import signed_in
from web_stage import Inside, Stage

AXE = (
    "axe-core@4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
"""What npm is asked for, and the integrity that it must have."""


expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's, one for all tests of a file: playwright runs once in a process, and other files start their own."""
    with browser() as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


@pytest.fixture
def web(stage: Stage) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


@pytest.fixture
def person(chromium: Browser, web: Inside) -> Iterator[Page]:
    """A signed-in person's page; what its scripts and the policy of its content complained of fails the test."""
    with signed_in(chromium, web) as page:
        yield page


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm; it is no part of what we ship."""
    place = tmp_path_factory.mktemp("npm")
    subprocess.run([*NPM, "pack", "--silent", AXE[0]], cwd=place, check=True, timeout=90, capture_output=True)
    archive = next(place.glob("axe-core-*.tgz")).read_bytes()
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    assert found == AXE[1], f"axe-core is not what it was: {found}"
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        member = opened.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


@pytest.fixture
def watched(chromium: Browser, web: Inside) -> Callable[..., Any]:
    """A page with other settings: `with watched(viewport=…, color_scheme="dark") as page`."""
    return lambda **more: signed_in(chromium, web, **more)
