"""Table of operations: input, cursors, idempotency, description; what the schemathesis run cannot say."""

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from bot_bottle.base.errors import AuditFault, HostFault
from bot_bottle.web import problem
from bot_bottle.web.api import cursor, firsts, openapi
from bot_bottle.web.api import routes as api
from bot_bottle.web.api.fit import fit
from bot_bottle.web.api.operation import Empty, Nothing, Operation, fill
from bot_bottle.web.problem import WebFault
from bot_bottle.web.sessions import Sessions
from web_stage import Inside, Stage


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    label: Annotated[str, Meta(pattern="^[a-z]+$")]
    count: Annotated[int, Meta(ge=1, le=9)] = 1
    names: tuple[str, ...] = ()


def nothing(_desk: Any, _wish: Any) -> Nothing:
    return Nothing()


POST = Operation("make", "POST", "/things/{label}", "Make", "control", Wish, Nothing, nothing)
GET = Operation("get", "GET", "/things/{label}", "Get", "read", Wish, Nothing, nothing)


def test_a_field_is_in_the_path_the_query_or_the_body() -> None:
    paths = openapi.document((POST, GET))["paths"]["/things/{label}"]
    assert [one["name"] for one in paths["get"]["parameters"]] == ["label", "count", "names"]
    assert [(one["name"], one["in"]) for one in paths["post"]["parameters"]] == [
        ("label", "path"),
        ("Idempotency-Key", "header"),
    ]
    schema = openapi.document((POST, GET))["components"]["schemas"]["WishBody"]
    assert list(schema["properties"]) == ["count", "names"] and schema["additionalProperties"] is False


@given(
    st.recursive(
        st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_cursor_says_what_it_was_made_of(position: Any) -> None:
    assert cursor.decode(cursor.encode(position), Any) == position  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_a_cursor_of_others_is_refused(text: str) -> None:
    try:
        cursor.decode(text, tuple[int, str])
    except WebFault as error:
        assert error.status == 422


def test_numbers_of_a_query_are_texts_and_of_a_body_numbers() -> None:
    assert fill(GET, {"label": "a", "count": "3", "names": ["x"]}).count == 3
    with pytest.raises(WebFault, match="count"):
        fill(GET, {"label": "a", "count": "30"})
    with pytest.raises(WebFault):
        fit(POST.takes, {"label": "a", "count": "3"}, strict=True)


def test_every_operation_is_whole() -> None:
    for operation in api.operations():
        fields = {field.encode_name for field in msgspec.structs.fields(operation.takes)}
        assert set(operation.in_path) <= fields, operation.name
        assert operation.summary and operation.call.__doc__ is not False
        assert operation.path.startswith("/") and operation.scope in ("read", "answer", "control", "admin")
        assert operation.method != "GET" or operation.scope in ("read", "admin"), f"{operation.name} only reads"
    assert len(api.operations()) >= 8 and Empty is not None


@pytest.fixture
def admin(inside: Inside) -> dict[str, str]:
    from bot_bottle.web.tokens import Tokens

    _, text = Tokens(inside.web.office.store).issue("t", ["read", "answer", "control", "admin"], 1)
    return {"authorization": f"Bearer {text}", "content-type": "application/json"}


def rename(inside: Inside, admin: dict[str, str], name: str, key: str, device: str) -> Any:
    body = msgspec.json.encode({"name": name})
    return inside.raw("PUT", f"/api/v1/devices/{device}", admin | {"idempotency-key": key}, body)


def test_a_repeated_request_is_done_once_and_answered_the_same(
    inside: Inside, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside.session("device")
    device = Sessions(inside.web.office.store).devices()[0].id
    assert rename(inside, admin, "one", "k1", device).status == 204
    assert rename(inside, admin, "two", "k2", device).status == 204
    assert rename(inside, admin, "one", "k1", device).status == 204  # again: not done
    assert Sessions(inside.web.office.store).devices()[0].name == "two"
    other = rename(inside, admin, "three", "k1", device)
    assert other.status == 422 and other.json()["slug"] == "web.idempotency"
    missing = rename(inside, admin, "one", "k3", "0" * 16)
    assert missing.status == 404 and rename(inside, admin, "one", "k3", "0" * 16).body == missing.body


def test_a_failed_request_may_be_tried_again(
    inside: Inside, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside.session("device")
    device = Sessions(inside.web.office.store).devices()[0].id
    with monkeypatch.context() as patch:
        patch.setattr(Sessions, "rename", lambda *_: 1 / 0)
        assert rename(inside, admin, "one", "k1", device).status == 500
    assert rename(inside, admin, "one", "k1", device).status == 204


def test_what_an_earlier_process_left_undone_is_said_to_be_unknown(inside: Inside, admin: dict[str, str]) -> None:
    """`Try again` for a day would help nobody."""
    inside.session("device")
    device = Sessions(inside.web.office.store).devices()[0].id
    assert rename(inside, admin, "one", "k1", device).status == 204
    with inside.web.office.store.write() as database:
        database.execute("UPDATE firsts SET status = 0, at = at - 600000000000")
    found = rename(inside, admin, "one", "k1", device)
    assert found.status == 409 and "not known" in found.json()["title"] and "another key" in found.json()["detail"]


def test_many_keys_of_one_push_out_no_first_answer_of_another(
    inside: Inside, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firsts, "_MOST", 3)
    inside.session("device")
    device = Sessions(inside.web.office.store).devices()[0].id
    assert rename(inside, admin, "one", "k1", device).status == 204
    with inside.web.office.store.write() as database:
        for number in range(3):
            database.execute("INSERT INTO firsts VALUES ('token:t', ?, 'd', ?, 204, x'')", (f"r{number}", 2**62))
        database.execute("UPDATE firsts SET at = at - 1000 WHERE person != 'token:t'")
    assert rename(inside, admin, "two", "k2", device).status == 204
    assert rename(inside, admin, "one", "k1", device).status == 204  # known still: not done again
    assert Sessions(inside.web.office.store).devices()[0].name == "two"


def test_another_method_is_told_which_there_are(inside: Inside, admin: dict[str, str]) -> None:
    reply = inside.raw("PATCH", "/api/v1/tokens", admin, b"{}")
    assert reply.status == 405 and "GET" in reply.headers["allow"]
    assert reply.headers["content-type"] == "application/problem+json"


def test_an_unknown_path_of_the_api_is_a_problem(inside: Inside, admin: dict[str, str]) -> None:
    reply = inside.raw("GET", "/api/v1/nothing", admin)
    assert reply.status == 404 and reply.json()["type"] == "urn:bot-bottle:problem:web.lost"


def test_who_is_not_signed_in_is_told_how_a_program_signs_in(inside: Inside) -> None:
    reply = inside.raw("GET", "/api/v1/asks", {})
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    wrong = inside.raw("GET", "/api/v1/asks", {"authorization": "Bearer bb_nope"})
    assert (wrong.status, wrong.headers["www-authenticate"]) == (401, "Bearer")


def test_what_needs_serve_says_so_where_web_runs_alone(stage: Stage, inside: Inside) -> None:
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.supervise.model import Approver
    from bot_bottle.web.desk import Desk

    desk = Desk(inside.web.office, Approver("os", "1", "ann"))
    with pytest.raises(UsageFault, match="without bot-bottle serve"):
        desk.starter.kill("x")


def test_two_at_once_under_one_key_are_done_once(
    inside: Inside, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading
    import time

    inside.session("device")
    device = Sessions(inside.web.office.store).devices()[0].id
    done: list[str] = []
    right = Sessions.rename

    def slow(self: Sessions, which: str, name: str) -> bool:
        done.append(name)
        time.sleep(0.3)
        return right(self, which, name)

    monkeypatch.setattr(Sessions, "rename", slow)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(rename(inside, admin, "one", "k", device).status))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == ["one"] and statuses.count(204) >= 1 and set(statuses) <= {204, 409}


def test_keys_of_two_people_do_not_meet(inside: Inside, admin: dict[str, str]) -> None:
    from bot_bottle.web.sessions import Sessions
    from bot_bottle.web.tokens import Tokens

    inside.session("device")
    device = Sessions(inside.web.office.store).devices()[0].id
    assert rename(inside, admin, "one", "k", device).status == 204
    _, text = Tokens(inside.web.office.store).issue("other", ["admin"], 1)
    assert rename(inside, admin | {"authorization": f"Bearer {text}"}, "two", "k", device).status == 204
    assert Sessions(inside.web.office.store).devices()[0].name == "two"


def test_a_mime_type_or_a_list_where_none_is_meant(inside: Inside, admin: dict[str, str]) -> None:
    for body in (b"[]", b"1", b"null", b'"a"'):
        assert inside.raw("POST", "/api/v1/tokens", admin, body).status == 422
    assert inside.raw("POST", "/api/v1/tokens", admin | {"content-type": "text/plain"}, b"{}").status == 415
    assert inside.raw("POST", "/api/v1/tokens", admin, b'{"name": "a", "name": "b", "days": 1e9}').status == 422
    assert inside.raw("GET", "/api/v1/tokens?x=1", admin).status == 422
    assert inside.raw("POST", "/api/v1/tokens", admin, b"[" * 100_000).status in (400, 422)


def test_an_index_that_cannot_answer_now_may_be_asked_again() -> None:
    """An index is made from the logs: what is wrong with it says nothing of them, and its class says so."""
    assert problem.status_of(HostFault("index.any", "The index was damaged.")) == 503
    assert problem.status_of(AuditFault("audit.index", "The log was damaged.")) == 500
