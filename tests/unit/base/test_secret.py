"""A secret shows nothing of itself, and only the listed modules may look at it."""

import ast
import copy
import pickle
from pathlib import Path

import pytest

from bot_bottle.base.secret import Secret

REVEALERS = {
    "custody/check.py": "length and shape, for a warning",
    "custody/open.py": "what the keeper looks for in the files of a workspace (D07)",
    "custody/stores/encrypted_file.py": "seals it into the file",
    "custody/supply.py": "hands it to the gateway by pipe",
    "custody/visible.py": "visible: true, by the person's own bottle file",
    "egress/prepare.py": "step 8: gives it to custody.inject",
}
OPENERS = {"cli/secret.py", "custody/open.py", "custody/supply.py", "custody/visible.py", "keeper/main.py"}


def test_nothing_shows_a_secret() -> None:
    secret = Secret("example", b"sk-real-0123456789")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>30}", repr([secret]), repr({"a": secret})]
    assert {"sk-real" in text for text in shown} == {False}
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never serialised"):
            leave(secret)
    with pytest.raises(TypeError):
        hash(secret)


def test_equal_values_are_equal() -> None:
    assert Secret("a", b"same") == Secret("b", b"same")
    assert Secret("a", b"same") != Secret("a", b"other")
    assert Secret("a", b"same") != b"same"


def callers(repository: Path, name: str) -> set[str]:
    """Modules of src that name this attribute or variable."""
    root = repository / "src/bot_bottle"
    found: set[str] = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (isinstance(node, ast.Attribute) and node.attr == name) or (
                isinstance(node, ast.Name) and node.id == name
            ):
                found.add(str(path.relative_to(root)))
    return found


def test_b48_only_the_listed_modules_reveal_a_secret(repository: Path) -> None:
    assert callers(repository, "reveal") == set(REVEALERS)


def test_only_keeper_and_the_secret_command_open_a_store(repository: Path) -> None:
    assert callers(repository, "open_custody") <= OPENERS


def test_a_value_leaves_its_class_by_reveal_alone(repository: Path) -> None:
    assert callers(repository, "_value") <= {"base/secret.py", "bottles/run.py"} | {
        path
        for path in callers(repository, "_value")
        if "Secret" not in (repository / "src/bot_bottle" / path).read_text()
    }
