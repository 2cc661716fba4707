"""The result file may lie in a workspace that the agent writes (D22, B65)."""

import os
from pathlib import Path

import msgspec

from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.session import write_result


def test_d22_b65_a_result_is_not_written_through_links_of_the_agent(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("the person's")
    place = tmp_path / "result.json"
    for name in ("result.json", *(f"result.json.{os.getpid() + more}" for more in range(-3, 4))):
        (tmp_path / name).symlink_to(precious)
    write_result(str(place), Outcome("ok", 0, "l", "r", "b", "a", "h"))
    assert precious.read_text() == "the person's"
    assert not place.is_symlink()
    assert msgspec.json.decode(place.read_bytes())
