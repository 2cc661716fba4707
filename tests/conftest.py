"""Fixtures that every area may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("house")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that is under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's shared folder (attack catalogue, scripted model server), beside the checkout."""
    path = Path(os.environ.get("BOT_BOTTLE_SHARED", REPOSITORY.parent / "shared"))
    assert (path / "attacks.md").is_file(), f"the shared folder is missing: {path} (set BOT_BOTTLE_SHARED)"
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty bot-bottle home of its own, 0700."""
    path = tmp_path / "bot-bottle-home"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("BOT_BOTTLE_HOME", str(path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return path
