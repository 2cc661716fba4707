"""B73 on the pages that show records: nothing that a stranger wrote is markup, drives the reader, or is endless."""

from collections.abc import Iterator
from pathlib import Path

import jinja2
import msgspec
import pytest

from bot_bottle.web import page as page_room
from bot_bottle.web import rows as rows_room
from bot_bottle.web.pages.live import Batch, _encoded
from bot_bottle.web.sse import event
from records_stage import HOSTILE, bottle_file, hostile, traffic
from web_stage import Inside, Stage

HIDDEN = "\u202e\u2066\u200b\u00ad\ufeff\x1b\x07\u2028"
MARKUP = ("<script>document", "<img src=x")


def answers(stage: Stage, run: str) -> dict[str, str]:
    """Path -> what it answers, of every page and part that shows records."""
    paths = [
        "/live?all=1", f"/log?q=run:{run}", f"/reach?of=run:{run}", "/reach?of=everything:all&in=all", "/policy?bottle=shop",
        "/log?q=%3Cscript%3Edocument%3C/script%3E%E2%80%AE", "/live?q=hst:%3Cscript%3Edocument%E2%80%AE",
        "/policy?bottle=shop&method=%3Cscript%3Edocument&url=https://x/%3Cscript%3Edocument%E2%80%AE",
        "/reach?of=agent:%3Cscript%3Edocument%E2%80%AE",
        *(f"/record/{run}/{number}?proof=1" for number in range(1, len(HOSTILE) + 1)),
        *(f"/record/{run}/{number}?part=why" for number in range(1, len(HOSTILE) + 1)),
    ]  # fmt: skip
    with Inside(stage) as web:
        found = {path: web.raw("GET", path, web.session()) for path in paths}
        assert {reply.status for reply in found.values()} <= {200, 422}
        return {path: reply.text for path, reply in found.items()}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        bottle_file(found)
        found.ended("benign", rows=traffic(20, 1), ago=500)
        yield found


def test_b73_what_strangers_wrote_is_text_on_every_page_of_records(stage: Stage) -> None:
    run = stage.ended("bad-run", rows=hostile(), ago=60).run
    for path, text in answers(stage, run).items():
        assert not set(text) & set(HIDDEN), path
        assert not any(one in text for one in MARKUP), path
        assert len(text) < 400_000, path


def test_b73_control_without_escaping_the_same_bytes_are_markup(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.ended("bad-run", rows=hostile(), ago=60).run
    bare = jinja2.Environment(
        loader=jinja2.FileSystemLoader(page_room.TEMPLATES), autoescape=False, undefined=page_room.Named,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    bare.filters.update(page_room.FILTERS)
    monkeypatch.setattr(page_room, "environment", lambda: bare)
    found = answers(stage, run)
    assert any(MARKUP[0] in text for text in found.values())


def test_b73_control_without_visible_hidden_characters_reach_the_stream(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = stage.record(stage.identity("x", "claude"), **hostile()[2])
    assert not set("".join(_texts(record))) & set(HIDDEN)
    monkeypatch.setattr(rows_room, "visible", lambda text, limit=0: text)
    assert set("".join(_texts(record))) & set(HIDDEN)


def _texts(record: object) -> list[str]:
    return [str(one) for one in msgspec.to_builtins(rows_room.row(record, "r", 1))]  # type: ignore[arg-type]


def test_b73_an_event_of_the_stream_cannot_end_early(stage: Stage) -> None:
    """A record with line breaks and field names of events in it is one event, one line of JSON."""
    for row in hostile():
        record = stage.record(stage.identity("x", "claude"), **row)
        text = event("records", _encoded(Batch([rows_room.row(record, "r", 1)], 1, 0, {})), {})
        assert text.count("\n") == 4
        assert text.count("\ndata: ") == 1
        assert "\nevent: signed-out" not in text
        assert len(text) < 10_000
