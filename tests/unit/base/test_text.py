"""base.text: what is cut stays apart from what is cut elsewhere (B73, D18)."""

import pytest

from bot_bottle.base.text import cut, visible


@pytest.mark.parametrize("mark", ["", "\u202e"])
def test_texts_that_differ_behind_the_cut_do_not_look_alike(mark: str) -> None:
    texts = [f"/{mark}{'s' * 300}{end}" for end in "12"]
    shown = [visible(text, 100) for text in texts]
    assert shown[0] != shown[1] and shown[0] == visible(texts[0], 100)
    assert all(len(text) < 130 and "\u202e" not in text for text in shown)


def test_both_ways_to_cut_are_one() -> None:
    assert visible("s" * 300, 100) == cut("s" * 300, 100)
