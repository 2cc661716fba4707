"""What our texts and pages tell a person to type is there to be typed."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import click

from bot_bottle.cli.main import VERBS

SAID = re.compile(r"(?<![-/\w.])bot-bottle ([a-z][a-z-]*) ([a-z][a-z-]+)\b")
GROUPS = {"changes", "harness", "log", "manifest", "notify", "policy", "secret"}


def said(repository: Path) -> Iterator[tuple[str, str, str]]:
    """Where, verb and the word after it."""
    pages = [repository / "README.md", *(repository / "docs/how-to").glob("*.md")]
    for path in [*(repository / "src").rglob("*.py"), *(repository / "src").rglob("*.html"), *pages]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for verb, word in SAID.findall(line):
                yield f"{path.relative_to(repository)}:{number}", verb, word


def test_every_command_of_a_group_that_is_named_exists(repository: Path) -> None:
    groups = {name: importlib.import_module(f"bot_bottle.cli.{name}").command for name in GROUPS}
    assert all(isinstance(group, click.Group) for group in groups.values()) and set(VERBS) >= GROUPS
    wrong = [
        f"{where}: bot-bottle {verb} {word}"
        for where, verb, word in said(repository)
        if verb in groups and word not in groups[verb].commands and not groups[verb].invoke_without_command
    ]
    assert wrong == []
