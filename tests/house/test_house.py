"""The house keeps its own rules: sizes, fuzz targets, no registry host, children started with -I."""

import ast
import re
from pathlib import Path

import pytest

LONG_MODULE = 500
LONG_FUNCTION = 80
HOSTS = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs\.org|proxy\.golang\.org|crates\.io|deb\.debian\.org")


def sources(repository: Path) -> list[Path]:
    return sorted((repository / "src").rglob("*.py"))


def test_modules_and_functions_stay_small(repository: Path) -> None:
    too_long: list[str] = []
    for path in sources(repository):
        text = path.read_text()
        if text.count("\n") > LONG_MODULE:
            too_long.append(f"{path.name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno
                if length > LONG_FUNCTION:
                    too_long.append(f"{path.name}: {node.name} {length} lines")
    assert too_long == []


def test_every_module_says_what_lives_in_it(repository: Path) -> None:
    assert [str(p) for p in sources(repository) if not ast.get_docstring(ast.parse(p.read_text()))] == []


@pytest.mark.parametrize("folder", ["src", "tests", "scripts", "docs", "bench", "requirements", "fuzz"])
def test_no_package_registry_host_is_named(repository: Path, folder: str) -> None:
    found: list[str] = []
    for path in (repository / folder).rglob("*"):
        if path.is_file() and path.suffix not in (".pyc", ".png") and path != Path(__file__):
            text = path.read_text(errors="replace")
            found += [f"{path.relative_to(repository)}: {hit}" for hit in set(HOSTS.findall(text))]
    assert found == []


def test_d06_every_python_child_is_isolated(repository: Path) -> None:
    """D06: `python -m x` puts the current directory first on sys.path; -I does not."""
    bare: list[str] = []
    for path in sources(repository):
        for line in path.read_text().splitlines():
            if re.search(r"sys\.executable,\s*['\"]", line) and not re.search(
                r"sys\.executable,\s*['\"]-I['\"]", line
            ):
                bare.append(f"{path.name}: {line.strip()}")
    assert bare == []


def test_every_fuzz_target_takes_a_seed_without_crashing(repository: Path) -> None:
    """The targets of fuzz/ run for long by hand (fuzz/README.md); here each is loaded and fed a few seeds."""
    targets = sorted((repository / "fuzz").glob("fuzz_*.py"))
    assert len(targets) >= 8
    for path in targets:
        space: dict[str, object] = {"__name__": "fuzz_target", "__file__": str(path)}
        exec(compile(path.read_text(), str(path), "exec"), space)  # the target itself is the subject
        one = space["test_one_input"]
        assert callable(one)
        for seed in (
            b"",
            b"\0",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"---\nversion: 1\n---\n",
            bytes(range(256)),
            b"%2e%2e" * 40,
        ):
            one(seed)
        for file in sorted((path.parent / "corpus" / path.stem.removeprefix("fuzz_")).glob("*.txt")):
            one(file.read_bytes())


def test_each_seed_folder_belongs_to_a_fuzz_target(repository: Path) -> None:
    folders = sorted((repository / "fuzz/corpus").iterdir())
    assert {"chunks", "http1"} <= {folder.name for folder in folders}
    for folder in folders:
        assert (repository / f"fuzz/fuzz_{folder.name}.py").is_file() and any(folder.glob("*.txt"))
