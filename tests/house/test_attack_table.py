"""The attack table is complete: every row of the catalogue is met by a test or says where it will be met."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def generator(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", repository / "scripts/generate_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(repository: Path) -> dict[str, dict[str, str]]:
    return tomllib.loads((repository / "docs/security/attacks.toml").read_text())


def test_every_row_has_a_test_or_says_where_it_is_met(generator: ModuleType, rows: dict[str, dict[str, str]]) -> None:
    tests = generator.attack_tests()
    missing = [ident for ident, row in rows.items() if ident not in tests and "where" not in row]
    assert missing == []


def test_every_row_of_the_catalogue_is_in_the_table(shared: Path, rows: dict[str, dict[str, str]]) -> None:
    catalogue = re.findall(r"\*\*([BDFSP]\d\d)\*\*", (shared / "attacks.md").read_text())
    assert [ident for ident in catalogue if ident not in rows] == []


def test_every_id_in_a_test_name_is_a_row(generator: ModuleType, rows: dict[str, dict[str, str]]) -> None:
    assert [ident for ident in generator.attack_tests() if ident not in rows] == []
