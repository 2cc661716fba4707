"""The real agents, installed once by `bot-bottle harness install`, and a person with a home, a key and a bottle."""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot_bottle.base.home import locate
from bot_bottle.bottles.registries import discover
from bot_bottle.cli.install_bottle import with_node
from bot_bottle.policy.addresses import AddressClass, classify
from e2e.agents.front import Model
from e2e.agents.person import KEYS, PROGRAM, SECRET, Person


@pytest.fixture(scope="session")
def cache() -> Path:
    """A home with the installed agents, kept between test runs."""
    folder = Path(os.environ.get("BOT_BOTTLE_TEST_CACHE", "/tmp/bot-bottle-test-cache"))
    (folder / "home").mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / "home"


def pin_registries(home: Path) -> None:
    """A closed network may answer a registry's name with an address that is not public; a person there pins it."""
    rows = ""
    for one in discover(("npm", "pypi"), with_node(locate({"BOT_BOTTLE_HOME": str(home)}), os.environ)).found:
        address = str(socket.getaddrinfo(one.host, one.port, socket.AF_INET)[0][4][0])
        if classify(address) is not AddressClass.PUBLIC:
            rows += (
                f"    - {{host: {one.host}, address: '{address}:{one.port}', matches: [{{methods: [GET, HEAD]}}]}}\n"
            )
    if rows:
        (home / "bottles").mkdir(exist_ok=True)
        text = f"---\nversion: 1\negress:\n  routes:\n{rows}---\nPinned registries.\n"
        (home / "bottles" / "harness-install.md").write_text(text)


@pytest.fixture(scope="session")
def installed(cache: Path) -> Callable[[str], None]:
    """Installs an agent by the program's own command, one at a time, once."""

    def install(name: str) -> None:
        env = {**os.environ, "BOT_BOTTLE_HOME": str(cache)}
        with (cache / ".test-lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            pin_registries(cache)
            if shutil.which("npm") is None:
                subprocess.run([*PROGRAM, "harness", "install", "node"], env=env, check=True, capture_output=True)
                pin_registries(cache)
            done = subprocess.run([*PROGRAM, "harness", "install", name], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return install


@pytest.fixture
def person(
    tmp_path: Path, cache: Path, installed: Callable[[str], None], shared: Path
) -> Iterator[Callable[..., Person]]:
    """Makes persons; their model servers end with the test."""
    with contextlib.ExitStack() as undo:

        def make(
            name: str, script: list[dict[str, object]] | None = None, secret: str = "", **options: tuple[str, ...]
        ) -> Person:
            installed(name)
            folder = tmp_path / "somebody"
            home, project = folder / ".bot-bottle", folder / "src" / "project"
            project.mkdir(parents=True)
            home.mkdir(mode=0o700)
            (home / "harnesses").symlink_to(cache / "harnesses")
            secret = secret or SECRET[name]
            model = Model(tmp_path, KEYS[secret], shared, script, options.get("options", ()))
            undo.callback(model.close)
            env = {"HOME": str(folder), "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
            one = Person(folder, home, project, env, model, name, secret)
            one.bottle(one.model_route())
            subprocess.run(
                one.command("secret", "set", secret),
                input=KEYS[secret].encode(),
                env=env,
                check=True,
                capture_output=True,
            )
            return one

        yield make
