"""bottles.registries: hosts come from the clients of this host; here the clients are scripts that we wrote."""

import os
from pathlib import Path

import pytest

from bot_bottle.bottles.registries import discover, parse
from bot_bottle.bottles.registry_clients import Asked, apt_urls


@pytest.fixture
def clients(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH holds stand-ins for python3, npm, go and cargo."""
    scripts = {
        "python3": """case "$*" in
*"pip --version") echo "pip 99";;
*"config list") echo "global.index-url='https://user:pass@mirror.corp.example:8443/pypi/simple'"; echo "global.extra-index-url='https://more.corp.example/simple https://third.corp.example/'";;
*) echo "https://default.example/simple files.example";; esac""",
        "npm": """echo 'npm warn something'; echo '{"registry": "https://npm.corp.example/", "@team:registry": "https://team.corp.example/npm/", "x": null}'""",
        "go": """echo '{"GOPROXY": "https://go.corp.example,https://two.example|direct", "GOSUMDB": "sums.example+abc https://sumdb.corp.example"}'""",
        "cargo": """echo 'error: failed to download from `https://index.example/config.json`' >&2; exit 101""",
    }  # fmt: skip
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    (tmp_path / ".cargo/registry/index/index.example-1").mkdir(parents=True)
    (tmp_path / ".cargo/registry/index/index.example-1/config.json").write_text(
        '{"dl": "https://static.example/crates/{crate}"}'
    )
    return {"HOME": str(tmp_path), "PATH": f"{folder}:/usr/bin:/bin"}


def test_what_the_clients_say_is_what_is_allowed(clients: dict[str, str]) -> None:
    found = discover(("pypi", "npm", "go", "cargo"), clients)
    assert [(one.kind, one.host, one.port) for one in found.found] == [
        ("pypi", "mirror.corp.example", 8443),
        ("pypi", "more.corp.example", 443),
        ("pypi", "third.corp.example", 443),
        ("npm", "npm.corp.example", 443),
        ("npm", "team.corp.example", 443),
        ("go", "go.corp.example", 443),
        ("go", "two.example", 443),
        ("go", "sumdb.corp.example", 443),
        ("cargo", "index.example", 443),
        ("cargo", "static.example", 443),
    ]
    assert len(found.warnings) == 1 and "password" in found.warnings[0] and "pass@" not in str(found)
    for route in found.routes():
        assert [match.methods for match in route.matches] == [("GET", "HEAD")] and route.auth is None
    assert [route.rule for route in found.routes()][:3] == ["registry/pypi-1", "registry/pypi-2", "registry/pypi-3"]


def test_without_configuration_the_default_of_the_client_counts(clients: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin/python3").write_text(
        '#!/bin/sh\ncase "$*" in *--version) echo "pip 99";; *list) ;; *) echo "https://default.example/simple files.example";; esac\n'
    )
    found = discover(("pypi",), clients)
    assert [(one.host, one.source) for one in found.found] == [
        ("default.example", "pip's default"),
        ("files.example", "pip's default for files"),
    ]


def test_a_cargo_mirror_takes_the_place_of_the_default(clients: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".cargo/config.toml").write_text(
        '[source.corp]\nregistry = "sparse+https://cargo.corp.example/index/"\n'
    )
    hosts = [one.host for one in discover(("cargo",), clients).found]
    assert hosts == ["cargo.corp.example", "static.example"]


def test_no_client_no_host_but_a_sentence(tmp_path: Path) -> None:
    found = discover(("npm", "cargo"), {"HOME": str(tmp_path), "PATH": str(tmp_path)})
    assert found.found == () and "no npm registry" in " ".join(found.warnings)


def test_the_real_clients_of_this_host_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    found = discover(("pypi", "npm"), os.environ)
    assert {one.kind for one in found.found} <= {"pypi", "npm"}
    assert all(one.host and one.scheme in ("http", "https") for one in found.found)


@pytest.mark.parametrize(
    "url", ["file:///x", "ftp://a.com", "https://", "http://[::1", "https://0x7f.1/", "https://a:99999/", "x"]
)
def test_addresses_that_are_not_used(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(it|an|a) "):
        parse("pypi", url, "test")


def test_apt_sources_in_both_formats() -> None:
    old = "# deb http://no.example/\ndeb [arch=amd64 signed-by=/x] http://one.example/debian s main\ndeb-src https://two.example/ s main\ndeb cdrom:[x]/ s\n"
    assert list(apt_urls(old, False)) == ["http://one.example/debian", "https://two.example/"]
    new = "Types: deb\n# URIs: http://no.example/\nURIs: http://one.example/debian\n file:///x http://two.example/x\nSuites: s\n\nEnabled: no\nURIs: http://off.example/\n"
    assert list(apt_urls(new, True)) == ["http://one.example/debian", "http://two.example/x"]


def test_children_get_a_listed_environment_and_no_program_of_the_workspace(tmp_path: Path) -> None:
    """D06: neither a relative PATH entry nor one inside the workspace is searched, links included."""
    (tmp_path / "work/bin").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "work/bin")
    path = f"{tmp_path}/work/bin:.:bin::{tmp_path}/link:/usr/bin"
    asked = Asked(
        {"PATH": path, "AWS_SECRET_ACCESS_KEY": "x", "PIP_INDEX_URL": "y", "HOME": "/h"}, str(tmp_path / "work")
    )
    assert asked.environ == {"PATH": "/usr/bin", "PIP_INDEX_URL": "y", "HOME": "/h"}
