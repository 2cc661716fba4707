"""bottles.sharing: whoever allows something for ever is told for which other bottles it holds too."""

from pathlib import Path

from bot_bottle.base.home import Home
from bot_bottle.bottles.sharing import sharing


def test_bottles_that_extend_a_file_near_or_far(tmp_path: Path) -> None:
    folder = tmp_path / "bottles"
    folder.mkdir()
    files = {"base": "", "w": "extends: base", "sh": "extends: [flow, w]", "flow": "", "broken": "extends: [base"}
    for name, front in files.items():
        (folder / f"{name}.md").write_text(f"---\n{front or 'version: 1'}\n---\n")
    home = Home(str(tmp_path), str(tmp_path / "run"))
    assert sharing(home, f"{folder}/base.md") == ("sh", "w")
    assert sharing(home, f"{folder}/flow.md") == ("sh",)
    assert sharing(home, f"{folder}/sh.md") == ()
    assert sharing(home, "/elsewhere/base.md") == ()
    assert sharing(home, "") == ()
